"""httpcore's pools, but for the places that they lose.

A connection whose TLS behind a proxy failed is not closed by httpcore, nor one whose task
was cancelled just before it was used: its place in the pool would be taken for ever.
"""

import httpcore
from anyio import CancelScope


class Proxy(httpcore.HTTPProxy):
    def create_connection(
        self, origin: httpcore.Origin
    ) -> httpcore.ConnectionInterface:
        made = super().create_connection(origin)
        ask = made.handle_request

        def handle_request(request: httpcore.Request) -> httpcore.Response:
            try:
                return ask(request)
            except httpcore.ConnectionNotAvailable:  # another request's
                raise
            except BaseException:
                made.close()
                raise

        made.handle_request = handle_request  # type: ignore[method-assign]
        return made


class AsyncPool(httpcore.AsyncConnectionPool):
    """Requests come to it one by one, each when the one before has begun; see `unmake`."""

    _unused: httpcore.AsyncConnectionInterface | None = None

    def create_connection(
        self, origin: httpcore.Origin
    ) -> httpcore.AsyncConnectionInterface:
        made = super().create_connection(origin)
        ask = made.handle_async_request
        self._unused = made

        async def handle_async_request(request: httpcore.Request) -> httpcore.Response:
            self._unused = None
            try:
                return await ask(request)
            except httpcore.ConnectionNotAvailable:  # another request's
                raise
            except BaseException:
                with CancelScope(shield=True):
                    await made.aclose()
                raise

        made.handle_async_request = handle_async_request  # type: ignore[method-assign]
        return made

    def unmake(self) -> None:
        """Forget the connection that was made for a request that never came to use it."""
        if self._unused is not None:
            self._unused.is_closed = lambda: True  # type: ignore[method-assign]
            self._unused = None


class AsyncProxy(AsyncPool, httpcore.AsyncHTTPProxy):
    pass
