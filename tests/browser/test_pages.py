"""Every page in a real browser: no errors, no sideways scroll, nobody shut out."""

import asyncio
import zlib

import pytest
from playwright.async_api import Response

from tests.browser.site import Site, Visit, browsing, visit

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
# Both themes and both layouts, each once: it takes most of a visit's time.
AXE_LOOKS = [(1280, "light"), (390, "dark")]


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


def test_pages_are_right_without_scripts(site: Site) -> None:
    async def read() -> str:
        async with browsing(site, 1280, "light", scripts=False) as context:
            page = await context.new_page()
            await page.goto(site.url)
            return await page.locator("main").inner_text()

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
