"""The last good answers of reads, for when a new one cannot be had; always marked.

Source: the guide, "401 Unauthorized": fall back to cached data if possible.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from apiclient.errors import APIError
from apiclient.operations import Operation
from apiclient.report import CallReport

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
_MOST_KEPT = 256


@dataclass(frozen=True, slots=True)
class Reading(Generic[T_co]):
    """A value and its age: `as_of` is when the gateway said so, aware, in UTC.

    `stale` says that it could not be read anew, and `error` why not.
    """

    value: T_co
    as_of: datetime
    stale: bool = False
    error: APIError | None = None


class LastReads:
    """The last good answer of each of up to 256 reads of one client."""

    def __init__(self) -> None:
        self._kept: dict[str, Reading[object]] = {}

    def settle(
        self, operation: Operation[T], report: CallReport[T], error: APIError | None
    ) -> Reading[T]:
        """Return a new reading, or the last one marked stale; else raise `error`."""
        if error is None:
            fresh = Reading(report.value, report.started_at)
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[operation.path] = fresh
            return fresh  # type: ignore[return-value]  # a report without error has one
        kept = self._kept.get(operation.path)
        if kept is None:
            raise error
        return Reading(kept.value, kept.as_of, stale=True, error=error)  # type: ignore[arg-type]


def check_is_read(operation: Operation[object]) -> None:
    if operation.method != "GET":
        raise ValueError(f"{operation.name} is no read; only reads have a last answer")
