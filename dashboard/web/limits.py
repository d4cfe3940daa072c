"""Say what a rule's limits are, in the units that its kind is counted in."""

from dashboard.alerts.models import Rule, RuleKind
from dashboard.web import words

_COUNTED = {
    RuleKind.CREDITS_FORECAST: "h",
    RuleKind.CERTIFICATE: "days",
    RuleKind.LATENCY: "ms",
    RuleKind.CREDITS_SPIKE: "times the usual",
}


def limits(rule: Rule) -> str:
    """Return "warning at 20 %, critical at 10 %", or that it has none."""
    told = [
        f"{word} at {limit(rule.kind, value)}"
        for word, value in (("warning", rule.warn_at), ("critical", rule.critical_at))
        if value is not None
    ]
    if rule.floor is not None:
        told.append(f"warning at {words.number(rule.floor)} credits")
    if rule.objective is not None:
        told.append(f"objective {words.percent(rule.objective)}")
    return ", ".join(told) or "no limits"


def limit(kind: str, value: float) -> str:
    """Return "20 %", "24 h" or "500 ms": one limit of a rule of this kind."""
    unit = _COUNTED.get(RuleKind(kind)) if kind in RuleKind.values else None
    return f"{words.number(value)} {unit}" if unit else words.percent(value)
