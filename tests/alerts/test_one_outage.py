"""One outage, one alarm: whole outages replayed against the engine and the outbox."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Incident, Recipient
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes.models import Probe, ProbeKind
from dashboard.teams.models import Team
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team

Answer = Callable[[Probe, int], str]
OUTAGE = range(300, 780)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def run(probe: Probe, at: float, error_class: str = "") -> None:
    """Store one outcome as the recorder does, and judge it in the same breath."""
    now = NOW + timedelta(seconds=at)
    make_outcome(probe, at, error_class=error_class, detail=error_class and "boom")
    probe.last_at, probe.last_error = now, error_class
    if not error_class:
        probe.failing_since = None
    elif probe.failing_since is None:
        probe.failing_since = now
    probe.save()
    evaluate({probe.pk}, now)


def replay(probes: list[Probe], until_s: int, answer: Answer) -> None:
    """Run each probe every minute, a few seconds apart; deliver every 15 s."""
    for second in range(until_s):
        for position, probe in enumerate(probes):
            if second % 60 == position * 7:
                run(probe, second, answer(probe, second))
        if second % 30 == 0:
            evaluate_all(NOW + timedelta(seconds=second))
        if second % 15 == 0:
            deliver(NOW + timedelta(seconds=second))


def fails(error: str, when: range, *, kinds: str = "") -> Answer:
    def answer(probe: Probe, second: int) -> str:
        return error if second in when and probe.kind in (kinds or probe.kind) else ""

    return answer


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


@pytest.fixture
def probes() -> list[Probe]:
    install_default_rules()
    Recipient.objects.create(email="ops@example.org")
    gateway = make_gateway(name="Production")
    found = []
    for name in ("acme", "beta", "core"):
        team = make_team(gateway, team_id=name, key_sealed="sealed")
        found += [
            make_probe(team, kind=ProbeKind.TEAM_STATUS),
            make_probe(team, kind=ProbeKind.BALANCE),
        ]
    found.insert(3, make_probe(gateway=gateway))
    return found


@pytest.mark.parametrize("refusal", ["auth_failed", "not_found"])
def test_a_gateway_that_refuses_everybody_is_down_and_no_key_is_to_blame(
    probes: list[Probe], refusal: str
) -> None:
    """A-31, A-34: what answers in its place may know nobody, whatever the key."""
    replay(probes, 900, fails(refusal, range(300, 1000)))

    what = "gateway down, 7 of 7 probes failing (its health is refused, too)"
    assert subjects() == [f"[Gatewatch] CRITICAL Production: {what} since 12:05 UTC"]
    assert "the gateway's (it refuses everybody" in str(mail.outbox[0].body)
    assert not Incident.objects.filter(kind="auth_failed").exists()


def test_a_gateway_that_is_down_is_told_once_and_its_recovery_once(
    probes: list[Probe],
) -> None:
    replay(probes, 1320, fails("server_error", OUTAGE))

    what = "gateway down, 7 of 7 probes failing (server error)"
    assert subjects() == [
        f"[Gatewatch] CRITICAL Production: {what} since 12:05 UTC",
        f"[Gatewatch] RESOLVED Production after 9 min, it was: {what}",
    ]
    assert not Incident.objects.filter(resolved_at=None).exists()
    # Health is the fourth to ask, 21 s after the first.
    down = Incident.objects.get(kind="gateway_down")
    assert down.began_at == NOW + timedelta(seconds=OUTAGE.start)


def test_an_outage_that_health_does_not_see_is_told_once(probes: list[Probe]) -> None:
    """The real gateway's health is a constant: its database may be away."""

    def answer(probe: Probe, second: int) -> str:
        failing = second in OUTAGE and probe.team is not None
        return "server_error" if failing else ""

    replay(probes, 1500, answer)

    what = "6 probes failing (server error)"
    assert subjects() == [
        f"[Gatewatch] CRITICAL Production: {what} since 12:05 UTC",
        f"[Gatewatch] RESOLVED Production after 12 min, it was: {what}",
    ]
    assert not Incident.objects.filter(resolved_at=None).exists()


@pytest.mark.parametrize("health_sees_it", [True, False])
def test_who_is_told_of_one_team_hears_of_its_gateways_outage(
    probes: list[Probe], *, health_sees_it: bool
) -> None:
    """A-57, C-07: what speaks for his alarms is told to him, once, and so is its end."""
    Recipient.objects.update(email="acme@example.org", team=probes[0].team)

    def answer(probe: Probe, second: int) -> str:
        failing = second in OUTAGE and (health_sees_it or probe.team is not None)
        return "server_error" if failing else ""

    replay(probes, 1500, answer)

    opened, resolved = subjects()
    # Of what health does not see he is told of his own probes, by their team.
    where = "Production" if health_sees_it else "acme (Production)"
    assert opened.startswith(f"[Gatewatch] CRITICAL {where}: ")
    assert resolved.startswith(f"[Gatewatch] RESOLVED {where} after ")
    told = " ".join(str(message.body) for message in mail.outbox)
    assert "Team status of acme" in told
    assert "beta" not in told
    # What its own calls were told is his, what another team's were is not.
    assert ("boom" in told) == (not health_sees_it)


def test_an_outage_of_one_probe_is_told_once_at_its_minimum_sample(
    probes: list[Probe],
) -> None:
    def answer(probe: Probe, second: int) -> str:
        return "timeout" if second in OUTAGE and probe == probes[0] else ""

    replay(probes, 1320, answer)

    what = "5 of 5 runs failed in 5 min (100 %, limit 20 %): timed out"
    opened, resolved = subjects()
    assert opened.startswith(
        "[Gatewatch] CRITICAL Team status of acme (Production): 3 of 5"
    )
    assert opened.endswith("timed out since 12:05 UTC")
    where = "Team status of acme (Production)"
    assert resolved == f"[Gatewatch] RESOLVED {where} after 12 min, it was: {what}"


def test_two_failures_in_a_row_are_no_alarm(probes: list[Probe]) -> None:
    replay(probes, 600, fails("server_error", range(300, 420)))

    assert subjects() == []
    assert not Incident.objects.exists()


def test_a_suspended_team_is_told_once_whatever_its_probes_say(
    probes: list[Probe],
) -> None:
    team = probes[0].team
    assert team is not None

    def answer(probe: Probe, second: int) -> str:
        suspended = second in OUTAGE and probe.team == team
        if probe.team == team and probe.kind == ProbeKind.TEAM_STATUS:
            now = NOW + timedelta(seconds=second)
            status = "suspended" if suspended else "active"
            Team.objects.filter(pk=team.pk).update(status=status, status_at=now)
            return ""
        return "team_suspended" if suspended else ""

    replay(probes, 1320, answer)

    assert subjects() == [
        "[Gatewatch] CRITICAL acme (Production): the team is suspended since 12:05 UTC",
        "[Gatewatch] RESOLVED acme (Production) after 8 min, it was: the team is suspended",
    ]
