"""When an alarm begins and ends: one pure function for each kind of rule.

Each is given what is known at one moment and the rule's limits, and returns a Verdict.
None of them reads the database or the clock, so that the same code can judge the past.
"""

from dashboard.alerts.rules.breaker import BreakerSight, breaker_open
from dashboard.alerts.rules.certificate import certificate
from dashboard.alerts.rules.credits import Credits, Epoch, credits_left
from dashboard.alerts.rules.error_rate import error_rate, wilson_lower
from dashboard.alerts.rules.forecast import Pace, credits_forecast
from dashboard.alerts.rules.gateway import gateway_down
from dashboard.alerts.rules.no_data import Silence, is_late, no_data
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
    "CLEAR",
    "HOLD",
    "BreakerSight",
    "Credits",
    "Epoch",
    "Evidence",
    "Level",
    "Limits",
    "Pace",
    "Sample",
    "Severity",
    "Silence",
    "Step",
    "TeamSight",
    "Verdict",
    "breaker_open",
    "certificate",
    "credits_forecast",
    "credits_left",
    "error_rate",
    "gateway_down",
    "is_late",
    "is_worse",
    "no_data",
    "team_state",
    "wilson_lower",
]
