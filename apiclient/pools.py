"""httpcore's pools, but for the places that they lose.

A connection whose TLS behind a proxy failed is not closed by httpcore, nor one whose request
was given up, or cancelled, just before it was used: its place would be taken for ever.
And one that a thread takes while another looks whether it is of use still is not closed.
"""

from time import monotonic

import httpcore
from anyio import CancelScope

# A thread takes what was made for its request at once, or a little later where there are
# many. If it gave up just then, never.
_TAKEN_WITHIN_S = 2.0


class Pool(httpcore.ConnectionPool):
    def create_connection(
        self, origin: httpcore.Origin
    ) -> httpcore.ConnectionInterface:
        made = super().create_connection(origin)
        ask = made.handle_request
        is_closed, has_expired = made.is_closed, made.has_expired
        until: float | None = monotonic() + _TAKEN_WITHIN_S

        def handle_request(request: httpcore.Request) -> httpcore.Response:
            nonlocal until
            until = None
            try:
                return ask(request)
            except httpcore.ConnectionNotAvailable:  # another request's
                raise
            except BaseException:
                made.close()
                raise

        def is_over() -> bool:
            return is_closed() or (until is not None and monotonic() > until)

        def is_useless() -> bool:
            # What there is to read may be the answer to who has taken it meanwhile.
            return has_expired() and made.is_idle()

        made.handle_request = handle_request  # type: ignore[method-assign]
        made.is_closed = is_over  # type: ignore[method-assign]
        made.has_expired = is_useless  # type: ignore[method-assign]
        return made


class Proxy(Pool, httpcore.HTTPProxy):
    pass


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
