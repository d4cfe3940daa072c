"""Pages that renew themselves: the whole page, or only the part that changes."""

from django.http import HttpRequest


def is_renewal(request: HttpRequest) -> bool:
    """Say whether htmx asks for the part that changes."""
    return request.headers.get("HX-Request") == "true"


def template_of(request: HttpRequest, name: str) -> str:
    """Return the page's template, or its live part's when htmx asks for that."""
    return f"web/_{name}.html" if is_renewal(request) else f"web/{name}.html"
