"""The decoder of streams by size, and the memory that a hostile body may take."""

import gzip
import multiprocessing
import resource
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from apiclient import Client, ErrorClass, operations
from apiclient.sse import SSEDecoder
from tests.apiclient.rogue import rogue, sends

_MIB = 1024 * 1024
_EVENT = (
    b'data: {"id":"c-1","object":"chat.completion.chunk","choices":[{"index":0,'
    b'"delta":{"content":"hello there"},"finish_reason":null}]}\n\n'
)
_BOMB_MIB = 256


def decoded() -> Iterator[tuple[str, float]]:
    """Yield a name and the megabytes decoded in a second, the best of five."""
    for mib in (1, 10):
        short = _EVENT * (mib * _MIB // len(_EVENT))
        long = b"data: " + b"x" * (_MIB // 2) + b"\n\n"
        yield f"events of {len(_EVENT)} bytes, {mib} MiB", _speed(short)
        yield f"events of 512 KiB, {mib} MiB", _speed(long * (mib * 2))


def _speed(stream: bytes) -> float:
    best_s = float("inf")
    for _ in range(5):
        decoder = SSEDecoder()
        began = time.perf_counter()
        for start in range(0, len(stream), 65536):
            decoder.feed(stream[start : start + 65536])
        best_s = min(best_s, time.perf_counter() - began)
    return len(stream) / best_s / 1e6


def bomb_mib() -> float:
    """Return by how many MiB one gzip bomb raises the peak of a fresh process."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    packed = gzip.compress(bytes(_BOMB_MIB * _MIB))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with rogue(sends(b"HTTP/1.1 200 OK\r\n\r\n{}"), sends(head, packed)) as server:
        process = context.Process(target=_defuse, args=(theirs, server.url))
        process.start()
        grown = ours.recv()
        process.join(10)
    assert isinstance(grown, float)
    return grown


def _defuse(pipe: Connection, url: str) -> None:
    with Client(base_url=url, breakers=None) as client:
        client.report(operations.health(), max_retries=0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report = client.report(operations.health(), max_retries=0)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert report.error is ErrorClass.TOO_LARGE
    pipe.send((after - before) / 1024)
