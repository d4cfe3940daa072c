"""Gatewatch as its users run it: a file, two commands, a gateway, a mail server."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from html import unescape

import httpx
import pytest

from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, TeamShape, example_key
from tests.alerts.mailbox import Mailbox, open_mailbox
from tests.commands.stack import Up, manage, plain, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.hostile]
PERIOD_S = 5
PASSWORD = "correct-horse-battery"
TEAMS = (
    Team("active"),
    Team("flat", shape=TeamShape.FLAT),
    Team("low", credits_remaining=150),
    Team("empty", credits_remaining=0),
    Team("suspended", status="suspended"),
    Team("paused", status="paused"),
)


@dataclass(frozen=True, slots=True)
class Watched:
    """A running Gatewatch, what it watches and where its mails arrive."""

    gateway: RunningGateway
    mailbox: Mailbox
    browser: httpx.Client

    def page(self, path: str = "/") -> str:
        """Return a page's words, as a person reads them."""
        answer = self.browser.get(path).raise_for_status()
        text = re.sub(
            r"<(script|style).*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL
        )
        return " ".join(unescape(text).split())

    def subjects(self, start: int = 0) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mailbox.messages[start:]]


def config(base_url: str) -> str:
    text = f"""
        [[gateways]]
        name = "Production"
        base_url = "{base_url}/api"
        allow_private = true
        [[gateways.probes]]
        kind = "health"
        period_s = {PERIOD_S}
        [[rules]]
        name = "Errors, seen soon and forgotten soon"
        kind = "error_rate"
        gateway = "Production"
        warn_at = 0.2
        window_s = 30
        [[recipients]]
        email = "ops@example.com"
    """
    for team in TEAMS:
        text += f"""
            [[gateways.teams]]
            team_id = "{team.team_id}"
            key = "env:KEY_{team.team_id.upper()}"
            [[gateways.teams.probes]]
            kind = "team_status"
            period_s = {PERIOD_S}
            [[gateways.teams.probes]]
            kind = "balance"
            period_s = {PERIOD_S}
        """
    return text


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("gatewatch")
    file = folder / "gatewatch.toml"
    with running_gateway(TEAMS) as gateway, open_mailbox() as mailbox:
        file.write_text(config(gateway.base_url))
        environment = plain(folder) | {
            f"KEY_{team.team_id.upper()}": example_key(team.team_id) for team in TEAMS
        }
        environment |= {
            "EMAIL_URL": mailbox.url,
            "GATEWATCH_MAIL_WAIT_S": "3",
            "GATEWATCH_MAIL_INTERVAL_S": "5",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        loaded = manage(environment, "load_config", str(file))
        assert loaded.returncode == 0, loaded.stderr
        admin = ("--noinput", "--username", "alice", "--email", "alice@example.com")
        assert manage(environment, "createsuperuser", *admin).returncode == 0
        up = Up(environment)
        try:
            with httpx.Client(
                base_url=up.address, follow_redirects=True, timeout=30
            ) as browser:
                log_in(browser)
                yield Watched(gateway, mailbox, browser)
        finally:
            up.stop()


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return f"{mail['Subject']} {part.get_content()}"


def attention(watched: Watched) -> str:
    """Return what the overview says needs attention."""
    return watched.page().partition("Needs attention")[2].partition("last hour")[0]


def outages(watched: Watched) -> bool:
    """Say whether an incident is open that the gateway's faults cause.

    The errors of a suspended team stay open, unmailed: its own alarm speaks for them.
    """
    caused = (
        r"(Health|(Team status|Balance) of (active|flat|low|empty))\b|probes failing"
    )
    return bool(re.search(caused, watched.page("/incidents/?state=open")))


def settled(watched: Watched) -> None:
    """Return once no mail has waited or arrived for more than two periods."""
    quiet_since = [time.monotonic()]
    seen = [-1]

    def quiet() -> bool:
        health = watched.browser.get("/healthz").json()
        arrived = len(watched.mailbox.messages)
        if health["outbox"]["depth"] or arrived != seen[0]:
            seen[0], quiet_since[0] = arrived, time.monotonic()
        return time.monotonic() - quiet_since[0] > 2 * PERIOD_S + 2

    wait_for(quiet, 120, pause_s=0.5)


def log_in(browser: httpx.Client) -> None:
    page = browser.get("/").text
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    answer = browser.post(
        browser.get("/").url,
        data={
            "csrfmiddlewaretoken": token,
            "username": "alice",
            "password": PASSWORD,
        },
    )
    assert "Log out" in answer.text


def test_every_kind_of_team_is_shown_as_it_is(watched: Watched) -> None:
    def all_seen() -> bool:
        page = watched.page("/teams/")
        return page.count("active") >= 4 and "suspended" in page and "paused" in page

    wait_for(all_seen, 30)

    page = watched.page("/teams/")
    assert "15 % left (150 of 1,000 credits)" in page
    assert "exhausted" in page
    overview = watched.page()
    for team, state in (("suspended", "suspended"), ("paused", "paused")):
        assert re.search(rf"{team}\b.*\b{state}", overview)
    assert example_key("active") not in watched.browser.get("/teams/").text


def test_their_alarms_arrive_as_mail_once(watched: Watched) -> None:
    def told() -> bool:
        bodies = " ".join(text_of(mail) for mail in watched.mailbox.messages)
        return all(word in bodies for word in ("suspended", "paused", "150 of 1,000"))

    wait_for(told, 60)

    openings = " ".join(text_of(mail) for mail in watched.mailbox.messages)
    for story in ("150 of 1,000 credits", "0 of 1,000 credits"):
        assert openings.count(story) >= 1
    for mail in watched.mailbox.messages:
        assert mail["To"] == "ops@example.com"
        assert mail.get_body(("html",)) is not None
        assert example_key("low") not in mail.as_string()
    assert len(set(watched.mailbox.ids)) == len(watched.mailbox.ids)


@pytest.mark.parametrize(
    ("fault", "failing", "subject"),
    [
        (
            Fault(FaultKind.ERROR_TEXT, route="* /api/*"),
            "Team status of active",
            "probes failing",
        ),
        (Fault(FaultKind.UNAVAILABLE_HTML), "Health of Production", "gateway down"),
    ],
    ids=["its database is away", "all of it is away"],
)
def test_a_fault_shows_in_two_periods_and_mails_once_each_way(
    watched: Watched, fault: Fault, failing: str, subject: str
) -> None:
    wait_for(lambda: not outages(watched), 120, pause_s=0.5)
    settled(watched)
    before = len(watched.mailbox.messages)

    watched.gateway.set_fault(fault)
    wait_for(lambda: failing in attention(watched), 2 * PERIOD_S)
    wait_for(lambda: len(watched.mailbox.messages) > before, 60)
    settled(watched)
    assert len(watched.subjects(before)) == 1, watched.subjects(before)
    opening = watched.mailbox.messages[before]
    assert "Production" in str(opening["Subject"])
    assert subject in str(opening["Subject"])

    watched.gateway.clear_faults()
    wait_for(lambda: len(watched.mailbox.messages) > before + 1, 60)
    settled(watched)
    assert len(watched.subjects(before)) == 2, watched.subjects(before)
    recovery = watched.mailbox.messages[before + 1]
    assert "RESOLVED" in str(recovery["Subject"]).upper()
    assert opening["Message-ID"] in str(recovery["References"])
