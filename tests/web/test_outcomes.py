"""Results: the list behind a number, one result, and both as files."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.probes.attempts import PastAttempt
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.rollups.services import fold
from dashboard.teams.models import Team
from dashboard.web import exports, ranges
from dashboard.web.exports import Sheet
from dashboard.web.pages.outcomes import PAGE_SIZE, Asked, matching, outcomes
from dashboard.web.pages.waterfall import waterfall, why
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db

CHEAP = KINDS[ProbeKind.TEAM_STATUS]
DEEP = KINDS[ProbeKind.DEEP_JOB]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


def page(client: Client, query: str = "") -> str:
    response = client.get(reverse("outcomes") + query)
    assert response.status_code == 200
    return response.content.decode()


class TestList:
    def test_it_is_narrowed_down_by_probe_state_and_class(
        self, admin_page: Client
    ) -> None:
        probe, other = make_probe(team=make_team()), make_probe(team=make_team())
        make_outcome(probe, -60, detail="")
        make_outcome(probe, -120, error_class="timeout", detail="no answer")
        make_outcome(probe, -180, error_class="breaker_held", detail="was held")
        make_outcome(other, -60, error_class="server_error", detail="disk on fire")

        every = page(admin_page)
        failed = page(admin_page, f"?probe={probe.pk}&state=failed")
        held = page(admin_page, "?state=uncounted")
        of_class = page(admin_page, "?class=server_error")

        assert all(word in every for word in ("no answer", "was held", "disk on fire"))
        assert "no answer" in failed
        assert "was held" not in failed
        assert "disk on fire" not in failed
        assert "was held" in held
        assert "no answer" not in held
        assert "disk on fire" in of_class
        assert "no answer" not in of_class

    @pytest.mark.parametrize(
        ("field", "said"),
        [("maintenance", "in a maintenance"), ("misdated", "dated by a wrong clock")],
    )
    def test_what_is_in_no_number_is_listed_apart(
        self, admin_page: Client, field: str, said: str
    ) -> None:
        """A-59: a list behind a number has what that number counts, and no more."""
        probe = make_probe(team=make_team())
        for number, error_class in enumerate(("timeout", "")):
            make_outcome(
                probe,
                -60 - number,
                error_class=error_class,
                detail="left out",
                **{field: True},
            )

        failed, good = page(admin_page, "?state=failed"), page(admin_page, "?state=ok")
        of_class = page(admin_page, "?class=timeout")
        told = admin_page.get(reverse("outcomes") + "?format=json").json()

        assert "left out" not in failed + good + of_class
        assert page(admin_page, "?state=uncounted").count(f"{said}; left out") == 2
        assert {row["left_out"] for row in told["sheets"]["results"]} == {said}

    def test_a_point_of_a_chart_leads_to_the_results_of_its_time(
        self, admin_page: Client
    ) -> None:
        probe = make_probe()
        fold([make_outcome(probe, -1800, error_class="timeout", detail="no answer")])
        shown = admin_page.get(reverse("probe", args=[probe.pk]) + "?range=1h")
        errors = shown.context["page"].charts[1]
        drill = next(filter(None, errors.urls))

        text = admin_page.get(drill).content.decode()

        assert "no answer" in text
        assert drill in shown.content.decode().replace("&amp;", "&")

    def test_pages_follow_each_other_without_a_hole(self, admin_page: Client) -> None:
        probe = make_probe()
        for number in range(60):
            make_outcome(probe, -1 - number, detail=f"result-{number:02}.")

        first = admin_page.get(reverse("outcomes"))
        older = first.context["page"].older_url
        make_outcome(probe, -0.5, detail="came later")
        second = page(admin_page, older)

        assert "result-49." in first.content.decode()
        assert "result-50." not in first.content.decode()
        assert "result-50." in second
        assert "result-59." in second
        assert "result-49." not in second

    def test_no_more_days_are_read_than_a_page_takes(
        self,
        admin_page: Client,
        django_assert_num_queries: DjangoAssertNumQueries,
    ) -> None:
        """C-20: what is read at once stays bounded, whatever range is asked for."""
        probe = make_probe()
        for number in range(PAGE_SIZE + 1):
            make_outcome(probe, -1 - number)
        make_outcome(probe, -5 * 86_400, detail="five days ago")
        admin = User.objects.get(is_superuser=True)
        day, week = (ranges.chosen(QueryDict(query), NOW) for query in ("", "range=7d"))

        with django_assert_num_queries(3):
            outcomes(admin, Asked(), day, "", NOW)
        with django_assert_num_queries(3):
            newest = outcomes(admin, Asked(), week, "", NOW)
        older = page(admin_page, newest.older_url)

        assert len(newest.rows) == PAGE_SIZE
        assert "five days ago" in older
        assert "Only the last day" in page(admin_page, "?range=7d&state=uncounted")
        assert "kept for 30 days" in page(admin_page, "?range=90d")

    @pytest.mark.parametrize("number", [3, 31])
    def test_the_failures_of_many_probes_are_found_by_an_index_of_their_own(
        self, admin: User, number: int
    ) -> None:
        """For few it would be one of all that a gateway of others has failed."""
        for _ in range(number):
            make_probe()
        asked = Asked(state="failed")

        found, _ = matching(admin, asked, ranges.chosen(QueryDict("range=30d"), NOW))

        # PostgreSQL would rather read a table that is empty.
        is_by_time = "failed_outcomes_by_start" in found[:51].explain()
        assert connection.vendor == "postgresql" or is_by_time == (number > 30)

    def test_the_failures_of_few_probes_are_looked_for_in_longer_and_longer_times(
        self, admin: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        probe = make_probe()
        for days in (0, 3, 29):
            make_outcome(probe, -60 - days * 86_400, error_class="timeout")
        month = ranges.chosen(QueryDict("range=30d"), NOW)

        with django_assert_max_num_queries(10):
            shown = outcomes(admin, Asked(error_class="timeout"), month, "", NOW)

        assert len(shown.rows) == 3

    def test_those_of_one_kind_are_told_by_its_name(self, admin_page: Client) -> None:
        make_outcome(make_probe(kind=ProbeKind.HEALTH), -60, detail="of health")
        make_outcome(make_probe(team=make_team()), -60, detail="of a team")

        text = page(admin_page, "?kind=health")

        assert "<h1>Results of Health</h1>" in text
        assert "of health" in text
        assert "of a team" not in text

    @pytest.mark.parametrize(
        "query",
        [
            "?state=x&class=x",
            "?after=x",
            "?after=2026-03-02T11:00:00~1",
            "?after=0001-01-01T00:00:00%2B14:00~1",
            "?after=9999-12-31T23:59:59-14:00~1",
            "?after=2026-03-02T11:59:59-23:59~1",
            "?after=2026-03-02T11:00:00%2B00:00~99999999999999999999",
            "?format=xml",
        ],
    )
    def test_odd_addresses_are_answered(self, admin_page: Client, query: str) -> None:
        make_outcome(make_probe(), -60, detail="still here")

        assert "still here" in page(admin_page, query)

    @pytest.mark.parametrize("query", ["?probe=x", "?probe=0", "?team=999"])
    def test_what_is_not_there_is_not_found(
        self, admin_page: Client, query: str
    ) -> None:
        assert admin_page.get(reverse("outcomes") + query).status_code == 404

    def test_nobody_sees_the_results_of_others(self, admin: User) -> None:
        team = make_team()
        probe = make_probe(team=team)
        outcome = make_outcome(probe, -60, detail="not for charlie")
        charlie = person("charlie").client

        assert "not for charlie" in page(person("alice", team).client)
        assert "not for charlie" not in page(charlie)
        assert "not for charlie" not in page(charlie, "?format=csv")
        for address in (
            f"{reverse('outcomes')}?probe={probe.pk}",
            f"{reverse('outcomes')}?team={team.pk}",
            f"{reverse('outcome', args=[outcome.pk])}?format=json",
            f"{reverse('probe', args=[probe.pk])}?format=csv",
        ):
            assert charlie.get(address).status_code == 404

    @pytest.mark.parametrize("number", [3, 30])
    def test_it_asks_a_constant_number_of_queries(
        self,
        admin_page: Client,
        number: int,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for _ in range(number):
            make_outcome(make_probe(team=make_team()), -60)

        with django_assert_max_num_queries(11):
            page(admin_page)


class TestOne:
    def test_it_shows_each_attempt_what_it_means_and_what_to_do(
        self, admin_page: Client
    ) -> None:
        attempts = [
            PastAttempt("server_error", 500, 0.0, 0.030, 0.002, None, 0.027, 0.001),
            PastAttempt("server_error", 500, 0.8, 0.040, 0.002, None, 0.037, 0.001),
        ]
        outcome = make_outcome(
            make_probe(team=make_team()),
            -60,
            error_class="server_error",
            status_code=500,
            attempts=2,
            elapsed_us=870_000,
            detail="Internal <b>error</b>",
            attempt_log=[each.packed() for each in attempts],
        )

        response = admin_page.get(reverse("outcome", args=[outcome.pk]))
        text = response.content.decode()

        assert "Retried after 800 ms: server error may pass by itself." in text
        assert "this probe makes 2 attempts at most" in text
        assert "Look at the gateway&#x27;s own log" in text
        assert "It is a server error. Whose fault: the gateway&#x27;s." in text
        assert "Internal &lt;b&gt;error&lt;/b&gt;" in text
        assert "870 ms" in text

    def test_a_success_has_its_phases_and_no_meaning(self, admin_page: Client) -> None:
        outcome = make_outcome(
            make_probe(), -60, connect_us=2_000, tls_us=9_000, first_byte_us=38_000
        )

        text = admin_page.get(reverse("outcome", args=[outcome.pk])).content.decode()

        assert "TLS 9.0 ms" in text
        assert "body 1.0 ms" in text
        assert "What it means" not in text

    def test_it_leads_to_its_neighbours(self, admin_page: Client) -> None:
        probe = make_probe()
        older, shown, newer = (make_outcome(probe, s) for s in (-120, -60, -1))

        text = admin_page.get(reverse("outcome", args=[shown.pk])).content.decode()

        assert f'href="{reverse("outcome", args=[older.pk])}" rel="prev"' in text
        assert f'href="{reverse("outcome", args=[newer.pk])}" rel="next"' in text

    def test_what_was_never_sent_has_no_waterfall(self, admin_page: Client) -> None:
        outcome = make_outcome(
            make_probe(), -60, attempts=0, error_class="breaker_held"
        )

        text = admin_page.get(reverse("outcome", args=[outcome.pk])).content.decode()

        assert "Nothing was sent" in text
        assert "left out of the error rate" in text


@pytest.mark.parametrize(
    ("error_class", "kind", "number", "says"),
    [
        ("", CHEAP, 1, "Succeeded."),
        ("", CHEAP, 2, "Succeeded at attempt 2."),
        ("auth_failed", CHEAP, 1, "Not retried: key refused does not pass by itself."),
        ("timeout", DEEP, 1, "this probe makes 1 attempt at most"),
        ("timeout", CHEAP, 2, "this probe makes 2 attempts at most"),
        ("timeout", CHEAP, 1, "no time was left"),
    ],
)
def test_why_there_was_no_other_attempt(
    error_class: str, kind: object, number: int, says: str
) -> None:
    last = PastAttempt(error_class, None, 0.0, 0.1)

    assert says in why(last, None, number, kind)  # type: ignore[arg-type]  # a Kind


def test_a_waterfall_is_on_one_scale_and_hides_no_wait() -> None:
    first = PastAttempt("timeout", None, 0.0, 1.0)
    second = PastAttempt("", 200, 2.0, 1.0, 0.25, None, 0.5, 0.25)

    rows = waterfall([first, second], CHEAP)

    assert [(p.phase, p.x, p.width) for p in rows[0].pieces] == [("wire", 0, 250)]
    assert [(p.phase, p.x, p.width) for p in rows[1].pieces] == [
        ("wait", 250, 500),
        ("connect", 750, 62.5),
        ("first", 812.5, 125),
        ("body", 937.5, 62.5),
    ]


class TestExports:
    def test_a_cell_that_would_be_a_formula_is_text(self, admin_page: Client) -> None:
        """C-16: a hostile detail does nothing in the spreadsheet that opens it."""
        probe = make_probe()
        for place, formula in enumerate(FORMULAS):
            make_outcome(probe, -60 - place, error_class="server_error", detail=formula)

        response = admin_page.get(reverse("outcomes") + "?format=csv")
        rows = list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))

        assert sorted(row["detail"] for row in rows) == sorted(
            # What a tab or a new line divides from it would be a cell of its own.
            f"'{formula[:-2]}'{formula[-2:]}" if formula[0].isspace() else f"'{formula}"
            for formula in FORMULAS
        )

    @pytest.mark.parametrize("title", ['a"\r\nX: 1', "../../etc", "é", ""])
    def test_a_file_name_is_plain_letters(self, title: str) -> None:
        """C-16: what a gateway calls a team reaches no header."""
        response = exports.answer("csv", title, [Sheet("x", [["a"]])], NOW)

        assert "attachment; filename=" in response["Content-Disposition"]
        assert not set(response["Content-Disposition"]) & set("\r\n/é")
        assert response["Content-Disposition"].count('"') == 2

    def test_json_has_numbers_and_nothing_for_what_is_missing(
        self, admin_page: Client
    ) -> None:
        probe = make_probe()
        fold([make_outcome(probe, -60), make_outcome(probe, -30)])

        address = reverse("probe", args=[probe.pk]) + "?range=1h&format=json"
        told = json.loads(admin_page.get(address).content)

        latency = told["sheets"]["latency"]
        assert latency[0]["p95_ms"] is None
        assert latency[-1]["p95_ms"] == pytest.approx(50, rel=0.01)
        assert latency[-1]["samples"] == 2

    def test_those_of_a_thousand_probes_are_a_file_too(
        self, admin_page: Client
    ) -> None:
        gateway = make_gateway()
        teams = [Team(gateway=gateway, team_id=f"t{n}") for n in range(1001)]
        probes = [
            Probe(gateway=gateway, team=team, kind="balance", period_s=60, next_run=NOW)
            for team in Team.objects.bulk_create(teams)
        ]
        Outcome.objects.bulk_create(
            Outcome(
                probe=probe,
                started_at=NOW - timedelta(minutes=1),
                latency_us=1,
                elapsed_us=1,
                attempts=1,
            )
            for probe in Probe.objects.bulk_create(probes)
        )

        answer = admin_page.get("/outcomes/?format=csv")

        assert answer.status_code == 200
        assert len(answer.content.splitlines()) == 1002

    def test_a_csv_of_several_charts_names_each(self, admin_page: Client) -> None:
        probe = make_probe()
        good = make_outcome(probe, -90, connect_us=1000, tls_us=0, first_byte_us=40_000)
        fold([make_outcome(probe, -60, error_class="timeout"), good])

        address = reverse("probe", args=[probe.pk]) + "?range=1h&format=csv"
        text = admin_page.get(address).content.decode()

        assert "from,p50_ms,p95_ms,p99_ms,samples" in text
        assert "from,error_rate,failed,samples,timeout" in text
        assert "from,results,expected,coverage,not_counted" in text
        assert "from,connect_ms,first_byte_ms,body_ms" in text

    def test_one_result_is_a_file_too(self, admin_page: Client) -> None:
        outcome = make_outcome(make_probe(), -60, status_code=200)

        address = reverse("outcome", args=[outcome.pk]) + "?format=json"
        told = json.loads(admin_page.get(address).content)

        assert told["sheets"]["attempts"][0]["status"] == 200
        assert told["made_at"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"


def test_a_run_that_was_asked_for_is_awaited_and_then_shown(admin_page: Client) -> None:
    probe = make_probe(next_run=NOW + timedelta(hours=1))

    asked = admin_page.post(reverse("run", args=[probe.pk]))
    waiting = admin_page.get(asked["Location"]).content.decode()
    make_outcome(probe, 0.5, status_code=200)
    shown = admin_page.get(asked["Location"]).content.decode()

    assert "data-soon" in waiting
    assert "its result appears here by itself" in waiting
    assert "data-soon" not in shown
    assert "status 200" in " ".join(shown.split())
