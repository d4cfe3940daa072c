"""Find the route of a request, as the real server's framework does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.simulator.answers import Refusal, detail, redirect
from dashboard.simulator.requests import Request, Route


@dataclass(frozen=True, slots=True)
class Found:
    route: Route
    params: dict[str, str]


class Router:
    """The first route whose method and path both fit wins; a path alone gives 405."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(_pattern(route.template), route) for route in routes]
        self._fixed = {
            (route.method, route.template): Found(route, {})
            for route in routes
            if "{" not in route.template
        }

    def find(self, request: Request) -> Found:
        """Return the route and its parameters, or refuse with 307, 404 or 405."""
        fixed = self._fixed.get((request.method, request.path))
        if fixed is not None:
            return fixed
        allowed: str | None = None
        for pattern, route in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            if route.method == request.method:
                return Found(route, match.groupdict())
            allowed = allowed or route.method
        if allowed is not None:
            raise Refusal(detail(405, "Method Not Allowed", ("allow", allowed)))
        raise self._unknown(request)

    def _unknown(self, request: Request) -> Refusal:
        path = request.path.rstrip("/")
        if path != request.path and any(one.fullmatch(path) for one, _ in self._routes):
            host = request.headers.get("host", "")
            return Refusal(redirect(f"http://{host}{path}"))
        return Refusal(detail(404, "Not Found"))


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(
        f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part)
        for place, part in enumerate(parts)
    )
    return re.compile(text)
