"""Cancellation that lets the connection pool clean up behind itself.

httpcore guards its clean-up by anyio's scopes, and a plain `Task.cancel()` cuts through
those: a connection's place in the pool would be lost for ever. So what talks to the pool
is a task of its own, ended by its scope, and whoever waits for it goes on waiting until
it has cleaned up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def cancellable(
    work: Coroutine[Any, Any, T],
    discard: Callable[[T], Awaitable[None]] | None = None,
) -> T:
    """Return what `work` does; a cancellation ends it in good order and is passed on.

    `discard` gets what it had already done by then.
    """
    scope = anyio.CancelScope()
    task = asyncio.create_task(_within(scope, work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        scope.cancel()
        await _ended(task)
        if discard is not None and not task.cancelled() and task.exception() is None:
            await _ended(asyncio.ensure_future(discard(task.result())))
        raise


async def _within(scope: anyio.CancelScope, work: Coroutine[Any, Any, T]) -> T:
    with scope:
        return await work
    raise asyncio.CancelledError


async def _ended(task: asyncio.Future[Any]) -> None:
    """Wait for a clean-up, however often that is cancelled: it is short.

    What it raises is of no interest any more.
    """
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        task.exception()
