"""What rules look far back for: long windows, baselines, and what teams usually spend."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery

from dashboard.alerts import targets
from dashboard.alerts.inhibition import over_since
from dashboard.alerts.models import Incident, Rule, RuleKind
from dashboard.alerts.rulebook import RuleBook
from dashboard.alerts.rules import (
    LONGEST_ROW_S,
    WINDOWS_S,
    Count,
    Limits,
    Past,
    Spending,
    is_notable,
    told_within_s,
)
from dashboard.alerts.rules.latency import least_samples
from dashboard.alerts.rules.verdict import is_own_fault
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.rhythm import deadline_s, period_now_s
from dashboard.rollups import windows
from dashboard.rollups.tally import Tally, merged
from dashboard.rollups.windows import Hour
from dashboard.teams import burn, spending
from dashboard.teams.queries import Burn, burns

# A probe that runs seldom gets a window that its least samples fit into, up to this.
_LONGEST_WINDOW_S = 6 * 3600
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# So many results are loaded of a probe that runs seldom, where only Gatewatch fails.
_LATEST = 10
_BY_WINDOW = (RuleKind.LATENCY, RuleKind.BURN_RATE)
_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class SlowFacts:
    """What looks far back: by probe what its window holds, and by team its credits."""

    windows_s: Mapping[int, int]
    tallies: Mapping[int, Tally]
    counts: Mapping[int, Mapping[int, Count]]
    paces: Mapping[int, Burn]
    spending: Mapping[int, Spending]
    # By probe what its window holds of after the end of what speaks for its slowness, and
    # by identity that end.
    anew: Mapping[int, Tally] = field(default_factory=dict)
    ends: Mapping[str, datetime] = field(default_factory=dict)


def window_s(book: RuleBook, probe: Probe) -> int:
    """Return how far back a probe's outcomes are looked at, in seconds."""
    period_s = period_now_s(probe)
    rule = book.rule_for(targets.of_probe(RuleKind.ERROR_RATE, probe))
    if rule is None:
        # A team's state is judged by its latest answers all the same.
        return min(3 * period_s, _LONGEST_WINDOW_S)
    runs = max(rule.min_samples, rule.of_last or 0)
    return max(rule.window_s, min(period_s * runs, _LONGEST_WINDOW_S))


def look_since(
    probes: Iterable[Probe], windows_s: Mapping[int, int], now: datetime
) -> dict[int, datetime]:
    """Return since when each probe's results are loaded.

    What shows that only Gatewatch fails must fit in, however short the window is. Of a
    probe that runs seldom that is its latest few results: it may have run often until now.
    """
    found = {
        probe.pk: now - timedelta(seconds=max(windows_s[probe.pk], LONGEST_ROW_S))
        for probe in probes
    }
    seldom = {
        probe.pk: start
        for probe in probes
        if is_own_fault(probe.last_error)
        and (start := now - timedelta(seconds=told_within_s(period_now_s(probe))))
        < found[probe.pk]
    }
    if not seldom:
        return found
    before_the_latest = (
        Outcome.objects.filter(probe=OuterRef("pk"), started_at__lte=now)
        .order_by("-started_at")
        .values("started_at")[_LATEST : _LATEST + 1]
    )
    rows = Probe.objects.filter(pk__in=seldom).values_list(
        "pk", Subquery(before_the_latest)
    )
    for pk, before in rows:
        found[pk] = min(found[pk], max(seldom[pk], before or seldom[pk]))
    return found


def latency_window_s(rule: Rule, probe: Probe) -> int:
    """Return how far back a rule looks at a probe's latencies, in seconds."""
    # One more, since the least samples must fit into it wherever it begins.
    needed_s = probe.period_s * (least_samples(rule.min_samples) + 1)
    return max(rule.window_s, min(needed_s, _LONGEST_WINDOW_S))


def slow_limit_ms(limits: Limits, probe: Probe) -> float:
    """Return above which p95 a probe is slow: half of its deadline where no rule says."""
    return limits.warn_at or limits.critical_at or deadline_s(probe) * 500


def slow_facts(
    book: RuleBook,
    probes: Collection[Probe],
    incidents: Iterable[Incident],
    now: datetime,
) -> SlowFacts:
    """Load what looks far back, for the rules that there are."""
    lengths = {
        probe.pk: latency_window_s(rule, probe)
        for probe in probes
        if (rule := book.rule_for(targets.of_probe(RuleKind.LATENCY, probe)))
    }
    team_ids = {probe.team_id for probe in probes if probe.team_id is not None}
    minutes = windows.minutes(lengths, now)
    ends = _ends(incidents)
    return SlowFacts(
        windows_s=lengths,
        tallies={pk: merged(parts.values()) for pk, parts in minutes.items()},
        counts=_counts(book, probes, now),
        paces=burns(team_ids, now),
        spending=_spending(team_ids, now) if book.has(RuleKind.CREDITS_SPIKE) else {},
        anew=_anew(probes, minutes, ends),
        ends=ends,
    )


