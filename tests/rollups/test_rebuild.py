"""Rollups are proved by their outcomes, as far back as there are any."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from dashboard.management.edge import UsageError
from dashboard.probes.models import Outcome
from dashboard.rollups.models import Level, Rollup
from dashboard.rollups.rebuild import check, rebuild
from dashboard.rollups.services import fold
from tests.factories import NOW, make_outcome, make_probe

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)
LONG_AGO = NOW - timedelta(days=400)


def test_folded_rows_are_right() -> None:
    probes = [make_probe(), make_probe()]
    fold(
        [make_outcome(probe, seconds=s) for probe in probes for s in range(0, 600, 50)]
    )

    assert list(check(LONG_AGO, LATER)) == []


def test_a_wrong_a_missing_and_a_needless_row_are_found_and_mended() -> None:
    probe = make_probe()
    fold([make_outcome(probe, seconds=s) for s in (0, 60)])
    Rollup.objects.filter(level=Level.HOUR).update(samples=7, expected=30)
    Rollup.objects.filter(level=Level.MINUTE, start=NOW).delete()
    needless = NOW - timedelta(hours=3)
    Rollup.objects.create(probe=probe, level=Level.HOUR, start=needless, expected=60)

    checked = list(check(LONG_AGO, LATER))
    mended = list(rebuild(LONG_AGO, LATER))

    assert mended == checked
    assert [(each.key.level, each.key.start) for each in checked] == [
        (Level.MINUTE, NOW),
        (Level.HOUR, needless),
        (Level.HOUR, NOW),
    ]
    assert list(check(LONG_AGO, LATER)) == []
    hour = Rollup.objects.get(level=Level.HOUR)
    assert (hour.samples, hour.expected) == (2, 30)


def test_days_without_outcomes_are_never_touched() -> None:
    probe = make_probe()
    fold([make_outcome(probe, seconds=-2 * 86400), make_outcome(probe)])
    Outcome.objects.filter(started_at__lt=NOW).delete()

    assert list(rebuild(LONG_AGO, LATER)) == []

    assert Rollup.objects.filter(level=Level.DAY).count() == 2


def test_outcomes_beyond_their_retention_prove_nothing() -> None:
    probe = make_probe()
    fold([make_outcome(probe), make_outcome(probe, seconds=1)])
    Outcome.objects.order_by("started_at")[0].delete()

    assert list(rebuild(LONG_AGO, NOW + timedelta(days=31))) == []


def test_the_command_says_what_differs_and_exits_1() -> None:
    probe = make_probe()
    now = timezone.now()
    outcome = make_outcome(probe, started_at=now - timedelta(seconds=1))
    fold([outcome])
    Rollup.objects.filter(level=Level.DAY).update(samples=3)
    out = StringIO()

    with pytest.raises(CommandError) as refused:
        call_command("rebuild_rollups", "--check", stdout=out)

    assert refused.value.returncode == 1
    assert f"probe {probe.pk}, day" in out.getvalue()
    assert "samples 3 is 1" in out.getvalue()
    call_command("rebuild_rollups", stdout=out)
    call_command("rebuild_rollups", "--check", stdout=out)
    assert "All rollups are right" in out.getvalue()


def test_the_command_refuses_days_whose_outcomes_are_gone() -> None:
    with pytest.raises(UsageError, match="RETENTION_RAW_DAYS"):
        call_command("rebuild_rollups", "--since", "2020-01-01")
