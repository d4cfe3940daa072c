"""What no page can reckon with does not stay in the database, nor come into it."""

from datetime import UTC, datetime
from math import inf

import pytest
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

from dashboard.teams.models import (
    MOST,
    CreditHour,
    CreditReading,
    Gateway,
    Statement,
    Team,
)
from dashboard.teams.statements import Entry, JobType, Usage, entries_of, usage_of
from tests.factories import NOW, make_reading, make_team

LAST = datetime(9998, 12, 31, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("told", [1e16, -1e308, inf])
def test_the_database_takes_no_credits_beyond_belief(told: float) -> None:
    team = make_team()
    reading = make_reading(team, remaining=MOST)

    with pytest.raises(IntegrityError):
        CreditReading.objects.filter(pk=reading.pk).update(remaining=told)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_an_older_version_stored_becomes_unknown() -> None:
    # Made before: the older version has fewer columns than their models.
    team = make_team()
    _migrate("0007_audited_incidents")
    try:
        Gateway.objects.update(
            certificate_expires_at=datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
        )
        Team.objects.update(refill_amount=inf, tokens_per_credit=10.0)
        make_reading(team, remaining=1e308, allocated=-inf, used=7.0)
        make_reading(team, 60, remaining=5e-324, allocated=1000.0, used=None)
        for number, spent in enumerate((inf, 3.0)):
            _hour(team.pk, NOW.replace(hour=number), spent)
        Statement.objects.create(
            team=team,
            tried_at=NOW,
            transactions=[
                {"at": "9999-12-31T23:59:59+00:00", "amount": 1e308, "kind": "a"},
                {"at": "2026-03-01T10:00:00+00:00", "amount": -1, "kind": "b"},
            ],
            usage={
                "period": "2026-03",
                "jobs": 10**300,
                "types": [{"name": "chat", "jobs": 3, "cost_usd": 1e308}],
            },
        )
    finally:
        _migrate_all()

    team.refresh_from_db()
    assert (team.refill_amount, team.tokens_per_credit) == (None, 10.0)
    assert list(
        CreditReading.objects.order_by("read_at").values_list(
            "remaining", "allocated", "used"
        )
    ) == [(None, None, 7.0), (0.0, 1000.0, None)]
    assert [hour.spent for hour in CreditHour.objects.all()] == [3.0]
    assert Gateway.objects.get().certificate_expires_at == LAST
    told = Statement.objects.get()
    assert entries_of(told) == [
        Entry(kind="a"),
        Entry(at="2026-03-01T10:00:00+00:00", amount=-1, kind="b"),
    ]
    assert usage_of(told) == Usage("2026-03", types=[JobType("chat", 3)])


def _migrate(name: str) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("teams", name)])


def _migrate_all() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def _hour(team_id: int, hour: datetime, spent: float) -> None:
    CreditHour.objects.create(
        team_id=team_id,
        hour=hour,
        first=9,
        last=6,
        least=6,
        spent=spent,
        refilled=0,
        readings=2,
    )
