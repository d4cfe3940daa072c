"""Which rule judges what, and the rules that a new installation begins with."""

from collections.abc import Container, Iterable, Mapping
from itertools import chain, count

from django.conf import settings
from django.db import transaction

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.rules import Limits
from dashboard.alerts.targets import Target
from dashboard.teams.models import Team

# Shares of the allocated credits: the pages colour by them too.
CREDITS_LOW, CREDITS_CRITICAL = 0.2, 0.1
# Hours until they are gone, and again what the pages colour by.
ENDS_SOON_H, ENDS_NOW_H = 24, 6
DEFAULTS: Mapping[str, dict[str, object]] = {
    "Credits low": {
        "kind": RuleKind.CREDITS,
        "warn_at": CREDITS_LOW,
        "critical_at": CREDITS_CRITICAL,
    },
    "Team suspended or paused": {"kind": RuleKind.TEAM_STATE},
    # One step only: a second mail of an outage that is already known helps nobody.
    "Error-rate spike": {"kind": RuleKind.ERROR_RATE, "critical_at": 0.2},
    "Breaker open": {"kind": RuleKind.BREAKER_OPEN, "for_s": 60, "keep_s": 300},
    "Gateway down": {
        "kind": RuleKind.GATEWAY_DOWN,
        "min_bad": 3,
        "clear_after": 2,
    },
    "Credits run out soon": {
        "kind": RuleKind.CREDITS_FORECAST,
        "warn_at": ENDS_SOON_H,
        "critical_at": ENDS_NOW_H,
    },
    "Certificate expires": {
        "kind": RuleKind.CERTIFICATE,
        "warn_at": 21,
        "critical_at": 7,
    },
    "No data": {"kind": RuleKind.NO_DATA},
    "Key refused": {"kind": RuleKind.AUTH_FAILED},
    # Judged once a minute: above twice in a row, below three times.
    "Slow answers": {
        "kind": RuleKind.LATENCY,
        "window_s": 1800,
        "min_samples": 20,
        "for_s": 45,
        "keep_s": 100,
    },
    "Credits spent fast": {"kind": RuleKind.CREDITS_SPIKE, "warn_at": 3},
    "Credits unknown": {"kind": RuleKind.CREDITS_UNKNOWN},
    "Broken streams": {
        "kind": RuleKind.STREAM_FAILURES,
        "min_bad": 2,
        "of_last": 4,
        "clear_after": 1,
    },
    # Only who has an objective can want it: one run in a hundred may fail.
    "Error budget burns": {
        "kind": RuleKind.BURN_RATE,
        "enabled": False,
        "objective": 0.99,
        "min_samples": 30,
    },
}
# What looks far back is judged once a minute, the others with each flush.
SLOW_KINDS = frozenset(
    {
        RuleKind.CREDITS_FORECAST,
        RuleKind.LATENCY,
        RuleKind.BURN_RATE,
        RuleKind.CREDITS_SPIKE,
    }
)
# These rules know for themselves since when they have held.
SELF_TIMED = frozenset({RuleKind.BREAKER_OPEN})
# Probes of the demo run every few seconds, and its faults last a minute or two.
_DEMO: Mapping[str, dict[str, object]] = {
    "Error-rate spike": {"window_s": 60},
    "Breaker open": {"for_s": 15, "keep_s": 0},
    "Slow answers": {"window_s": 300},
}


def install_default_rules() -> None:
    """Create the default rules that are missing; change none that exists.

    One that has got another name is not missing: of two of its kind the first by name
    would judge.
    """
    own = _DEMO if settings.DEMO else {}
    general = Rule.objects.filter(gateway=None, team=None, probe=None)
    there = set(general.values_list("kind", flat=True))
    Rule.objects.bulk_create(
        (
            Rule(name=name, **{**fields, **own.get(name, {})})
            for name, fields in DEFAULTS.items()
            if fields["kind"] not in there
        ),
        ignore_conflicts=True,
    )


