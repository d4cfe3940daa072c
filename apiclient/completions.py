"""How a job ends, and the completions that could not be sent yet.

Every job that was created gets one completion: `completed` charges a credit, `failed`
does not, and none at all leaves it open for ever. Source: the guide, "Complete Jobs on
Failure".
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, Protocol

from apiclient import operations
from apiclient.locks import SharedLock
from apiclient.operations import ERROR_MESSAGE_LIMIT, Operation
from apiclient.payloads import CompletedJob
from apiclient.redact import redact
from apiclient.report import CallReport
from apiclient.taxonomy import ErrorClass

INTERRUPTED_S = 5.0  # all that a completion gets while the program is being stopped
_MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Completion:
    """One job's end. `error_message` is redacted, at most 1,000 characters."""

    job_id: str
    status: Literal["completed", "failed"]
    error_message: str | None = None


def completion_of(
    job_id: str, error: BaseException | None, *secrets: str
) -> Completion:
    """Return how a job ends whose work ended in `error`, or in none."""
    if error is None:
        return Completion(job_id, "completed")
    said = f"{type(error).__name__}: {error}"
    return Completion(
        job_id, "failed", redact(said, *secrets, limit=ERROR_MESSAGE_LIMIT)
    )


def operation_of(completion: Completion) -> Operation[CompletedJob]:
    return operations.complete_job(
        completion.job_id, completion.status, completion.error_message
    )


def is_interruption(error: BaseException | None) -> bool:
    """Return whether `error` stops the program or the task: there is little time."""
    return error is not None and not isinstance(error, Exception)


def can_be_sent_later(report: CallReport[object]) -> bool:
    """Return whether a completion that failed may still succeed another time.

    So it may once the team is resumed, the key renewed or a certificate replaced, or the
    gateway answers again instead of its proxy; and another team's job is for that team's
    client, which may share the store. It is over when the job is gone or ended otherwise.
    """
    over = report.error in (None, ErrorClass.CONFLICT) or is_of_missing_job(report)
    return not over


def is_of_missing_job(report: CallReport[object]) -> bool:
    """Return whether the gateway itself says that the job is gone.

    A proxy in front of it has a 404 of its own, while the gateway is being replaced, say.
    """
    missing = report.error is ErrorClass.NOT_FOUND
    return missing and report.detail.lower().startswith("job ")


class CompletionStore(Protocol):
    """Where unsent completions wait; called from many threads."""

    def add(self, completion: Completion) -> None: ...

    def waiting(self) -> tuple[Completion, ...]: ...

    def discard(self, job_id: str) -> None: ...


class MemoryCompletions:
    """Unsent completions of this process; of more than 1,000 the oldest is dropped."""

    def __init__(self) -> None:
        self.dropped = 0
        self._kept: dict[str, Completion] = {}
        self._lock = SharedLock()

    def add(self, completion: Completion) -> None:
        with self._lock:
            self._kept[completion.job_id] = completion
            while len(self._kept) > _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
                self.dropped += 1
            self._save(self._kept)

    def waiting(self) -> tuple[Completion, ...]:
        with self._lock:
            return tuple(self._kept.values())

    def discard(self, job_id: str) -> None:
        with self._lock:
            if self._kept.pop(job_id, None):
                self._save(self._kept)

    def _save(self, kept: Mapping[str, Completion]) -> None:
        """Save what is kept, with the lock held; memory has nothing to do."""


class FileCompletions(MemoryCompletions):
    """The same, kept in a JSON file of one process, which may be started again."""

    def __init__(self, path: str | PathLike[str]) -> None:
        super().__init__()
        self._path = Path(path)
        if self._path.exists():
            self._kept = {each.job_id: each for each in _read(self._path)}

    def _save(self, kept: Mapping[str, Completion]) -> None:
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps([asdict(each) for each in kept.values()]))
        new.replace(self._path)


def _read(path: Path) -> list[Completion]:
    try:
        return [Completion(**fields) for fields in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no list of completions: {error}") from error
