"""Read the outbox, which rules fail, and which cannot judge yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from dashboard.alerts.caps import BETWEEN_DIGESTS
from dashboard.alerts.hindsight import latency_window_s, slow_limit_ms
from dashboard.alerts.judges import slowness
from dashboard.alerts.models import (
    Channel,
    Delivery,
    Notification,
    Recipient,
    Rule,
    RuleKind,
)
from dashboard.alerts.recipients import first_administrator
from dashboard.alerts.rulebook import RuleBook, limits_of
from dashboard.alerts.rules.latency import least_samples
from dashboard.alerts.targets import of_probe
from dashboard.probes.models import Probe
from dashboard.rollups.windows import tallies

# What waits longer than this was tried in vain, or nobody tries.
_PATIENCE = timedelta(minutes=10)
# What was never tried may be held on purpose: its reader has got many mails lately.
_LONGEST_PACE = _PATIENCE + BETWEEN_DIGESTS
# Of what was tried nothing waits as long for the next attempt.
_LONGEST_WAIT = timedelta(hours=2)
# So long every page says that something was given up.
_DEAD_SHOWN = timedelta(days=3)
# What the pages count goes back so far; what waits is counted however old.
LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class OutboxTrouble:
    """What does not get through: how many wait in vain, how many were given up."""

    stuck: int
    stuck_for_s: float
    dead: int


def outbox_trouble(now: datetime) -> OutboxTrouble | None:
    """Return what cannot be mailed because it is about mail; None while all is well.

    One query, by the indexes of what is queued and of what is dead.
    """
    late = Q(attempts__gt=0) | Q(due_at__lte=now - _LONGEST_PACE)
    stuck = late & Q(
        state=Delivery.QUEUED,
        created_at__lte=now - _PATIENCE,
        # True of all that waits: without it SQLite reads all that was ever sent.
        due_at__lte=now + _LONGEST_WAIT,
    )
    dead = Q(state=Delivery.DEAD, created_at__gt=now - _DEAD_SHOWN)
    found = Notification.objects.filter(stuck | dead).aggregate(
        stuck=Count("pk", filter=stuck),
        oldest=Min("created_at", filter=stuck),
        dead=Count("pk", filter=dead),
    )
    if not found["stuck"] and not found["dead"]:
        return None
    oldest = found["oldest"] or now
    return OutboxTrouble(found["stuck"], (now - oldest).total_seconds(), found["dead"])


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How the mails are doing; `oldest_s` is how long the oldest one waits.

    `dead` counts what was given up in the last 30 days.
    """

    depth: int
    oldest_at: datetime | None
    oldest_s: float | None
    dead: int
    nobody_told: bool


def outbox_state(now: datetime) -> OutboxState:
    """Return the depth and the age of the outbox; three small queries."""
    queued = Notification.objects.filter(state=Delivery.QUEUED).aggregate(
        depth=Count("pk"), oldest=Min("created_at")
    )
    oldest = queued["oldest"]
    return OutboxState(
        depth=queued["depth"],
        oldest_at=oldest,
        oldest_s=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        dead=Notification.objects.filter(
            state=Delivery.DEAD, created_at__gt=now - LATELY
        ).count(),
        nobody_told=not Recipient.objects.exists()
        and not first_administrator()
        and not Channel.objects.filter(enabled=True).exists(),
    )


@dataclass(frozen=True, slots=True)
class SlowJudge:
    """When a probe is called slow: `missing` more runs must come before it is judged."""

    limit_ms: float
    window_s: int
    missing: int


def slow_judge(probe: Probe, now: datetime) -> SlowJudge | None:
    """Return what judges a probe's slowness, None where no rule does; two queries."""
    book = RuleBook(Rule.objects.filter(enabled=True, kind=RuleKind.LATENCY))
    rule = book.rule_for(of_probe(RuleKind.LATENCY, probe))
    if rule is None:
        return None
    window_s = latency_window_s(rule, probe)
    seen = slowness(tallies({probe.pk: window_s}, now)[probe.pk], limit_ms=0)
    return SlowJudge(
        limit_ms=slow_limit_ms(limits_of(rule), probe),
        window_s=window_s,
        missing=max(0, least_samples(rule.min_samples) - seen.samples),
    )


def broken_rules() -> list[Rule]:
    """Return the rules that could not be judged the last time, and so tell nothing."""
    return list(Rule.objects.filter(enabled=True, failed_at__isnull=False))


def touching(probe: Probe) -> Q:
    """Return which incidents are the probe's, its team's or its gateway's."""
    wider = Q(probe=None, gateway=probe.gateway_id)
    return Q(probe=probe) | wider & (Q(team=None) | Q(team=probe.team_id))
