"""Pages at work in a real browser: renewed, zoomed, switched, and without a network."""

import asyncio

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import BrowserContext, Page

from dashboard.probes.models import Probe
from tests.browser.site import Site, browsing, listen
from tests.factories import (
    make_outcome,
    make_probe,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


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
            # Who goes on by the keyboard goes on from what he asked for.
            assert await page.locator("#run:focus").count() == 1
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
