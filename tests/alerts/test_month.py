"""A month of faults, replayed in seconds, and the very mails that it is worth."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from django.core import mail

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Incident, Notification, Recipient
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes import services
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.teams.models import Team
from tests.factories import NOW, make_gateway, make_probe, make_reading, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Lived before and after each fault: as long as its recovery and its mail take, an error
# rate's whole window. What is quiet beyond that needs no look.
BEFORE, AFTER, WINDOW = 2, 4, 12
Fate = Mapping[str, str]

# The day of the month, from 12:00 on, and what goes wrong for how many minutes: probes
# by the class of their failures ("/2" for every second run), teams by their status and
# credits, and Gatewatch itself.
MONTH: list[tuple[int, list[tuple[int, Fate]]]] = [
    # A failed run, and two: nobody is woken.
    (1, [(1, {"health": "timeout", "acme": "timeout"})]),
    (2, [(2, {"acme": "server_error", "beta": "server_error"})]),
    # The gateway is away: one mail, and one of its end.
    (4, [(9, dict.fromkeys(["health", "acme", "key", "beta"], "connect_failed"))]),
    # Its database is away, which its health does not see.
    (7, [(9, dict.fromkeys(["acme", "key", "beta"], "server_error"))]),
    # Every second run of one probe fails.
    (9, [(12, {"acme": "rate_limited/2"})]),
    # A team is suspended, and its probes fail for it.
    (12, [(8, {"beta status": "suspended", "beta": "team_suspended"})]),
    # A key is refused until somebody sets a new one.
    (15, [(10, {"key": "auth_failed"})]),
    # Credits run low, get critical, rise a little, and are filled up.
    (18, [(5, {"acme credits": "150"}), (5, {"acme credits": "80"})]),
    # A probe fails, works for two minutes and fails again: one alarm, not two.
    (21, [(5, {"acme": "bad_gateway"}), (2, {}), (5, {"acme": "bad_gateway"})]),
    # We rest for two hours, and nothing was wrong meanwhile.
    (24, [(120, {"we": "rest"})]),
    # Our own faults are told as ours; what a breaker held is nobody's alarm.
    (27, [(9, {"health": "internal_error", "acme": "breaker_held"})]),
    # A status that nobody knows.
    (29, [(3, {"acme status": "unknown"})]),
]
RATES = {4, 7, 9, 21}
# When it went out, how bad, where, what, and since when or for how long.
EXPECTED = [
    "04 12:02 CRITICAL Production: gateway down, 4 of 4 probes failing (cannot connect) since 12:00 UTC",
    "04 12:10 RESOLVED Production after 10 min, it was: gateway down, 4 of 4 probes failing (cannot connect)",
    "07 12:02 CRITICAL Production: 3 probes failing (server error) since 12:00 UTC",
    "07 12:13 RESOLVED Production after 13 min, it was: 3 probes failing (server error)",
    "09 12:04 CRITICAL Team status of acme (Production): 3 of 5 runs failed in 5 min (60 %, limit 20 %): rate limited since 12:00 UTC",
    "09 12:15 RESOLVED Team status of acme (Production) after 15 min, it was: 3 of 5 runs failed in 5 min (60 %, limit 20 %): rate limited",
    "12 12:00 CRITICAL beta (Production): the team is suspended since 12:00 UTC",
    "12 12:08 RESOLVED beta (Production) after 8 min, it was: the team is suspended",
    "15 12:01 CRITICAL acme (Production): the team's key is refused since 12:00 UTC",
    "15 12:10 RESOLVED acme (Production) after 10 min, it was: the team's key is refused",
    "18 12:00 WARNING acme (Production): credits low, 15 % left (150 of 1,000 credits) since 12:00 UTC",
    "18 12:05 CRITICAL acme (Production): credits very low, 8 % left (80 of 1,000 credits) since 12:00 UTC",
    "18 12:10 RESOLVED acme (Production) after 10 min, it was: credits very low, 8 % left (80 of 1,000 credits)",
    "21 12:02 CRITICAL Team status of acme (Production): 3 of 5 runs failed in 5 min (60 %, limit 20 %): bad gateway since 12:00 UTC",
    "21 12:16 RESOLVED Team status of acme (Production) after 16 min, it was: 5 of 5 runs failed in 5 min (100 %, limit 20 %): bad gateway",
    "27 12:03 WARNING Health of Production (Production): Gatewatch cannot probe (internal error) since 12:00 UTC",
    "27 12:09 RESOLVED Health of Production (Production) after 9 min, it was: Gatewatch cannot probe (internal error)",
    "29 12:00 WARNING acme (Production): the gateway tells a team status that is not known since 12:00 UTC",
    "29 12:03 RESOLVED acme (Production) after 3 min, it was: the gateway tells a team status that is not known",
]


class World:
    """A gateway of two teams, lived minute by minute around the faults."""

    def __init__(self) -> None:
        install_default_rules()
        Recipient.objects.create(email="ops@example.org")
        gateway = make_gateway(name="Production")
        self.teams: dict[str, Team] = {
            name: make_team(gateway, team_id=name, key_sealed="sealed")
            for name in ("acme", "beta")
        }
        acme, beta = self.teams["acme"], self.teams["beta"]
        self.probes: dict[str, Probe] = {
            "health": make_probe(gateway=gateway),
            "acme": make_probe(acme),
            "key": make_probe(acme, kind=ProbeKind.BALANCE),
            "beta": make_probe(beta),
        }
        self.mails: list[str] = []

    def live(self, now: datetime, fate: Fate, number: int) -> None:
        if "we" in fate:
            return
        outcomes = [
            outcome(probe, now + timedelta(seconds=place), ends_as(fate, name, number))
            for place, (name, probe) in enumerate(self.probes.items())
        ]
        services.record(outcomes, now + timedelta(seconds=5))
        for name, team in self.teams.items():
            remaining = float(fate.get(f"{name} credits", "500"))
            seconds = (now - NOW).total_seconds()
            make_reading(team, seconds, remaining=remaining)
            status = fate.get(f"{name} status", "active")
            Team.objects.filter(pk=team.pk).update(status=status, status_at=now)
        evaluate(
            {probe.pk for probe in self.probes.values()}, now + timedelta(seconds=5)
        )
        for seconds in (20, 50):
            at = now + timedelta(seconds=seconds)
            evaluate_all(at)
            sent = len(mail.outbox)
            deliver(at)
            self.mails += [
                f"{at:%d %H:%M} {message.subject.removeprefix('[Gatewatch] ')}"
                for message in mail.outbox[sent:]
            ]


def ends_as(fate: Fate, name: str, number: int) -> str:
    error_class, _, every = fate.get(name, "").partition("/")
    return "" if every and number % int(every) else error_class


def outcome(probe: Probe, at: datetime, error_class: str) -> Outcome:
    return Outcome(
        probe=probe,
        started_at=at,
        error_class=error_class,
        latency_us=50_000,
        elapsed_us=50_000,
        attempts=1,
    )


def test_a_month_of_faults_is_worth_these_mails_and_no_more() -> None:
    world = World()
    for day, faults in MONTH:
        noon = NOW.replace(day=1) + timedelta(days=day - 1)
        fates: list[Fate] = [{} for _ in range(BEFORE)]
        for minutes, fate in faults:
            fates += [fate] * minutes
        fates += [{} for _ in range(WINDOW if day in RATES else AFTER)]
        for number, fate in enumerate(fates):
            world.live(noon + timedelta(minutes=number - BEFORE), fate, number)

    assert world.mails == EXPECTED
    assert not Incident.objects.filter(resolved_at=None).exists()
    assert not Notification.objects.filter(state="queued").exists()
