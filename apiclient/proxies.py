"""httpcore's proxies, but for what they keep of a connection that failed behind them.

Where the TLS to a gateway fails, or is cancelled, httpcore forgets to close what leads to
the proxy: its place in the pool would be taken for ever.
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


class AsyncProxy(httpcore.AsyncHTTPProxy):
    def create_connection(
        self, origin: httpcore.Origin
    ) -> httpcore.AsyncConnectionInterface:
        made = super().create_connection(origin)
        ask = made.handle_async_request

        async def handle_async_request(request: httpcore.Request) -> httpcore.Response:
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
