"""In which time zone a visitor reads the pages: UTC, until he chooses his own."""

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

COOKIE = "zone"
UTC = "UTC"


def zone_of(*asked: str | None) -> ZoneInfo:
    """Return the first of the names that is a time zone's, else UTC."""
    return ZoneInfo(next((name for name in asked if name and name in _known()), UTC))


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    # Asking ZoneInfo itself would look for any text as a file. Of the machine's own zone
    # no browser knows the name, and a link with it would end all charts for a year.
    return frozenset({UTC, *available_timezones()} - {"localtime"})
