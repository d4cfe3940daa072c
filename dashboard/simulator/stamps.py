"""The gateway's timestamp formats, all UTC (contract 3.1)."""

from datetime import UTC, datetime


def naive(at: datetime) -> str:
    """Microseconds and no zone: create, complete and list answers."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def zulu(at: datetime) -> str:
    """Whole seconds and a Z: jobs, credits and transactions."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def offset(at: datetime) -> str:
    """Microseconds and +00:00: models, as the admin's own tables."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
