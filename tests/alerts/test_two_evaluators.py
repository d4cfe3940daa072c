"""Several processes judge one database at once: A-50."""

import pytest

from dashboard.alerts.models import Event, Incident, Notification
from dashboard.alerts.services import install_default_rules
from tests.alerts.conftest import make_recipient
from tests.at_once import at_once
from tests.factories import make_outcome, make_probe, make_team

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
WORKERS, ROUNDS = 2, 6

_JUDGE = """
import sys
import django
django.setup()
from datetime import timedelta
from django.db import connection
from dashboard.alerts.services import evaluate, evaluate_all
from dashboard.probes.models import Probe
from tests.factories import NOW
connection.settings_dict["NAME"] = sys.argv[1]
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
probe_ids = set(Probe.objects.values_list("pk", flat=True))
for number in range(int(sys.argv[2])):
    evaluate(probe_ids, NOW + timedelta(seconds=number))
    evaluate_all(NOW + timedelta(seconds=number))
"""


def test_each_alarm_is_opened_once_and_told_once() -> None:
    """A-50: the constraint decides, and who loses writes nothing."""
    install_default_rules()
    make_recipient()
    probes = [make_probe(make_team()) for _ in range(4)]
    for probe in probes:
        for i in range(5):
            make_outcome(probe, -60 * i, error_class="server_error")

    at_once(WORKERS, "-c", _JUDGE, arguments=[str(ROUNDS)])

    errors = Incident.objects.filter(kind="error_rate")
    assert sorted(errors.values_list("probe", flat=True)) == [p.pk for p in probes]
    opened = Event.objects.filter(kind="opened", incident__in=errors)
    assert opened.count() == len(probes)
    assert Notification.objects.filter(incident__in=errors).count() == len(probes)
