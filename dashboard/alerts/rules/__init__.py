"""When an alarm begins and ends: one pure function for each kind of rule.

Each is given what is known at one moment and the rule's limits, and returns a Verdict.
None of them reads the database or the clock, so that the same code can judge the past.
"""

from dashboard.alerts.rules.breaker import OPENINGS_WITHIN, BreakerSight, breaker_open
from dashboard.alerts.rules.burn_rate import WINDOWS_S, Count, burn_rate
from dashboard.alerts.rules.certificate import certificate
from dashboard.alerts.rules.credits import Credits, Epoch, credits_left
from dashboard.alerts.rules.error_rate import Past, error_rate, wilson_lower
from dashboard.alerts.rules.forecast import Pace, credits_forecast
from dashboard.alerts.rules.gateway import gateway_down, refuses_all
from dashboard.alerts.rules.key import auth_failed
from dashboard.alerts.rules.latency import CLEARS_AT, Slowness, latency
from dashboard.alerts.rules.no_data import (
    LONGEST_ROW_S,
    Silence,
    is_late,
    no_data,
    told_within_s,
    unasked,
)
from dashboard.alerts.rules.phases import CALM, MOST_CHANGES, Act, Phase, act
from dashboard.alerts.rules.spending import (
    Spending,
    credits_spike,
    credits_unknown,
    is_notable,
)
from dashboard.alerts.rules.streams import stream_failures
from dashboard.alerts.rules.team import TeamSight, team_state
from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Level,
    Limits,
    Sample,
    Severity,
    Step,
    Verdict,
    is_worse,
)

__all__ = [
    "CALM",
    "CLEAR",
    "CLEARS_AT",
    "HOLD",
    "LONGEST_ROW_S",
    "MOST_CHANGES",
    "OPENINGS_WITHIN",
    "WINDOWS_S",
    "Act",
    "BreakerSight",
    "Count",
    "Credits",
    "Epoch",
    "Evidence",
    "Level",
    "Limits",
    "Pace",
    "Past",
    "Phase",
    "Sample",
    "Severity",
    "Silence",
    "Slowness",
    "Spending",
    "Step",
    "TeamSight",
    "Verdict",
    "act",
    "auth_failed",
    "breaker_open",
    "burn_rate",
    "certificate",
    "credits_forecast",
    "credits_left",
    "credits_spike",
    "credits_unknown",
    "error_rate",
    "gateway_down",
    "is_late",
    "is_notable",
    "is_worse",
    "latency",
    "no_data",
    "refuses_all",
    "stream_failures",
    "team_state",
    "told_within_s",
    "unasked",
    "wilson_lower",
]
