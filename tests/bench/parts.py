"""What part of a program's CPU which of its functions take, by each thread's own clock."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest import mock

# An object and the name of one of its functions.
Place = tuple[Any, str]


@contextmanager
def parted(parts: Mapping[str, Sequence[Place]]) -> Iterator[Counter[str]]:
    """Count CPU seconds by part; what one part calls of another is the other's."""
    spent_s: Counter[str] = Counter()
    own = threading.local()
    lock = threading.Lock()

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            before_s, own.inner_s = getattr(own, "inner_s", 0.0), 0.0
            began_s = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                took_s = time.thread_time() - began_s
                with lock:
                    spent_s[part] += took_s - own.inner_s
                own.inner_s = before_s + took_s

        return run

    with ExitStack() as patches:
        for part, places in parts.items():
            for owner, name in places:
                function = timed(part, getattr(owner, name))
                patches.enter_context(mock.patch.object(owner, name, function))
        yield spent_s
