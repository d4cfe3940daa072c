"""A lock that a forked process finds free, whichever thread of its parent held it."""

import os
import threading
from types import TracebackType
from weakref import WeakSet


class SharedLock:
    """What threads share is used with it held; never over I/O or a callback.

    A fork copies one thread only, so a lock that another held would be held for ever.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.free()
        _ALL.add(self)

    def free(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()


_ALL: WeakSet[SharedLock] = WeakSet()


def _free_all() -> None:
    for lock in _ALL:
        lock.free()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_free_all)
