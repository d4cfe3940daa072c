"""The first minutes by hand, in a real browser: from nothing to ten teams with alarms."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.async_api import async_playwright
from pytest_django.live_server_helper import LiveServer

from dashboard.alerts.models import Recipient
from dashboard.probes.models import Probe
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.teams.models import Team
from tests.browser.site import AXE, FLAGS, listen

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TEAMS = [f"team-{number}" for number in range(10)]
# "In under three minutes without a manual": the machine's part of it.
MOST_S = 30.0


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(teams=TEAMS) as running:
        yield running


def test_an_empty_installation_watches_ten_teams_after_two_forms(
    live_server: LiveServer, chromium: str, gateway: RunningGateway
) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.com"))
    cookie = client.cookies["sessionid"].value
    complaints: list[str] = []

    async def watch() -> tuple[list[str], str]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=FLAGS
            )
            context = await browser.new_context(viewport={"width": 390, "height": 900})
            await context.add_cookies(
                [{"name": "sessionid", "value": cookie, "url": live_server.url}]
            )
            page = await context.new_page()
            listen(page, complaints)
            # The overview of nothing leads to the guide.
            await page.goto(live_server.url)
            await page.get_by_label("Name").fill("Production")
            await page.get_by_label("Base URL").fill(gateway.base_url)
            await page.get_by_label("private or loopback").check()
            await page.get_by_label("Team id").fill("team-3")
            await page.get_by_label("Virtual key").fill("sk-sim-team-3")
            await page.get_by_role("button", name="Try it").click()
            await page.get_by_text("It answers, and has 10 teams.").wait_for()
            await page.get_by_role("button", name="Tick none").click()
            assert await page.locator("input[name=teams]:checked").count() == 0
            await page.get_by_role("button", name="Tick all").click()
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= 390
            await page.evaluate(AXE.read_text(encoding="utf-8"))
            found = await page.evaluate("axe.run({resultTypes: ['violations']})")
            await page.get_by_role("button", name="Start watching").click()
            said = await page.get_by_text("is watched from now on").inner_text()
            await browser.close()
            return [each["id"] for each in found["violations"]], said

    began = time.monotonic()
    violations, said = asyncio.run(watch())
    took_s = time.monotonic() - began

    assert said == "Production is watched from now on, with 10 teams."
    assert violations == []
    assert complaints == []
    assert set(Team.objects.values_list("team_id", flat=True)) == set(TEAMS)
    assert Probe.objects.filter(enabled=True).count() == 21
    assert Recipient.objects.get().email == "root@example.com"
    assert took_s < MOST_S
