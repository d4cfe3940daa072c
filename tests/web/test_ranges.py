"""The span of time that an address asks for, and the addresses that a page offers."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.web import ranges
from tests.factories import NOW, make_probe, make_team


def asked(query: str) -> ranges.Range:
    return ranges.chosen(QueryDict(query), NOW)


@pytest.mark.parametrize("key", ["1h", "6h", "24h", "7d", "30d", "90d"])
def test_a_preset_ends_now(key: str) -> None:
    found = asked(f"range={key}")

    assert (found.key, found.end) == (key, NOW)
    assert found.span == ranges.PRESETS[key].span
    assert found.is_live


@pytest.mark.parametrize("query", ["", "range=x", "range=", "range=1h%00"])
def test_anything_unknown_is_a_day(query: str) -> None:
    assert asked(query).key == "24h"


def test_a_free_range_is_read_as_utc_with_an_offset_and_in_the_zone_without() -> None:
    exact = asked("from=2026-03-01T06:00:00Z&to=2026-03-01T08:00:00Z")
    with timezone.override(ZoneInfo("Europe/Berlin")):
        local = asked("from=2026-03-01T07:00&to=2026-03-01T09:00")

    assert exact.start == NOW - timedelta(hours=30)
    assert exact.span == timedelta(hours=2)
    assert (local.start, local.end) == (exact.start, exact.end)
    assert not exact.is_live
    assert exact.link() == "from=2026-03-01T06%3A00%3A00Z&to=2026-03-01T08%3A00%3A00Z"


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-02T11:00Z&to=2026-03-02T10:00Z",
        "from=2030-01-01T00:00Z&to=2030-01-02T00:00Z",
        "from=yesterday",
        "to=0001-01-01T00:00-14:00",
        "from=2026-03-02T11:59:30Z",
    ],
)
def test_what_is_no_range_is_a_day_and_says_so(query: str) -> None:
    found = asked(query)

    assert found.key == "24h"
    assert "no range of time" in found.problem


def test_a_range_is_limited_to_three_years_and_some_seventy_points() -> None:
    """C-20: neither the span nor the number of points is the visitor's to choose."""
    found = asked("from=0100-01-01T00:00Z")

    assert found.span <= timedelta(days=3 * 366)
    assert found.buckets <= 72


def test_the_time_before_is_as_long_and_ends_where_the_range_begins() -> None:
    found = asked("range=6h&compare=1")

    assert found.compares
    assert found.before().end == found.start
    assert found.before().span == found.span


def test_each_choice_keeps_what_the_others_chose() -> None:
    shown = ranges.bar(asked("range=6h&compare=1"), state="failed")

    assert [tab.word for tab in shown.tabs if tab.is_current] == ["6h"]
    assert shown.tabs[0].url == "?range=1h&compare=1&state=failed"
    assert shown.compare is not None
    assert shown.compare.url == "?range=6h&state=failed"
    assert ("state", "failed") in shown.kept


def test_a_preset_replaces_a_free_range() -> None:
    shown = ranges.bar(asked("from=2026-03-01T06:00Z&to=2026-03-01T08:00Z"))

    assert not any(tab.is_current for tab in shown.tabs)
    assert shown.tabs[0].url == "?range=1h"
    assert (shown.since, shown.until) == ("2026-03-01T06:00", "2026-03-01T08:00")


@pytest.mark.django_db
class TestRemembered:
    def test_the_next_page_shows_the_range_that_was_chosen_last(
        self, admin_page: Client
    ) -> None:
        probe = make_probe(team=make_team())
        admin_page.get(reverse("trends") + "?range=6h")

        next_page = admin_page.get(reverse("probe", args=[probe.pk]) + "?state=failed")

        # The address names it: what is sent to a colleague shows the same.
        assert next_page["Location"].endswith("?state=failed&range=6h")

    @pytest.mark.parametrize("query", ["?range=30d", "?from=2026-03-01T06:00:00Z"])
    def test_an_address_that_names_a_range_is_obeyed(
        self, admin_page: Client, query: str
    ) -> None:
        admin_page.get(reverse("trends") + "?range=6h")

        assert admin_page.get(reverse("trends") + query).status_code == 200

    def test_neither_a_free_range_nor_a_renewal_is_a_choice(
        self, admin_page: Client
    ) -> None:
        renewal = {"HX-Request": "true"}
        admin_page.get(reverse("trends") + "?range=1h", headers=renewal)
        admin_page.get(reverse("trends") + "?from=2026-03-01T06:00:00Z")
        admin_page.get(reverse("trends") + "?range=x")

        assert admin_page.get(reverse("trends")).status_code == 200
