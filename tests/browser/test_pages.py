"""Every page in a real browser: no errors, no sideways scroll, nobody shut out.

The browser is driven inside asyncio.run, so that no event loop outlives a test and the
ORM of later tests does not refuse to work.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import BrowserContext, Page, Response, async_playwright
from pytest_django.live_server_helper import LiveServer

from dashboard.alerts.models import Incident, Rule, RuleKind, Severity, Silence
from dashboard.alerts.services import install_default_rules
from dashboard.probes.models import Breaker, Heartbeat, Outcome, Probe
from dashboard.probes.queries import breaker_keys
from dashboard.rollups.services import fold
from dashboard.web.models import PublicPage
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
AXE = Path(__file__).parent / "vendor/axe.min.js"
# Both themes and both layouts, each once: it takes most of a visit's time.
AXE_LOOKS = [(1280, "light"), (390, "dark")]


# Without the style sheets that it would load by itself, against the page's policy.
_AXE_RUN = "axe.run({resultTypes: ['violations'], preload: false})"


@dataclass(frozen=True, slots=True)
class Site:
    """A running site with one of everything, and a session that may see it."""

    url: str
    cookie: str
    chromium: str
    probe: Probe
    incident: Incident
    failed: Outcome
    rule_pk: int
    admin_pk: int

    def drawn(self) -> list[str]:
        """Return the pages with charts, whose colours a script reads from the theme."""
        probe = reverse("probe", args=[self.probe.pk])
        return [
            *map(reverse, ("overview", "trends", "credits")),
            probe,
            f"{probe}?range=7d&compare=1",
            reverse("team", args=[self.probe.team_id]),
            reverse("incident", args=[self.incident.pk]),
            reverse("rule_past", args=[self.rule_pk]),
        ]

    def addresses(self) -> list[str]:
        names = (
            *("teams", "incidents", "silences", "breakers"),
            *("outcomes", "audit", "mail", "channels", "status", "start", "password"),
        )
        return [
            *self.drawn(),
            *map(reverse, names),
            f"{reverse('search')}?q=team",
            reverse("outcome", args=[self.failed.pk]),
            reverse("public", args=["open"]),
        ]

    def forms(self) -> list[str]:
        """Return the pages on which things are changed: mostly fields and tables."""
        team, gateway = self.probe.team_id, self.probe.gateway_id
        return [
            reverse("team_settings", args=[team]),
            reverse("team_rule", args=[team, RuleKind.ERROR_RATE]),
            reverse("storage"),
            reverse("admin:teams_team_changelist"),
            reverse("admin:teams_team_change", args=[team]),
            reverse("admin:teams_gateway_change", args=[gateway]),
            reverse("admin:probes_probe_changelist"),
            reverse("admin:auth_user_change", args=[self.admin_pk]),
            reverse("admin:probes_outcome_changelist"),
        ]


@dataclass(slots=True)
class Visit:
    """What a page said and looked like, and what the browser complained about."""

    complaints: list[str] = field(default_factory=list)
    width: int = 0
    charts: int = 0
    drawn: int = 0
    violations: list[str] = field(default_factory=list)


_FIRST_TRY = ["server_error", 500, 0.0, 0.03, 0.002, None, 0.027, 0.001]
_SECOND_TRY = ["server_error", 500, 0.8, 0.05, 0.002, None, 0.047, 0.001]


@pytest.fixture
def site(live_server: LiveServer, chromium: str) -> Site:
    now = timezone.now()
    Heartbeat.objects.create(name="tick-0", beat_at=now)
    install_default_rules()
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
            attempts=2 if n % 9 == 0 else 1,
            attempt_log=[_FIRST_TRY, _SECOND_TRY] if n % 9 == 0 else None,
            connect_us=2_000,
            first_byte_us=45_000,
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
    Silence.objects.create(
        team=team,
        starts_at=now - timedelta(hours=5),
        ends_at=now - timedelta(hours=4),
        reason="We move the database",
    )
    Breaker.objects.create(
        gateway=team.gateway,
        key=next(iter(breaker_keys(probe).values())),
        failures=5,
        opened_at=now.timestamp() - 10,
        open_until=now.timestamp() + 50,
        reason="server_error",
    )
    PublicPage.objects.create(
        title="Open to everybody", slug="open", gateway=team.gateway, is_open=True
    )
    client = Client()
    admin = User.objects.create_superuser("root", "root@example.com")
    client.force_login(admin)
    return Site(
        live_server.url,
        client.cookies["sessionid"].value,
        chromium,
        probe,
        incident,
        outcomes[0],
        Rule.objects.get(kind=RuleKind.ERROR_RATE).pk,
        admin.pk,
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
            timezone_id="Pacific/Auckland",
        )
        await context.add_cookies(
            [{"name": "sessionid", "value": site.cookie, "url": site.url}]
        )
        yield context
        await browser.close()


def listen(page: Page, complaints: list[str]) -> None:
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))


async def visit(
    context: BrowserContext, address: str, *, with_axe: bool = False
) -> Visit:
    """Open a page; `with_axe` looks for what shuts people out, closed parts included."""
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
    if with_axe:
        await page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        # Evaluated by the debugger: the page's own policy would refuse it.
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(_AXE_RUN)
        seen.violations = [
            f"{each['id']}: {node['html'][:200]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]
    await page.close()
    return seen


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_is_sound(site: Site, width: int, scheme: str) -> None:
    with_axe = (width, scheme) in AXE_LOOKS
    # The theme moves nothing: in the other two looks only what is drawn differs.
    forms = site.forms()[AXE_LOOKS.index((width, scheme)) :: 2] if with_axe else []
    addresses = site.addresses() + forms if with_axe else site.drawn()

    async def walk() -> dict[str, Visit]:
        async with browsing(site, width, scheme) as context:
            return {
                address: await visit(context, site.url + address, with_axe=with_axe)
                for address in addresses
            }

    visits = asyncio.run(walk())

    for address, seen in visits.items():
        assert seen.complaints == [], address
        assert seen.width <= width, address
        assert seen.drawn == seen.charts, address
    assert {where: seen.violations for where, seen in visits.items()} == {
        where: [] for where in visits
    }
    assert visits["/"].charts == 2
    assert {where for where, seen in visits.items() if seen.charts} <= {*site.drawn()}


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
            await page.get_by_role("heading", name="3 things").wait_for()
            return (
                before,
                await page.title(),
                await page.locator("canvas[data-ready]").count(),
                await page.locator("details[open]").count() == 1,
            )

    before, after, charts, is_still_open = asyncio.run(watch())

    assert before.startswith("2 failing")
    assert after.startswith("3 failing")
    assert charts == 2
    assert is_still_open
    assert complaints == []


def test_a_chart_is_zoomed_by_dragging_and_leads_to_results_by_a_click(
    site: Site,
) -> None:
    complaints: list[str] = []

    async def handle() -> tuple[str, str, str]:
        async with browsing(site, 1280, "light") as context:
            page = await context.new_page()
            listen(page, complaints)
            address = site.url + reverse("probe", args=[site.probe.pk])
            await page.goto(address)
            chart = page.locator("#canvas-latency[data-ready]")
            await chart.scroll_into_view_if_needed()
            box = await chart.bounding_box()
            assert box is not None
            y = box["y"] + box["height"] / 2
            await page.mouse.move(box["x"] + box["width"] * 0.5, y)
            await page.mouse.down()
            await page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=4)
            is_shown = await page.locator(".choice:visible").count()
            assert is_shown == 1
            await page.mouse.up()
            await page.wait_for_url("**from=**")
            zoomed = page.url
            chosen = await page.locator("#free-range summary").inner_text()
            chart = page.locator("#canvas-errors[data-ready]")
            await chart.scroll_into_view_if_needed()
            await chart.click(position={"x": 300, "y": 80})
            await page.wait_for_url("**/outcomes/**")
            listed = page.url
            await page.goto(address)
            await by_finger(context, page)
            await page.wait_for_url("**from=**")
            return zoomed, chosen, listed

    zoomed, chosen, listed = asyncio.run(handle())

    assert "to=" in zoomed
    assert "range=" not in zoomed
    assert " to " in chosen
    assert f"probe={site.probe.pk}" in listed
    assert "from=" in listed
    assert complaints == []


async def by_finger(context: BrowserContext, page: Page) -> None:
    """Draw a finger over a quarter of the latency chart, sideways."""
    chart = page.locator("#canvas-latency[data-ready]")
    await chart.scroll_into_view_if_needed()
    box = await chart.bounding_box()
    assert box is not None
    session = await context.new_cdp_session(page)
    y = box["y"] + box["height"] / 2
    for place, kind in ((0.5, "touchStart"), (0.6, "touchMove"), (0.75, "touchMove")):
        point = {"x": box["x"] + box["width"] * place, "y": y}
        await session.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]}
        )
    await session.send(
        "Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []}
    )


def test_everything_is_reached_by_the_keyboard(site: Site) -> None:
    complaints: list[str] = []

    async def handle() -> list[object]:
        async with browsing(site, 1280, "light") as context:
            page = await context.new_page()
            listen(page, complaints)
            await page.goto(site.url)
            seen: list[object] = []
            await page.keyboard.press("?")
            seen.append(await page.locator("dialog.keys").is_visible())
            await page.keyboard.press("Escape")
            await page.keyboard.press("j")
            await page.keyboard.press("j")
            await page.keyboard.press("k")
            seen.append(await page.evaluate("document.activeElement.className"))
            strip = page.locator(".strip-box").first
            await strip.focus()
            await page.keyboard.press("Home")
            await page.keyboard.press("End")
            await page.keyboard.press("ArrowLeft")
            seen.append(await strip.get_attribute("aria-valuenow"))
            seen.append(await page.locator(".tip").inner_text())
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/outcomes/**")
            await page.keyboard.press("/")
            await page.keyboard.type("team")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/search/**")
            await page.keyboard.press("g")
            await page.keyboard.press("i")
            await page.wait_for_url("**/incidents/")
            return seen

    sheet, focused, hour, tip = asyncio.run(handle())

    assert sheet is True
    assert focused == "title"
    assert hour == "22"
    assert "ok" in str(tip) or "failed" in str(tip)
    assert complaints == []


def test_the_theme_and_the_zone_are_switched_and_stay(site: Site) -> None:
    async def handle() -> tuple[str, str, str, str, bool]:
        async with browsing(site, 1280, "light") as context:
            page = await context.new_page()
            await page.goto(site.url)
            ground = "getComputedStyle(document.body).backgroundColor"
            light = await page.evaluate(ground)
            await page.locator("[data-theme-switch]").click()
            await page.locator("[data-theme-switch]").click()
            await page.locator("[data-zone-switch]").click()
            await page.wait_for_url("**zone=**")
            await page.goto(f"{site.url}/teams/")
            dark = await page.evaluate(ground)
            ink = "getComputedStyle(document.querySelector('h1')).color"
            seen = await page.evaluate(ink)
            await page.emulate_media(media="print")
            return (
                light,
                dark,
                await page.locator("html").get_attribute("data-theme") or "",
                await page.locator("html").get_attribute("data-zone") or "",
                # Paper is light whatever the screen is, and nobody clicks on it.
                seen != await page.evaluate(ink)
                and await page.locator(".printed").is_visible()
                and not await page.locator(".menu").is_visible(),
            )

    light, dark, theme, zone, is_for_paper = asyncio.run(handle())

    assert dark != light
    assert theme == "dark"
    assert zone == "Pacific/Auckland"
    assert is_for_paper


def test_a_run_that_is_asked_for_shows_its_result_by_itself(site: Site) -> None:
    complaints: list[str] = []

    async def handle() -> str:
        async with browsing(site, 390, "dark") as context:
            page = await context.new_page()
            listen(page, complaints)
            await page.goto(site.url + reverse("probe", args=[site.probe.pk]))
            await page.get_by_role("button", name="Probe now").click()
            await page.locator("[data-soon]").wait_for()
            await asyncio.to_thread(
                make_outcome, site.probe, started_at=timezone.now(), status_code=200
            )
            result = page.locator("section[aria-labelledby=run] .state")
            await result.wait_for()
            return await result.inner_text()

    assert asyncio.run(handle()) == "ok"
    assert complaints == []


def test_lost_connections_and_layout_shifts_are_seen(site: Site) -> None:
    async def handle() -> tuple[float, bool, str]:
        async with browsing(site, 390, "light") as context:
            page = await context.new_page()
            await page.goto(site.url)
            await page.locator("canvas[data-ready]").first.wait_for()
            for _ in range(2):
                async with page.expect_response(lambda answer: answer.ok):
                    await page.locator("[data-live]").dispatch_event("renew")
            shift = await page.evaluate(_LAYOUT_SHIFT)
            await context.set_offline(True)
            await page.locator("[data-live]").dispatch_event("renew")
            note = page.locator(".offline")
            await note.wait_for(state="visible")
            icon = await page.locator("link[rel=icon]").get_attribute("href")
            return shift, await note.is_visible(), icon or ""

    shift, is_told, icon = asyncio.run(handle())

    assert shift < 0.1
    assert is_told
    assert icon.startswith("data:image/svg+xml")
    assert "%3E2%3C" in icon


_LAYOUT_SHIFT = """new Promise(resolve => {
  let total = 0;
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) total += entry.hadRecentInput ? 0 : entry.value;
  }).observe({type: "layout-shift", buffered: true});
  setTimeout(() => resolve(total), 100);
})"""


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

    assert "2 things need attention" in text
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
