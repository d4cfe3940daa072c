"""A keep-alive server in a process of its own, so that its work is nobody's."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from tests.apiclient.rogue import keeps_alive, rogue


@contextmanager
def serving() -> Iterator[str]:
    """Yield the URL of a server that answers every request alike."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(5)
        process.kill()


def _serve(pipe: Connection) -> None:
    with rogue(keeps_alive(100_000_000)) as server:
        pipe.send(server.url)
        pipe.recv()
