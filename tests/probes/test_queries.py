from datetime import timedelta

import pytest

from dashboard.probes.models import ProbeKind
from dashboard.probes.queries import uncharged_runs
from tests.factories import NOW, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db


def test_a_job_that_cost_nothing_is_a_hint_and_a_failed_one_is_not() -> None:
    team = make_team()
    probe = make_probe(team=team, kind=ProbeKind.DEEP_JOB, period_s=900)
    free = make_probe(team=team, kind=ProbeKind.KEY_CHECK, period_s=900)
    make_outcome(probe, -30)
    make_outcome(probe, -20, credits=1)
    make_outcome(probe, -10, error_class="server_error")
    make_outcome(free, -10)

    assert uncharged_runs([team.pk], NOW - timedelta(days=1)) == {team.pk: 1}
    assert uncharged_runs([team.pk], NOW) == {}