def limits_of(rule: Rule) -> Limits:
    return Limits(
        warn_at=rule.warn_at,
        critical_at=rule.critical_at,
        floor=rule.floor,
        window_s=rule.window_s,
        min_samples=rule.min_samples,
        min_bad=rule.min_bad,
        for_s=rule.for_s,
        clear_after=rule.clear_after,
        of_last=rule.of_last,
        objective=rule.objective,
    )


class RuleBook:
    """The enabled rules: the narrowest one of a kind judges, then the first by name."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[str, list[Rule]] = {}
        for rule in sorted(rules, key=lambda rule: (-_narrowness(rule), rule.name)):
            self._rules.setdefault(rule.kind, []).append(rule)

    def rule_for(self, target: Target) -> Rule | None:
        """Return the rule that judges `target`; None when it is not watched."""
        rules = self._rules.get(target.kind, [])
        return next((rule for rule in rules if _covers(rule, target)), None)

    def has(self, kind: RuleKind) -> bool:
        return kind in self._rules

    def forgive(self, kinds: Container[str], but: Container[int]) -> None:
        """Note that the rules of these kinds were judged without an error."""
        mended = [
            rule.pk
            for kind, rules in self._rules.items()
            for rule in rules
            if kind in kinds and rule.failed_at is not None and rule.pk not in but
        ]
        if mended:
            Rule.objects.filter(pk__in=mended).update(failed_at=None, failure="")

    def waits(self, *, but: Container[str]) -> bool:
        """Say whether some rule must hold for a time, of other kinds than `but`."""
        return any(
            rule.for_s > 0
            for kind, rules in self._rules.items()
            if kind not in but and kind not in SELF_TIMED
            for rule in rules
        )


def enabled_rules() -> RuleBook:
    return RuleBook(Rule.objects.filter(enabled=True))


def _narrowness(rule: Rule) -> int:
    if rule.probe_id is not None:
        return 3
    if rule.team_id is not None:
        return 2
    return 1 if rule.gateway_id is not None else 0


def _covers(rule: Rule, target: Target) -> bool:
    probe_id = target.probe.pk if target.probe else None
    team_id = target.team.pk if target.team else None
    return (
        rule.probe_id in {None, probe_id}
        and rule.team_id in {None, team_id}
        and rule.gateway_id in {None, target.gateway.pk}
    )


def own_name(kind: RuleKind, team: Team) -> str:
    """Return what a new rule of a team's own is called: like no other rule.

    One that has the plain name may have become another team's, or a probe's.
    """
    told = f"{kind.label}: {team.pk} {team}"
    ends = chain([""], (f" ({number})" for number in count(2)))
    names = (told[: _LONGEST_NAME - len(end)] + end for end in ends)
    return next(name for name in names if not Rule.objects.filter(name=name).exists())


_LONGEST_NAME = 80


def own_rules(team: Team, kind: str | None = None) -> list[Rule]:
    """Return the rules that are a team's own, of each kind the one that judges first.

    By the names as the judge compares them, and not as the database sorts texts.
    """
    found = Rule.objects.filter(team=team, probe=None)
    if kind is not None:
        found = found.filter(kind=kind)
    return sorted(found, key=lambda rule: (rule.kind, not rule.enabled, rule.name))


@transaction.atomic
def apply_rule_set(source: Team | None, target: Team) -> int:
    """Give `target` the rules that `source` has of its own, in place of its own.

    None takes its own away: the general ones hold again. Return how many it has then.
    """
    if source == target:
        return len(own_rules(target))
    # As its managers do, who may be giving it a rule of the same name.
    list(Team.objects.select_for_update(no_key=True).filter(pk=target.pk))
    Rule.objects.filter(team=target, probe=None).delete()
    own = own_rules(source) if source else []
    # Of two of a kind only the first one judges.
    first_of = {rule.kind: rule for rule in reversed(own)}
    copies = list(first_of.values())
    for rule in copies:
        rule.pk = None
        rule.team, rule.gateway = target, target.gateway
        rule.name = own_name(RuleKind(rule.kind), target)
    for rule in copies:
        rule.save()
    return len(copies)
