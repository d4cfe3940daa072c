"""What a rule would have told of the time that is stored: before it is switched on.

The verdicts are those of the live rules, by the same pure functions, over the stored
outcomes and credit readings. It leaves out what is not stored: which alarm would have
spoken for which, silences, and when Gatewatch itself rested.
"""

from collections.abc import Collection
from datetime import datetime

from dashboard.alerts.backtest.replay import Alarm, replay
from dashboard.alerts.backtest.tracks import TRACKS
from dashboard.alerts.models import Rule
from dashboard.lib.spans import duration
from dashboard.probes.models import Probe

__all__ = ["Alarm", "backtest", "can_replay", "in_words", "probes_of"]


def can_replay(rule: Rule) -> bool:
    """Say whether enough is stored to judge by this rule what was."""
    return rule.kind in TRACKS


def backtest(
    rule: Rule, probes: Collection[Probe], since: datetime, until: datetime
) -> list[Alarm]:
    """Return the alarms of (since, until] by this rule, saved or not, oldest first.

    Raises ValueError for a kind whose past is not stored. A query for each probe or team.
    """
    if rule.kind not in TRACKS:
        raise ValueError(f"what {rule.kind} is judged by is not stored")
    tracks = TRACKS[rule.kind](rule, probes, since, until)
    found = [alarm for track in tracks for alarm in replay(track, rule, since)]
    return sorted(found, key=lambda alarm: (alarm.opened_at, alarm.target))


def probes_of(rule: Rule) -> list[Probe]:
    """Return the probes that are switched on and that the rule is about."""
    scope = {
        "gateway": rule.gateway_id,
        "team": rule.team_id,
        "pk": rule.probe_id,
    }
    named = {name: pk for name, pk in scope.items() if pk is not None}
    rows = Probe.objects.filter(enabled=True, **named)
    return list(rows.select_related("gateway", "team__gateway").order_by("pk"))


def in_words(alarms: Collection[Alarm], days: int, until: datetime) -> str:
    """Return "in the last 7 days: 3 alarms, the longest 42 min"."""
    start = f"in the last {days} days" if days > 1 else "in the last day"
    if not alarms:
        return f"{start}: no alarm"
    longest = duration(max(alarm.lasted_s(until) for alarm in alarms))
    if len(alarms) == 1:
        return f"{start}: 1 alarm, for {longest}"
    return f"{start}: {len(alarms)} alarms, the longest {longest}"
