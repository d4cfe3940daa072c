"""One line a record: the time, the level, the event and its fields."""

import json
import logging

_STANDARD = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)).keys()
    | {"message", "asctime", "taskName"}
)


# What the address, the class and the latency of a call's record tell as well.
_TOLD_TWICE = frozenset({"operation", "method", "endpoint", "error_type", "elapsed_ms"})


class LineFormatter(logging.Formatter):
    """Print `time level logger event key=value …`, values as JSON: one line always.

    A field without a value is left out, and of a call what another field tells as well:
    a gateway that is down for a night writes thousands of these lines.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return _plain(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
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
            record.exc_info = None
        return True


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
