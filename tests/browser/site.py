"""A running site with one of everything, and what a browser sees of its pages.

The browser is driven inside asyncio.run, so that no event loop outlives a test and the
ORM of later tests does not refuse to work.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import BrowserContext, Page, async_playwright

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
AXE = Path(__file__).parent / "vendor/axe.min.js"
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


def make_site(url: str, chromium: str) -> Site:
    now = timezone.now()
    Heartbeat.objects.create(name="tick-0", beat_at=now)
    install_default_rules()
    # As long as they may be, without any place to break them.
    team = make_team(make_gateway(name="W" * 80), team_id="W" * 255, name="W" * 120)
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
        reason="W" * 200,
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
        url,
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
    site: Site, width: int, scheme: str, *, scripts: bool = True
) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=site.chromium, args=FLAGS
        )
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            timezone_id="Pacific/Auckland",
            java_script_enabled=scripts,
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
