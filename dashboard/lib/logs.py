"""One line a record: the time, the level, the event and its fields."""

import json
import logging

_STANDARD = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)).keys()
    | {"message", "asctime", "taskName"}
)


class LineFormatter(logging.Formatter):
    """Print `time level logger event key=value …`, values as JSON: one line always."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).split("\n")
        fields = "".join(
            f" {name}={json.dumps(value, default=str)}"
            for name, value in vars(record).items()
            if name not in _STANDARD
        )
        return "\n  ".join([first + fields, *rest])
