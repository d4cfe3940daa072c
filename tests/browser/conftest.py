import pytest
from pytest_django.live_server_helper import LiveServer

from tests.browser.site import Site, make_site


@pytest.fixture
def site(live_server: LiveServer, chromium: str) -> Site:
    return make_site(live_server.url, chromium)
