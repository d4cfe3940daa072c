"""Teams and gateways that are deleted in the admin, also while they are watched."""

import pytest
from django.db import OperationalError
from django.test import Client

from dashboard.alerts.models import Incident, Severity
from dashboard.probes.models import (
    Breaker,
    BreakerEvent,
    Outcome,
    Probe,
)
from dashboard.probes.queries import breaker_keys
from dashboard.rows import locked
from dashboard.teams.models import AuditEntry, CreditReading, Gateway, Team
from dashboard.web.admin.teams import TeamAdmin
from tests.factories import (
    NOW,
    make_incident,
    make_outcome,
)
from tests.web.people import behind
from tests.web.watching import watched

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("place", ["team", "gateway"])
@pytest.mark.parametrize("many", [False, True])
def test_what_is_deleted_goes_with_its_key_and_its_history(
    admin_page: Client, place: str, *, many: bool
) -> None:
    """C-22: also its breakers, which are kept by an id that others may have next."""
    team, other = watched(), watched()
    for each in (team, other):
        probe = Probe.objects.filter(team=each)[0]
        make_outcome(probe)
        guard = {
            "gateway": each.gateway,
            "key": next(iter(breaker_keys(probe).values())),
        }
        Breaker.objects.create(**guard, forced="forced_open")
        BreakerEvent.objects.create(
            **guard, at=NOW, before="closed", after="forced_open"
        )
        make_incident(
            gateway=each.gateway,
            team=each,
            probe=probe,
            severity=Severity.WARNING,
        )
    gone: Team | Gateway = team if place == "team" else team.gateway
    where = f"/admin/teams/{place}/"
    chosen = {"action": "delete_selected", "_selected_action": gone.pk}
    if not many:
        where, chosen = f"{where}{gone.pk}/delete/", {}

    asked = (admin_page.post(where, chosen) if many else admin_page.get(where)).content
    admin_page.post(where, {**chosen, "post": "yes"})

    assert "Results: 1" in asked.decode()
    assert list(Team.objects.all()) == [other]
    for left in (Outcome, Incident, CreditReading):
        assert left.objects.exists()
    assert not Outcome.objects.filter(probe__team=team).exists()
    for guards in (Breaker, BreakerEvent):
        assert [each.gateway for each in guards.objects.all()] == [other.gateway]
    [line] = AuditEntry.objects.filter(detail="Deleted.")
    assert str(gone) in line.subject


def deleting(place: str, pk: int, *, many: bool) -> tuple[str, dict[str, object]]:
    """Return where a deletion is confirmed, and with what."""
    where = f"/admin/teams/{place}/"
    if many:
        chosen = {"action": "delete_selected", "_selected_action": pk}
        return where, {**chosen, "post": "yes"}
    return f"{where}{pk}/delete/", {"post": "yes"}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("place", ["team", "gateway"])
@pytest.mark.parametrize("many", [False, True])
def test_what_is_watched_at_this_moment_can_be_deleted(
    admin_page: Client, place: str, *, many: bool
) -> None:
    """C-22: its last results neither outlive it nor keep it."""
    team = watched()
    probe = Probe.objects.filter(team=team)[0]
    make_outcome(probe)

    def record() -> None:
        locked(Probe, ["enabled"], [probe.pk])
        make_outcome(probe, 1)

    def delete() -> int:
        gone = team.pk if place == "team" else team.gateway_id
        return admin_page.post(*deleting(place, gone, many=many)).status_code

    assert behind(record, delete) == 302
    assert not Team.objects.exists()
    assert not Outcome.objects.exists()


@pytest.mark.parametrize("many", [False, True])
def test_nobody_is_said_to_have_deleted_what_is_still_there(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch, *, many: bool
) -> None:
    """C-18."""

    def fail(*_: object) -> None:
        raise OperationalError

    team = watched()
    monkeypatch.setattr(TeamAdmin, "delete_model", fail)
    monkeypatch.setattr(TeamAdmin, "delete_queryset", fail)

    with pytest.raises(OperationalError):
        admin_page.post(*deleting("team", team.pk, many=many))

    assert not AuditEntry.objects.filter(detail="Deleted.").exists()
