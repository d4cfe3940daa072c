"""What Gatewatch tells of itself."""

import tomllib
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.alerts.models import Change, Notification, RuleKind
from dashboard.probes.models import Heartbeat
from tests.factories import NOW, make_gateway, make_incident

pytestmark = pytest.mark.django_db


def page(client: Client) -> str:
    response = client.get(reverse("status"))
    assert response.status_code == 200
    return response.content.decode()


def beat(**ages_s: float) -> None:
    for name, age_s in ages_s.items():
        Heartbeat.objects.create(
            name=name.replace("_", "-"), beat_at=NOW - timedelta(seconds=age_s)
        )


def test_before_the_first_run_it_says_how_to_start(admin_page: Client) -> None:
    text = page(admin_page)

    assert "Nothing has run yet: start it with manage.py up." in text
    assert text.count("never ran") == 4


def test_a_silent_job_is_named_and_a_busy_one_is_not(admin_page: Client) -> None:
    beat(tick_0=2, deliver=2, deep=600, statements=300)

    text = page(admin_page)

    assert "Not at work: deep lane." in text
    assert text.count("at work</span>") == 3
    assert "10 min ago" in text


def test_what_waits_is_counted_with_its_age(admin_page: Client) -> None:
    beat(tick_0=2, deliver=2, deep=2, statements=2)
    OrmQ.objects.create(key="gatewatch", payload="x")
    incident = make_incident(
        kind=RuleKind.GATEWAY_DOWN,
        gateway=make_gateway(),
        summary="Down",
    )
    Notification.objects.create(
        incident=incident,
        change=Change.OPENED,
        recipient="ops@example.com",
        created_at=NOW - timedelta(minutes=7),
        due_at=NOW,
    )

    text = page(admin_page)

    assert "1 job " in text
    assert ">1 mail</a>" in text
    assert "the oldest waits for 7 min" in text


def test_what_is_on_the_screen_is_a_file_as_well(admin_page: Client) -> None:
    beat(tick_0=2, statements=1200)

    told = admin_page.get("/status/?format=json").json()["sheets"]
    table = admin_page.get("/status/?format=csv").content.decode()

    states = {row["job"]: row["state"] for row in told["jobs"]}
    assert states == {
        "Prober": "at work",
        "Mail": "never ran",
        "Deep lane": "never ran",
        "Statements": "silent",
    }
    assert told["jobs"][0]["last_sign_of_life"] == "2026-03-02T11:59:58Z"
    numbers = {row["name"]: row["value"] for row in told["numbers"]}
    assert numbers["mails_waiting"] == 0
    assert numbers["oldest_mail_waits_s"] is None
    assert numbers["database_bytes"] > 0
    assert "mails_waiting,0" in table


def test_a_setting_that_is_wrong_is_told_with_its_cure(
    admin_page: Client, settings: Settings
) -> None:
    settings.EMAIL_CONFIGURED = False
    beat(tick_0=2, deliver=2, deep=2, statements=2)

    text = page(admin_page)

    assert "EMAIL_URL is not set" in text
    assert "Set EMAIL_URL, as submission://" in text
    assert "dashboard.W001" in text


def test_its_version_is_that_of_the_project(
    admin_page: Client, settings: Settings
) -> None:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())

    assert f">{project['project']['version']} <" in page(admin_page)


def test_it_asks_few_queries(
    admin_page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    # PostgreSQL is asked for its size; of SQLite the file is looked at.
    with django_assert_max_num_queries(14):
        page(admin_page)
