"""Pages that renew themselves: the whole page, or only the part that changes."""

from django.http import HttpRequest


def template_of(request: HttpRequest, name: str) -> str:
    """Return the page's template, or its live part's when htmx asks for that."""
    part = request.headers.get("HX-Request") == "true"
    return f"web/_{name}.html" if part else f"web/{name}.html"
