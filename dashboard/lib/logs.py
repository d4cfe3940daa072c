"""One line a record: the time, the level, the event and its fields."""

import copy
import json
import logging
import time
from math import inf

_STANDARD = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)).keys()
    | {"message", "asctime", "taskName", "is_brief"}
)


# What the address, the class and the latency of a call's record tell as well.
_TOLD_TWICE = frozenset({"operation", "method", "endpoint", "error_type", "elapsed_ms"})


_AGAIN_S = _OUTAGE_OVER_S = 60.0
_MOST_EVENTS = 100
_AWAY = frozenset({"OperationalError", "InterfaceError"})


class LineFormatter(logging.Formatter):
    """Print `time level logger event key=value …`, values as JSON: one line always.

    A field without a value is left out, and of a call what another field tells as well:
    a gateway that is down for a night writes thousands of these lines.
    """

    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        # UTC, as the Z says.
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return _plain(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "is_brief", False):
            # A copy: other handlers have the same record.
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        first, *rest = super().format(record).split("\n")
        told = "".join(
            f" {name}={json.dumps(value, default=str)}"
            for name, value in _fields(record).items()
        )
        # Only a traceback has more lines: they are indented, so that none is a record.
        return "\n  ".join([first + told, *map(_plain, rest)])


class WithoutVisitorsTracebacks(logging.Filter):
    """Leave out the traceback of what any visitor can cause, an unknown host name, say."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security"):
            record.is_brief = True
        return True


class OutagesBrief(logging.Filter):
    """Tell of a database that is away with one traceback, and each event once a minute.

    Of one process, which would say the same each second. What the database says tells its
    faults apart: each has its own traceback and its own lines. `left_out` counts the lines
    before this one that were not written.
    """

    def __init__(self) -> None:
        super().__init__()
        # When each event was last seen and written, and how often not written since.
        self._events: dict[tuple[str, str | None], tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not _is_of_an_outage(record):
            return True
        now = record.created
        # Of copies: several threads come here at once, without the handler's lock.
        for event, (seen_at, _, _) in list(self._events.items()):
            if now - seen_at >= _OUTAGE_OVER_S:
                self._events.pop(event, None)
        kind, error, _ = record.exc_info or (None, None, None)
        fault = str(error) if kind else None
        known = any(fault == other for _, other in list(self._events))
        event = (_event_of(record), fault)
        _, written_at, left_out = self._events.pop(event, (now, -inf, 0))
        for oldest in list(self._events)[: 1 - _MOST_EVENTS]:
            self._events.pop(oldest, None)
        if now - written_at < _AGAIN_S:
            self._events[event] = (now, written_at, left_out + 1)
            return False
        self._events[event] = (now, now, 0)
        record.left_out = left_out or None
        if kind and known:
            record.error = kind.__name__
            record.is_brief = True
        return True


def _event_of(record: logging.LogRecord) -> str:
    # Of a request the message has its path, and visitors make up as many as they like.
    if record.name == "django.request":
        return f"{record.name} {getattr(record, 'status_code', '')}"
    return f"{record.name} {record.getMessage()}"


def _is_of_an_outage(record: logging.LogRecord) -> bool:
    if str(record.msg).endswith(".database_away"):
        return True
    if record.name == "django.request" and getattr(record, "status_code", 0) == 503:
        return True
    kind = record.exc_info[0] if record.exc_info else None
    # Whoever raised it, Django or a driver: this module knows neither.
    return bool(kind and _AWAY.intersection(each.__name__ for each in kind.__mro__))


def _plain(text: str) -> str:
    """Return the text with all that a terminal would obey, or not show, escaped.

    Other libraries put what visitors and gateways wrote into their messages.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    own = {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and value is not None and value != ""
    }
    if "url" not in own:
        return own
    twice = _TOLD_TWICE
    # The address of a job names no team.
    if str(own.get("team_id")) in str(own["url"]).split("/"):
        twice |= {"team_id"}
    return {name: value for name, value in own.items() if name not in twice}
