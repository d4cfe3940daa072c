"""Status pages and badges for everybody: off by default, cached, and silent on details."""

from collections.abc import Iterator
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import RuleKind, Silence
from dashboard.probes.models import Heartbeat, Probe, ProbeKind
from dashboard.rollups.services import fold
from dashboard.teams.keys import set_key
from dashboard.teams.models import Gateway
from dashboard.web.badges import badge
from dashboard.web.models import PublicPage
from dashboard.web.pages.public import NAMES
from dashboard.web.states import Tone
from tests.factories import (
    NOW,
    make_gateway,
    make_incident,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db

PAGE, BADGE = "/public/here/", "/public/here/badge.svg"


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    cache.clear()


def opened(**fields: object) -> PublicPage:
    defaults = {"title": "Our gateway", "slug": "here", "is_open": True}
    return PublicPage.objects.create(**{**defaults, **fields})


def seen(probe: Probe, *, failed: bool = False, days_ago: int = 0) -> None:
    """Store one result, and note it as the latest."""
    at = NOW - timedelta(days=days_ago, seconds=5)
    error = "server_error" if failed else ""
    fold([make_outcome(probe, started_at=at, error_class=error)])
    Probe.objects.filter(pk=probe.pk).update(last_at=at, last_error=error)
    Heartbeat.objects.get_or_create(name="tick-0", defaults={"beat_at": NOW})


def text(address: str = PAGE) -> str:
    response = Client().get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_it_is_closed_until_somebody_opens_it() -> None:
    page = PublicPage.objects.create(title="New", gateway=make_gateway())

    assert len(page.slug) >= 16
    for address in (f"/public/{page.slug}/", f"/public/{page.slug}/badge.svg"):
        assert Client().get(address).status_code == 404


def test_switched_off_again_it_is_gone_at_once() -> None:
    page = opened(gateway=make_gateway(), has_badge=True)
    assert text()
    assert text(BADGE)

    PublicPage.objects.filter(pk=page.pk).update(is_open=False)

    assert Client().get(PAGE).status_code == 404
    assert Client().get(BADGE).status_code == 404


def test_a_badge_is_off_by_default() -> None:
    opened(gateway=make_gateway())

    assert Client().get(BADGE).status_code == 404


@pytest.mark.parametrize(
    ("failing", "said"), [([], "All works."), ([0], "Some of it fails.")]
)
def test_it_tells_whether_it_works(failing: list[int], said: str) -> None:
    gateway = make_gateway()
    opened(gateway=gateway)
    for place in range(2):
        team = make_team(gateway)
        seen(make_probe(team), failed=place in failing)

    assert said in text()


@pytest.mark.parametrize(
    ("kind", "said"),
    [(ProbeKind.TEAM_STATUS, "All works."), (ProbeKind.KEY_CHECK, "Some of it fails.")],
)
def test_no_operator_tells_everybody_of_a_failure(kind: ProbeKind, said: str) -> None:
    """C-08: the breaker of a free probe opens for it by somebody's hand only."""
    team = make_team()
    set_key(team, "sk-secret-0123456789", NOW)
    is_free = kind == ProbeKind.TEAM_STATUS
    opened(gateway=team.gateway if is_free else None, team=None if is_free else team)
    held = make_probe(team, kind=kind)
    seen(make_probe(make_team(team.gateway)))
    seen(make_probe(team, kind=ProbeKind.BALANCE))
    seen(held)
    Probe.objects.filter(pk=held.pk).update(last_error="breaker_held")

    assert said in text()


@pytest.mark.parametrize(
    ("watched", "said"),
    [
        (timedelta(minutes=28), "Watched for 28 min so far. Below"),
        (timedelta(days=12), "50 % available in 12 d of watching. Below"),
        (timedelta(days=400), "50 % available in 90 days. Below"),
    ],
)
def test_the_share_is_of_the_time_that_was_watched(
    watched: timedelta, said: str
) -> None:
    gateway = make_gateway()
    Gateway.objects.update(created_at=NOW - watched)
    probe = make_probe(gateway=gateway)
    opened(gateway=gateway)
    seen(probe)
    fold([make_outcome(probe, -70, error_class="timeout")])

    assert said in text()


def test_where_nothing_is_known_no_share_is_told() -> None:
    opened(gateway=make_probe().gateway)

    assert "No results in 90 days." in text()


def test_where_everything_fails_it_is_down() -> None:
    probe = make_probe(gateway=make_gateway())
    opened(gateway=probe.gateway, has_badge=True)
    seen(probe, failed=True)

    assert "It is down." in text()
    assert "Our gateway: down" in text(BADGE)


def test_an_announced_maintenance_is_not_down() -> None:
    """A-59: its results are in no number, and so in no state that all are shown."""
    gateway = make_gateway()
    health = make_probe(gateway=gateway, kind=ProbeKind.HEALTH)
    status = make_probe(make_team(gateway))
    seen(health, failed=True)
    seen(status, failed=True)
    opened(gateway=gateway, has_badge=True)
    hour = timedelta(hours=1)
    told = {"gateway": gateway, "starts_at": NOW - hour, "ends_at": NOW + hour}

    silence = Silence.objects.create(reason="new version", maintenance=True, **told)
    assert "as was announced" in text()
    assert "down" not in text()
    assert ": maintenance" in text(BADGE)

    cache.clear()
    Silence.objects.filter(pk=silence.pk).update(probe=status)
    assert "It is down." in text()

    cache.clear()
    Silence.objects.filter(pk=silence.pk).update(probe=None, maintenance=False)
    assert "It is down." in text()


def test_old_results_are_no_state() -> None:
    probe = make_probe(gateway=make_gateway())
    opened(gateway=probe.gateway, has_badge=True)
    seen(probe)
    Heartbeat.objects.update(beat_at=NOW - timedelta(hours=1))

    assert "not known at the moment" in text()
    assert "Our gateway: unknown" in text(BADGE)


def test_ninety_days_are_bars_and_days_without_results_are_outlines() -> None:
    probe = make_probe(gateway=make_gateway(created_at=NOW - timedelta(days=200)))
    opened(gateway=probe.gateway)
    seen(probe, failed=True, days_ago=10)
    seen(probe, days_ago=5)
    seen(probe)

    shown = text()

    assert "Below 99.5 % on 1 of 3 days with results" in shown
    assert shown.count("M") >= 90
    for cell in ("ok", "bad", "none"):
        assert f'data-cell="{cell}"' in shown


def test_it_says_nothing_of_teams_credits_keys_or_errors() -> None:
    team = make_team(make_gateway(name="secret-gateway"), name="secret-team")
    set_key(team, "sk-secret-0123456789", NOW)
    probe = make_probe(team, kind=ProbeKind.BALANCE)
    opened(team=team, has_badge=True)
    seen(probe, failed=True)
    Probe.objects.filter(pk=probe.pk).update(last_error="team_suspended")
    make_reading(team, remaining=77.0)
    make_incident(
        kind=RuleKind.TEAM_STATE,
        gateway=team.gateway,
        team=team,
        summary="secret-summary",
    )

    shown = text() + text(BADGE)

    for told in ("secret", team.team_id, "suspended", "77", "server_error", "Server"):
        assert told not in shown


def test_it_may_be_cached_and_is_not_sent_twice() -> None:
    opened(gateway=make_gateway(), has_badge=True)
    for address in (PAGE, BADGE):
        first = Client().get(address)
        again = Client().get(address, headers={"If-None-Match": first["ETag"]})

        assert first["Cache-Control"] == "public, max-age=60"
        assert "Cookie" not in first.get("Vary", "")
        assert not first.cookies
        # A cache would set the first visitor's zone in everybody's browser.
        assert not Client().get(address, {"zone": "Asia/Tokyo"}).cookies
        assert again.status_code == 304
        assert again["ETag"] == first["ETag"]


def test_no_shared_cache_keeps_what_may_come_with_a_session(admin: User) -> None:
    """C-14: the session is written, and its cookie sent anew, every few minutes."""
    opened(gateway=make_gateway(), has_badge=True)
    client = Client()
    client.force_login(admin)
    for minutes, address in ((6, PAGE), (12, BADGE)):
        with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
            first = client.get(address)
            again = client.get(address, headers={"If-None-Match": first["ETag"]})

        assert "sessionid" in first.cookies
        assert again.status_code == 304
        for answer in (first, again):
            assert answer["Cache-Control"] == "private, max-age=60"


def test_it_is_drawn_once_a_minute_whoever_asks(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    probe = make_probe(gateway=make_gateway())
    opened(gateway=probe.gateway)
    seen(probe)
    before = text()

    with django_assert_num_queries(1):
        assert text() == before
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        assert text() != before


def test_a_new_title_is_shown_at_once() -> None:
    page = opened(gateway=make_gateway())
    text()

    PublicPage.objects.filter(pk=page.pk).update(title="Renamed")

    assert "Renamed" in text()


def test_what_a_visitor_is_does_not_get_into_it(admin: User) -> None:
    opened(gateway=make_gateway())
    client = Client()
    client.force_login(admin)
    client.cookies["theme"], client.cookies["zone"] = "dark", "Asia/Tokyo"

    assert "root" not in client.get(PAGE).content.decode()
    assert 'data-theme="dark"' not in text()
    assert "12:00:00 UTC" in text()


def test_every_kind_of_probe_has_a_name_for_everybody() -> None:
    assert set(NAMES) == set(ProbeKind)


def test_it_is_of_a_gateway_or_of_a_team() -> None:
    gateway = make_gateway()
    for fields in ({}, {"gateway": gateway, "team": make_team(gateway)}):
        with pytest.raises(ValidationError, match="choose one"):
            PublicPage(title="x", **fields).full_clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            PublicPage.objects.create(title="x", **fields)


def test_an_administrator_opens_it(admin_page: Client) -> None:
    sent = {
        "title": "Our gateway",
        "slug": "here",
        "gateway": make_gateway().pk,
        "team": "",
        "is_open": "on",
    }

    admin_page.post("/admin/web/publicpage/add/", sent)

    listed = admin_page.get("/admin/web/publicpage/").content.decode()
    assert '<a href="/public/here/">' in listed
    assert text()


@pytest.mark.parametrize("tone", [Tone.OK, Tone.WARN, Tone.BAD, Tone.UNKNOWN])
def test_a_badge_is_an_image_that_can_be_read_aloud(tone: Tone) -> None:
    drawn = ET.fromstring(badge('A & B "<c>"', "works", tone))  # noqa: S314 (our own)

    assert drawn.get("aria-label") == 'A & B "<c>": works'
    assert drawn.get("role") == "img"
    texts = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ['A & B "<c>"', "works"]


@pytest.mark.parametrize("number", [3, 30])
def test_it_asks_a_constant_number_of_queries(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    gateway = make_gateway()
    opened(gateway=gateway)
    for _ in range(number):
        seen(make_probe(make_team(gateway)))

    with django_assert_num_queries(6):
        text()
