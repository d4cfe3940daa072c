"""Whose fault an alarm is: the first question at night, answered alike everywhere."""

from dataclasses import dataclass
from enum import StrEnum

from dashboard.alerts.models import RuleKind
from dashboard.probes.taxonomy import Fault, in_a_sentence, meaning


class Whose(StrEnum):
    """`YOURS` is the team's own doing, or that of whoever set up its probes."""

    YOURS = "yours"
    GATEWAYS = "the gateway's"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Blame:
    whose: Whose
    reason: str

    def __str__(self) -> str:
        return f"{self.whose} ({self.reason})" if self.reason else f"{self.whose}"


_BY_FAULT = {
    Fault.GATEWAY: (Whose.GATEWAYS, ""),
    Fault.PROVIDER: (Whose.GATEWAYS, "what is behind it"),
    Fault.TEAM: (Whose.YOURS, ""),
    Fault.CALLER: (Whose.YOURS, "the request itself"),
    Fault.US: (Whose.YOURS, "Gatewatch itself"),
}
# Of alarms that rest on no failed result. The others have an error class.
_BY_KIND = {
    RuleKind.CREDITS: Blame(Whose.YOURS, "the team's credits, no error of the gateway"),
    RuleKind.CREDITS_FORECAST: Blame(Whose.YOURS, "the team's pace, no error"),
    RuleKind.CREDITS_SPIKE: Blame(Whose.YOURS, "the team's jobs spend them"),
    RuleKind.CREDITS_UNKNOWN: Blame(
        Whose.GATEWAYS, "it answers, and does not tell them"
    ),
    RuleKind.GATEWAY_DOWN: Blame(
        Whose.GATEWAYS, "it refuses everybody, also who only asks for its health"
    ),
    RuleKind.CERTIFICATE: Blame(Whose.GATEWAYS, "its certificate, or its proxy's"),
    RuleKind.TEAM_STATE: Blame(
        Whose.UNKNOWN, "the gateway tells a status that Gatewatch does not know"
    ),
    RuleKind.LATENCY: Blame(
        Whose.UNKNOWN, "it answers: the gateway, its provider or the way there is slow"
    ),
    RuleKind.NO_DATA: Blame(
        Whose.UNKNOWN, "nothing was asked, so the gateway may be well"
    ),
}
_UNTOLD = Blame(Whose.UNKNOWN, "the failed results tell")


def of_class(error_class: str) -> Blame:
    """Return whose fault a failure of the class is."""
    beside, title = beside_class(error_class), meaning(error_class).title
    reason = ": ".join(filter(None, (beside.reason, in_a_sentence(title))))
    return Blame(beside.whose, reason)


def beside_class(error_class: str) -> Blame:
    """Return the same for a place that names the class anyhow."""
    return Blame(*_BY_FAULT[meaning(error_class).fault])


def of_alarm(kind: str, error_class: str) -> Blame:
    """Return whose fault an alarm is, by the error that most of its failures were."""
    if error_class:
        return of_class(error_class)
    return _BY_KIND.get(RuleKind(kind), _UNTOLD)
