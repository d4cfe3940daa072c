"""Say numbers, times and durations as the pages do; times in the visitor's zone."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.lib import spans

NO_DATA = "no data"
_SIZES = ("B", "kB", "MB", "GB", "TB")
duration, roughly = spans.duration, spans.roughly


def ago(at: datetime, now: datetime) -> str:
    if abs(now - at) < timedelta(seconds=1):
        return "just now"
    if at > now:
        return f"in {duration((at - now).total_seconds())}"
    return f"{duration((now - at).total_seconds())} ago"


def exact(at: datetime) -> str:
    """Return "2 Mar 2026, 11:59:56 UTC", or the zone's own short name."""
    return timezone.localtime(at).strftime("%-d %b %Y, %H:%M:%S %Z")


def minute(at: datetime) -> str:
    """Return "2 Mar 14:05": a moment in a table whose head names the zone."""
    return timezone.localtime(at).strftime("%-d %b %H:%M")


def zone() -> str:
    """Return what the pages call the visitor's zone: "UTC", "Europe/Berlin"."""
    return timezone.get_current_timezone_name().replace("_", " ")


def time(at: datetime | None, now: datetime, missing: str = NO_DATA) -> SafeString:
    """Return a <time> that reads "4 s ago" and tells the exact moment on hover."""
    if at is None and not missing:
        return SafeString()
    if at is None:
        return format_html('<span class="none">{}</span>', missing)
    return _time(at, ago(at, now))


def lasting(since: datetime | None, now: datetime) -> SafeString:
    """Return a <time> that reads "4 min", for what lasts; nothing where nothing does."""
    if since is None:
        return SafeString()
    return _time(since, duration((now - since).total_seconds()))


def clock(at: datetime, now: datetime) -> SafeString:
    """Return a <time> that reads "14:05:03", with the day when that is not today."""
    local = timezone.localtime(at)
    same_day = local.date() == timezone.localtime(now).date()
    return _time(at, local.strftime("%H:%M:%S" if same_day else "%-d %b %H:%M"))


def _time(at: datetime, text: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.astimezone(UTC).isoformat(timespec="seconds"),
        exact(at),
        text,
    )


def percent(rate: float | None) -> str:
    """Return "1.2 %" for the rate 0.012; never 0 % or 100 % for what is only near it."""
    if rate is None:
        return NO_DATA
    share = rate * 100
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"


def milliseconds(value: float | None) -> str:
    if value is None:
        return NO_DATA
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def number(value: float) -> str:
    """Return "1,240" or "0.5": at most two decimals, and none that say nothing."""
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(value: float, one: str) -> str:
    """Return "1 credit", "0.5 credits", "1,240 credits"."""
    text = number(value)
    return f"{text} {one}" if text == "1" else f"{text} {one}s"


def count(value: int, one: str, many: str = "") -> str:
    """Return "1 probe", "3 probes"; `many` where it is not `one` with an s."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def size(count: float) -> str:
    """Return "840 B", "12 kB" or "1.4 GB": two digits at least, in powers of 1,000."""
    for unit in _SIZES:
        if count < 999.5 or unit == _SIZES[-1]:
            break
        count /= 1000
    return (
        f"{count:.1f} {unit}" if count < 9.95 and unit != "B" else f"{count:.0f} {unit}"
    )
