"""What the tests of pages share: a look at a page, and what must never be on one."""

from django.test import Client
from django.urls import reverse

HOSTILE = "<script>alert('gotcha')</script>"
CANARY = "sk-canary-0123456789-tail"


def page(client: Client, name: str, *args: int, query: str = "") -> str:
    """Return the HTML of a page that must be there."""
    response = client.get(reverse(name, args=args) + query)
    assert response.status_code == 200
    return response.content.decode()


def overview(client: Client, *, part: bool = False) -> str:
    """Return the HTML of the overview, or of the part that renews itself."""
    headers = {"HX-Request": "true"} if part else {}
    response = client.get("/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()
