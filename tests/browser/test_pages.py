"""Every page in a real browser: no errors, no sideways scroll, charts drawn.

The browser is driven inside asyncio.run, so that no event loop outlives a test and the
ORM of later tests does not refuse to work.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import BrowserContext, Page, Response, async_playwright
from pytest_django.live_server_helper import LiveServer

from dashboard.alerts.models import Incident, RuleKind, Severity
from dashboard.probes.models import Heartbeat, Probe
from dashboard.rollups.services import fold
from tests.factories import (
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Chromium as root in a container, and silent.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@dataclass(frozen=True, slots=True)
class Site:
    """A running site with one of everything, and a session that may see it."""

    url: str
    cookie: str
    chromium: str
    probe: Probe
    incident: Incident

    def addresses(self) -> list[str]:
        return [
            reverse("overview"),
            reverse("probe", args=[self.probe.pk]),
            reverse("teams"),
            reverse("team", args=[self.probe.team_id]),
            reverse("incidents"),
            reverse("incident", args=[self.incident.pk]),
            reverse("mail"),
            reverse("start"),
            reverse("password"),
        ]


@dataclass(slots=True)
class Visit:
    """What a page said and looked like, and what the browser complained about."""

    complaints: list[str] = field(default_factory=list)
    width: int = 0
    charts: int = 0
    drawn: int = 0


@pytest.fixture
def site(live_server: LiveServer, chromium: str) -> Site:
    now = timezone.now()
    Heartbeat.objects.create(name="tick-0", beat_at=now)
    team = make_team(
        make_gateway(name="Production-with-a-rather-long-name"),
        team_id="a-team-id-without-any-place-to-break-it-0123456789",
    )
    probe = make_probe(team=team, last_at=now)
    outcomes = [
        make_outcome(
            probe,
            started_at=now - timedelta(minutes=7 * n),
            error_class="server_error" if n % 9 == 0 else "",
            detail="<script>alert(1)</script>" * 8 if n % 9 == 0 else "",
        )
        for n in range(150)
    ]
    fold(outcomes)
    for hour in range(40):
        make_reading(
            team, read_at=now - timedelta(hours=hour), remaining=400.0 + 5 * hour
        )
    incident = Incident.objects.create(
        kind=RuleKind.ERROR_RATE,
        identity="error_rate:probe:1",
        gateway=team.gateway,
        team=team,
        probe=probe,
        severity=Severity.CRITICAL,
        summary="Production: 61 % of 90 results failed (server error)",
        error_class="server_error",
        evidence={"classes": {"server_error": 55}},
        opened_at=now - timedelta(minutes=30),
        evaluated_at=now,
    )
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.com"))
    return Site(
        live_server.url, client.cookies["sessionid"].value, chromium, probe, incident
    )


@asynccontextmanager
async def browsing(
    site: Site, width: int, scheme: str
) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=site.chromium, args=FLAGS
        )
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        await context.add_cookies(
            [{"name": "sessionid", "value": site.cookie, "url": site.url}]
        )
        yield context
        await browser.close()


def listen(page: Page, complaints: list[str]) -> None:
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))


async def visit(context: BrowserContext, address: str) -> Visit:
    seen = Visit()
    page = await context.new_page()
    listen(page, seen.complaints)
    await page.goto(address)
    charts = page.locator("canvas[data-chart]")
    seen.charts = await charts.count()
    for place in range(seen.charts):
        await charts.nth(place).and_(page.locator("[data-ready]")).wait_for()
    seen.drawn = await page.locator("canvas[data-ready]").count()
    seen.width = await page.evaluate("document.documentElement.scrollWidth")
    await page.close()
    return seen


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_is_sound(site: Site, width: int, scheme: str) -> None:
    async def walk() -> dict[str, Visit]:
        async with browsing(site, width, scheme) as context:
            return {
                address: await visit(context, site.url + address)
                for address in site.addresses()
            }

    visits = asyncio.run(walk())

    for address, seen in visits.items():
        assert seen.complaints == [], address
        assert seen.width <= width, address
        assert seen.drawn == seen.charts, address
    assert visits["/"].charts == 2


def test_the_overview_renews_itself_and_keeps_its_charts(site: Site) -> None:
    complaints: list[str] = []

    async def watch() -> tuple[str, str, int, bool]:
        async with browsing(site, 1280, "light") as context:
            page = await context.new_page()
            listen(page, complaints)
            await page.goto(site.url)
            await page.locator("canvas[data-ready]").first.wait_for()
            await page.locator("details summary").first.click()
            before = await page.title()
            async with page.expect_response(
                lambda answer: answer.url == site.url + "/"
            ):
                await asyncio.to_thread(break_down, site.probe)
                await page.locator("[data-live]").dispatch_event("renew")
            await page.get_by_text("2 things need attention").wait_for()
            return (
                before,
                await page.title(),
                await page.locator("canvas[data-ready]").count(),
                await page.locator("details[open]").count() == 1,
            )

    before, after, charts, is_still_open = asyncio.run(watch())

    assert before.startswith("1 failing")
    assert after.startswith("2 failing")
    assert charts == 2
    assert is_still_open
    assert complaints == []


def break_down(probe: Probe) -> None:
    other = make_probe(gateway=probe.gateway)
    Probe.objects.filter(pk=other.pk).update(
        last_at=timezone.now(), last_error="server_error", failing_since=timezone.now()
    )


def test_an_ended_session_never_shows_the_log_in_inside_a_page(site: Site) -> None:
    async def watch() -> str:
        async with browsing(site, 1280, "light") as context:
            page = await context.new_page()
            await page.goto(site.url + "/teams/")
            await context.clear_cookies()
            await page.locator("[data-live]").dispatch_event("renew")
            await page.wait_for_url("**/log-in/**")
            return await page.locator("h1").inner_text()

    assert asyncio.run(watch()) == "Log in"


def test_pages_are_right_without_scripts(site: Site) -> None:
    async def read() -> str:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=site.chromium, args=FLAGS
            )
            context = await browser.new_context(java_script_enabled=False)
            await context.add_cookies(
                [{"name": "sessionid", "value": site.cookie, "url": site.url}]
            )
            page = await context.new_page()
            await page.goto(site.url)
            text = await page.locator("main").inner_text()
            await browser.close()
            return text

    text = asyncio.run(read())

    assert "1 thing needs attention" in text
    assert "The same as a table" in text


def test_a_cold_overview_is_light(site: Site) -> None:
    sizes: list[int] = []

    async def load() -> None:
        async with browsing(site, 1280, "light") as context:
            page = await context.new_page()
            answers: list[Response] = []
            page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 (Playwright marks its handlers, and cannot mark a built-in)
            await page.goto(site.url)
            await page.locator("canvas[data-ready]").first.wait_for()
            bodies = [await answer.body() for answer in answers]
            sizes.extend(len(zlib.compress(body, 9)) for body in bodies)

    asyncio.run(load())

    assert sum(sizes) < 150_000
