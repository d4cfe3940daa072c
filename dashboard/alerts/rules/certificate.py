"""The gateway's TLS certificate comes to its end."""

from datetime import datetime

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Level,
    Limits,
    Severity,
    Step,
    Verdict,
)

_DAY_S = 86_400


def certificate(expires_at: datetime | None, limits: Limits, now: datetime) -> Verdict:
    """Judge when a certificate ends; the limits are days. Clears when it is renewed.

    None, of a gateway without TLS or one never reached, decides nothing.
    """
    if expires_at is None:
        return HOLD
    days = (expires_at - now).total_seconds() / _DAY_S
    for level, severity, limit in (
        (Level.HIGH, Severity.CRITICAL, limits.critical_at),
        (Level.RAISED, Severity.WARNING, limits.warn_at),
    ):
        if limit is not None and days <= limit:
            return Verdict(
                Step.FIRE,
                severity,
                level,
                _text(days, expires_at),
                value=days,
                limit=limit,
                evidence=Evidence(since=now),
            )
    return CLEAR


def _text(days: float, expires_at: datetime) -> str:
    when = f"{expires_at:%Y-%m-%d %H:%M} UTC"
    if days < 0:
        return f"the TLS certificate has expired ({when})"
    left = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
    return f"the TLS certificate expires in {left} ({when})"
