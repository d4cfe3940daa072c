"""When a probe is due, and how long it may take."""

from datetime import timedelta

from django.conf import settings

from dashboard.probes.kinds import KINDS, NEED_KEY
from dashboard.probes.models import Probe, ProbeKind

# How far apart the clocks of two machines may be.
CLOCK_SLACK = timedelta(seconds=60)
# How often a key is tried that was refused twice.
REFUSED_PERIOD_S = 900
REFUSED = "auth_failed"


def deadline_s(probe: Probe) -> float:
    """Return the seconds that a whole run may take, its retries and waits included."""
    if KINDS[ProbeKind(probe.kind)].paid:
        return float(settings.DEEP_DEADLINE_S)
    return float(min(probe.period_s, settings.PROBE_DEADLINE_S))


def period_now_s(probe: Probe) -> int:
    """Return the seconds between two runs: the probe's period, or longer.

    A refused key is tried every 15 minutes only, until it is replaced: a gateway may
    lock out who insists, and nobody learns anything new.
    """
    if probe.last_error != REFUSED or probe.kind not in NEED_KEY:
        return probe.period_s
    team = probe.team
    if team is None:
        return probe.period_s
    replaced = team.key_set_at and probe.last_at and team.key_set_at > probe.last_at
    return probe.period_s if replaced else max(probe.period_s, REFUSED_PERIOD_S)


def waits_for_key(probe: Probe) -> bool:
    """Say whether it cannot run before its team has a key."""
    return bool(probe.team and probe.kind in NEED_KEY and not probe.team.has_key)
