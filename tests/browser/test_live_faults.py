"""Faults switched on and off in the stand-in gateway while pages are open."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import Page, async_playwright
from pytest_django.live_server_helper import LiveServer

from dashboard import pipeline
from dashboard.alerts.services import install_default_rules
from dashboard.probes.models import Heartbeat, Probe
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.teams.keys import set_key
from tests.browser.site import FLAGS, listen
from tests.factories import make_gateway, make_team

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(teams=["acme"]) as running:
        yield running


@dataclass(slots=True)
class Look:
    """Two pages that stay open, and the prober that works meanwhile."""

    overview: Page
    probe: Page

    async def shows(self, verdict: str, state: str, *, runs: int) -> str:
        """Wait until both pages tell what some runs saw; return the tab's first word."""
        for _ in range(runs):
            await asyncio.to_thread(run_all)
        for page in (self.overview, self.probe):
            await page.locator("[data-live]").dispatch_event("renew")
        await self.overview.locator("h1", has_text=verdict).wait_for()
        await self.probe.locator(".state", has_text=state).first.wait_for()
        return (await self.overview.title()).split()[0]


def run_all() -> None:
    """Run every free probe once, as the prober does, in a thread of its own."""
    now = timezone.now()
    Heartbeat.objects.update_or_create(name="tick-0", defaults={"beat_at": now})
    free = Probe.objects.filter(enabled=True).select_related("gateway", "team")
    pipeline.probe_now(list(free), now)
    connection.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_open_pages_follow_an_outage_and_its_end(
    live_server: LiveServer,
    chromium: str,
    gateway: RunningGateway,
    width: int,
    scheme: str,
) -> None:
    watched = make_gateway(base_url=gateway.base_url, allow_private=True)
    team = make_team(watched, team_id="acme")
    set_key(team, "sk-sim-acme", timezone.now())
    watch_gateway(watched, timezone.now())
    watch_team(team, timezone.now())
    install_default_rules()
    health = Probe.objects.get(team=None)
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.com"))
    cookie = client.cookies["sessionid"].value
    complaints: list[str] = []

    async def watch() -> list[str]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=FLAGS
            )
            context = await browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            await context.add_cookies(
                [{"name": "sessionid", "value": cookie, "url": live_server.url}]
            )
            pages = [await context.new_page() for _ in range(2)]
            for page in pages:
                listen(page, complaints)
            await asyncio.to_thread(run_all)
            await pages[0].goto(live_server.url)
            await pages[1].goto(live_server.url + reverse("probe", args=[health.pk]))
            look = Look(*pages)
            titles = [await look.shows("All clear", "ok", runs=1)]
            gateway.set_fault(Fault(FaultKind.UNAVAILABLE_HTML))
            titles.append(await look.shows("needs attention", "open", runs=3))
            gateway.clear_faults()
            titles.append(await look.shows("All clear", "closed", runs=3))
            await browser.close()
            return titles

    # While something fails, the tab's title begins with how many do.
    assert asyncio.run(watch()) == ["Overview", "1", "Overview"]
    assert complaints == []
