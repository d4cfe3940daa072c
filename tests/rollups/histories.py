"""A probe with a history."""

from datetime import timedelta

from dashboard.probes.models import Probe
from dashboard.rollups.services import fold
from dashboard.teams.models import Gateway
from tests.factories import NOW, make_gateway, make_outcome, make_probe


def seen_probe(seconds: list[float], **fields: object) -> Probe:
    """Make a probe as old as its history, with a folded outcome at each second."""
    gateway = make_gateway()
    began = NOW + timedelta(seconds=min(seconds, default=0))
    Gateway.objects.filter(pk=gateway.pk).update(created_at=began)
    probe = make_probe(gateway=gateway)
    fold([make_outcome(probe, seconds=second, **fields) for second in seconds])
    return probe
