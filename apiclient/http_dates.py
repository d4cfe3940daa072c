"""Read Retry-After and HTTP dates, strictly: what is malformed is as good as absent."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

_MONTHS = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})"
# RFC 9110 section 5.6.7: IMF-fixdate, RFC 850, asctime; ASCII digits only.
_DATES = (
    re.compile(
        rf"[A-Za-z]{{3}}, (?P<day>\d{{2}}) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        re.ASCII,
    ),
    re.compile(
        rf"[A-Za-z]{{6,9}}, (?P<day>\d{{2}})-{_MONTH}-(?P<year>\d{{2}}) {_TIME} GMT",
        re.ASCII,
    ),
    re.compile(
        rf"[A-Za-z]{{3}} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})", re.ASCII
    ),
)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_MILLISECONDS = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)


def http_date(text: str, now: datetime) -> datetime | None:
    """Return the moment in `text`, aware in UTC, or None when it is not an HTTP date.

    A two-digit year more than 50 years after `now` is in the past century.
    """
    for pattern in _DATES:
        if found := pattern.fullmatch(text.strip()):
            return _moment(found, now)
    return None


def _moment(found: re.Match[str], now: datetime) -> datetime | None:
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += now.year - now.year % 100
        if year > now.year + 50:
            year -= 100
    try:
        return datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            int(found["second"]),
            tzinfo=UTC,
        )
    except ValueError:
        return None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds for which the server asks us to stay away, or None.

    `retry-after-ms` wins over Retry-After. A date is compared with the server's own Date
    where there is one, so that a clock that is wrong here does no harm. Zero, the past
    and anything malformed are None. RFC 9110 section 10.2.3.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _MILLISECONDS.fullmatch(milliseconds):
        return float(milliseconds) / 1000 or None
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text) or None
    when = http_date(text, now) if text else None
    if when is None:
        return None
    sent_at = http_date(headers.get("date", ""), now) or now
    seconds = (when - sent_at).total_seconds()
    return seconds if seconds > 0 else None