def _anew(
    probes: Iterable[Probe],
    minutes: Mapping[int, Mapping[datetime, Tally]],
    ends: Mapping[str, datetime],
) -> dict[int, Tally]:
    """Return what came since the end of what speaks for a probe's slowness."""
    found = {}
    for probe in probes:
        over = ends.get(targets.of_probe(RuleKind.LATENCY, probe).identity)
        if over is not None and probe.pk in minutes:
            # The minute in which it ended may be of it.
            parts = minutes[probe.pk].items()
            found[probe.pk] = merged(part for start, part in parts if start > over)
    return found


def _ends(incidents: Iterable[Incident]) -> dict[str, datetime]:
    """Return by identity when what speaks for an incident ended, where it has."""
    speaking = {
        each.identity: each.inhibited_by_id
        for each in incidents
        if each.kind in _BY_WINDOW and each.inhibited_by_id is not None
    }
    greater = Incident.objects.in_bulk(set(speaking.values()))
    # One that ended long ago may have been forgotten meanwhile.
    ends = {
        identity: over_since(greater[pk])
        for identity, pk in speaking.items()
        if pk in greater
    }
    return {identity: over for identity, over in ends.items() if over is not None}


def past(book: RuleBook, probes: Iterable[Probe], now: datetime) -> dict[int, Past]:
    """Return what the error-rate rules that ask for more than their window are told."""
    asking: dict[int, Rule] = {}
    lengths_s: dict[int, int] = {}
    for probe in probes:
        rule = book.rule_for(targets.of_probe(RuleKind.ERROR_RATE, probe))
        if rule is not None and (rule.long_window_s or rule.against_baseline):
            asking[probe.pk] = rule
            lengths_s[probe.pk] = window_s(book, probe)
    if not asking:
        return {}
    long_s = {rule.long_window_s for rule in asking.values()} - {0}
    long_ = windows.counts(asking, long_s, now)
    usual = _usual_hours(
        {pk for pk, rule in asking.items() if rule.against_baseline}, lengths_s, now
    )
    found = {}
    for pk, rule in asking.items():
        whole = long_[pk].get(rule.long_window_s)
        hours = usual.get(pk, [])
        found[pk] = Past(
            long_samples=whole.samples if whole else 0,
            long_bad=whole.bad if whole else 0,
            usual_samples=sum(hour.samples for hour in hours),
            usual_bad=sum(hour.bad for hour in hours),
        )
    return found


def _usual_hours(
    probe_ids: Collection[int], lengths_s: Mapping[int, int], now: datetime
) -> dict[int, list[Hour]]:
    """Return each probe's hours of the day before its window, but those that fired."""
    if not probe_ids:
        return {}
    since = now - _DAY - timedelta(seconds=max(lengths_s.values()))
    fired = _fired(probe_ids, since)
    return {
        probe_id: [
            hour
            for hour in hours
            if hour.start + _HOUR <= now - timedelta(seconds=lengths_s[probe_id])
            and not any(
                start < hour.start + _HOUR and hour.start < until
                for start, until in fired.get(probe_id, ())
            )
        ]
        for probe_id, hours in windows.hours(probe_ids, since, now).items()
    }


def _fired(probe_ids: Collection[int], since: datetime) -> dict[int, list[_Span]]:
    """Return when the probes' error rates fired, from their first failures on."""
    rows = Incident.objects.filter(
        Q(resolved_at=None) | Q(resolved_at__gt=since),
        kind=RuleKind.ERROR_RATE,
        probe__in=probe_ids,
    )
    found: dict[int, list[_Span]] = {}
    for incident in rows:
        began = min(incident.began_at, incident.opened_at)
        span = (began, incident.resolved_at or incident.evaluated_at)
        found.setdefault(incident.probe_id or 0, []).append(span)
    return found


def _counts(
    book: RuleBook, probes: Iterable[Probe], now: datetime
) -> dict[int, dict[int, Count]]:
    asking = [
        probe.pk
        for probe in probes
        if book.rule_for(targets.of_probe(RuleKind.BURN_RATE, probe)) is not None
    ]
    if not asking:
        return {}
    return {
        probe_id: {length: Count(*told) for length, told in found.items()}
        for probe_id, found in windows.counts(asking, WINDOWS_S, now).items()
    }


def _spending(team_ids: Collection[int], now: datetime) -> dict[int, Spending]:
    """Return what the teams spent that spent much; only their week is read."""
    lately = spending.spent_lately(team_ids, now)
    notable = {pk: told for pk, told in lately.items() if is_notable(*told)}
    if not notable:
        return {}
    return {
        team_id: Spending(
            last_hour=usual.last_hour,
            typical=usual.typical,
            highest=usual.highest,
            hours=usual.hours,
            allocated=notable[team_id][1],
            drops=usual.drops,
        )
        for team_id, usual in burn.baselines(notable, now).items()
    }
