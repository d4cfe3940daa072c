"""The admin: keys are write-only, addresses checked, the machine's rows read-only."""

import pytest
from django.contrib.admin import site as admin_site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.forms import model_to_dict
from django.test import Client, RequestFactory

from dashboard.probes.models import Probe, ProbeKind
from dashboard.simulator.running import running_gateway
from dashboard.teams.keys import hint, set_key
from dashboard.teams.models import Gateway, Team
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db

CANARY = "sk-canary-0123456789-tail"
NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}


def team_form(team: Team, **fields: object) -> dict[str, object]:
    plain = {"gateway": team.gateway_id, "team_id": team.team_id, "name": ""}
    return {**plain, **NO_MEMBERS, **fields}


def test_a_new_gateway_is_watched_at_once(admin_page: Client) -> None:
    admin_page.post(
        "/admin/teams/gateway/add/",
        {"name": "Production", "base_url": "https://gateway.example/api/"},
    )

    assert Gateway.objects.get().base_url == "https://gateway.example"
    assert Probe.objects.get().gateway == Gateway.objects.get()


def test_what_the_form_did_not_change_is_not_written(
    rf: RequestFactory, admin: User
) -> None:
    """C-10: a password that somebody changes meanwhile stays changed."""
    shown, request = admin_site._registry[User], rf.get("/")
    request.user = admin
    told = {**model_to_dict(admin), "email": "new@example.com", "groups": []}
    form = shown.get_form(request, admin)(told, instance=admin)
    assert form.is_valid(), form.errors
    User.objects.update(password="another")

    shown.save_model(request, admin, form, True)

    stored = User.objects.get()
    assert (stored.email, stored.password) == ("new@example.com", "another")


@pytest.mark.parametrize("junk", ["x", "1,2", "", "-1", "9" * 19])
@pytest.mark.parametrize("model", ["teams/team", "alerts/rule", "auth/user"])
def test_a_row_that_is_named_by_no_number_is_a_bad_request(
    model: str, junk: str, admin_page: Client
) -> None:
    """C-20: neither an error page, nor one of the database's."""
    sent = {"action": "delete_selected", "_selected_action": junk, "post": "yes"}

    assert admin_page.post(f"/admin/{model}/", sent).status_code == 400
    if junk != "1,2":
        asked = admin_page.get(f"/admin/{model}/", {"pk__in": junk})
        assert asked.status_code == 400
    assert User.objects.count() == 1


def test_a_wrong_address_is_refused(admin_page: Client) -> None:
    response = admin_page.post(
        "/admin/teams/gateway/add/",
        {"name": "Production", "base_url": "https://u:hunter2@gateway.example"},
    )

    assert response.status_code == 200
    assert not Gateway.objects.exists()


def test_a_private_address_is_refused_until_it_is_allowed(admin_page: Client) -> None:
    private = {"name": "Production", "base_url": "http://10.1.2.3"}

    response = admin_page.post("/admin/teams/gateway/add/", private)

    assert "Allow it here" in response.content.decode()
    assert not Gateway.objects.exists()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "never fires"),
        ({"critical_at": "20"}, "20 is not between 0 and 1"),
    ],
)
def test_a_rule_that_could_never_fire_is_refused(
    admin_page: Client, limits: dict[str, str], said: str
) -> None:
    fields = {
        "kind": "error_rate",
        "name": "Mine",
        "enabled": "on",
        "window_s": 300,
        "min_samples": 5,
        "min_bad": 3,
        "for_s": 0,
        "keep_s": 0,
        "long_window_s": 0,
        "clear_after": 3,
    }

    refused = admin_page.post("/admin/alerts/rule/add/", {**fields, **limits})
    taken = admin_page.post("/admin/alerts/rule/add/", {**fields, "critical_at": "0.2"})

    assert said in refused.content.decode()
    assert taken.status_code == 302


def test_a_period_too_short_says_what_is_the_shortest(admin_page: Client) -> None:
    probe = make_probe()

    response = admin_page.post(
        f"/admin/probes/probe/{probe.pk}/change/", {"period_s": 1, "enabled": "on"}
    )

    assert "The shortest period is 5 s." in response.content.decode()


@pytest.mark.parametrize("period_s", [604_801, 10**12, 2**63 - 1])
def test_a_period_beyond_all_dates_is_refused(
    admin_page: Client, period_s: int
) -> None:
    """C-20: SQLite took any, and then no probe could be claimed any more."""
    probe = make_probe()
    row = {"form-0-id": probe.pk, "form-0-period_s": period_s}
    forms = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save"}

    response = admin_page.post("/admin/probes/probe/", {**forms, **row})

    assert "The longest period is 7 days." in response.content.decode()
    assert Probe.objects.get().period_s == 60


@pytest.mark.parametrize("asked", ["", "?q=nothing"])
def test_the_list_of_probes_opens_where_there_is_none(
    admin_page: Client, asked: str
) -> None:
    if asked:
        make_probe()

    assert admin_page.get(f"/admin/probes/probe/{asked}").status_code == 200


def test_a_probe_that_its_gateway_made_dear_keeps_no_other_from_being_saved(
    admin_page: Client,
) -> None:
    """C-20: the rows of a list are saved together, and its old cap was refused."""
    team = make_team(budget_mode="consumption_tokens", tokens_per_credit=1e-6)
    dear = make_probe(team, kind=ProbeKind.DEEP_JOB, daily_credit_cap=96)
    other = make_probe(make_team(team.gateway))
    forms: dict[str, object] = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2}
    first = {"form-0-id": dear.pk, "form-0-period_s": 60, "form-0-daily_credit_cap": 96}
    second = {"form-1-id": other.pk, "form-1-period_s": 77}

    answer = admin_page.post(
        "/admin/probes/probe/", {**forms, **first, **second, "_save": "Save"}
    )

    assert answer.status_code == 302

    other.refresh_from_db()
    assert other.period_s == 77


def test_a_new_address_forgets_the_keys_of_the_old_one(admin_page: Client) -> None:
    team = make_team()
    set_key(team, CANARY, NOW)

    admin_page.post(
        f"/admin/teams/gateway/{team.gateway_id}/change/",
        {"name": "Production", "base_url": "https://elsewhere.example"},
    )

    team.refresh_from_db()
    assert not team.has_key


def test_a_new_team_gets_its_probes_and_its_key(admin_page: Client) -> None:
    gateway = make_gateway()

    admin_page.post(
        "/admin/teams/team/add/",
        {"gateway": gateway.pk, "team_id": "acme", "key": CANARY, **NO_MEMBERS},
    )

    team = Team.objects.get()
    assert hint(team) == "••••tail"
    assert Probe.objects.filter(team=team, enabled=True).count() == 2


def test_a_stored_key_is_never_shown_and_an_empty_field_keeps_it(
    admin_page: Client,
) -> None:
    team = make_team()
    set_key(team, CANARY, NOW)
    address = f"/admin/teams/team/{team.pk}/change/"

    text = admin_page.get(address).content.decode()
    admin_page.post(address, team_form(team, name="Acme", key=""))

    assert CANARY not in text
    assert "••••tail" in text
    team.refresh_from_db()
    assert (team.name, hint(team)) == ("Acme", "••••tail")


def test_a_key_with_a_newline_is_refused_and_not_shown_again(
    admin_page: Client,
) -> None:
    team = make_team()

    response = admin_page.post(
        f"/admin/teams/team/{team.pk}/change/", team_form(team, key=f"{CANARY} x")
    )

    assert "not printable" in response.content.decode()
    assert CANARY not in response.content.decode()
    team.refresh_from_db()
    assert not team.has_key


def test_a_key_can_be_forgotten(admin_page: Client) -> None:
    team = make_team()
    set_key(team, CANARY, NOW)

    admin_page.post(
        f"/admin/teams/team/{team.pk}/change/", team_form(team, forget_key="on")
    )

    team.refresh_from_db()
    assert not team.has_key


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("https://gateway.example/api/", True), ("https://elsewhere.example", False)],
)
def test_keys_belong_to_the_address_however_it_is_typed(
    typed: str,
    kept: bool,  # noqa: FBT001
    admin_page: Client,
) -> None:
    team = make_team()
    set_key(team, CANARY, NOW)
    address = f"/admin/teams/gateway/{team.gateway.pk}/change/"

    admin_page.post(address, {"name": team.gateway.name, "base_url": typed})

    team.refresh_from_db()
    assert team.has_key is kept


def test_the_history_of_changes_never_holds_the_key(admin_page: Client) -> None:
    team = make_team()

    admin_page.post(f"/admin/teams/team/{team.pk}/change/", team_form(team, key=CANARY))

    assert CANARY not in "".join(
        f"{entry.change_message}{entry.object_repr}" for entry in LogEntry.objects.all()
    )


def test_a_paid_probe_is_not_switched_on_here(admin_page: Client) -> None:
    probe = make_probe(team=make_team(), kind="deep_job", enabled=False, period_s=900)

    admin_page.post(
        f"/admin/probes/probe/{probe.pk}/change/", {"period_s": 900, "enabled": "on"}
    )

    probe.refresh_from_db()
    assert not probe.enabled


def test_what_gatewatch_writes_is_read_only(admin_page: Client) -> None:
    outcome = make_outcome(make_probe())

    for place in ("probes/outcome", "alerts/incident", "alerts/notification"):
        assert admin_page.get(f"/admin/{place}/add/").status_code == 403
    assert (
        admin_page.post(f"/admin/probes/outcome/{outcome.pk}/delete/").status_code
        == 403
    )


def test_every_list_opens(admin_page: Client) -> None:
    make_outcome(make_probe(team=make_team()))

    for model in admin_site._registry:
        meta = model._meta
        path = f"/admin/{meta.app_label}/{meta.model_name}/"
        assert admin_page.get(path).status_code == 200, path


def test_the_job_queue_has_no_pages_here(admin_page: Client) -> None:
    assert admin_page.get("/admin/django_q/ormq/").status_code == 404


@pytest.mark.parametrize("wrong", ["team", "member"])
def test_a_typed_key_is_not_lost_without_a_word(admin_page: Client, wrong: str) -> None:
    """C-02: it is not shown again either."""
    team = make_team()
    fields: dict[str, object] = {"team_id": "a\nb"}
    if wrong == "member":
        fields = {"memberships-TOTAL_FORMS": 1, "memberships-0-role": "owner"}

    response = admin_page.post(
        f"/admin/teams/team/{team.pk}/change/", team_form(team, key=CANARY, **fields)
    )

    assert response.status_code == 200
    assert "Type the key again" in response.content.decode()
    assert CANARY not in response.content.decode()


def test_a_team_and_its_key_stay_at_their_gateway(admin_page: Client) -> None:
    """C-06."""
    team, elsewhere = make_team(), make_gateway(base_url="https://elsewhere.example")
    set_key(team, CANARY, NOW)

    admin_page.post(
        f"/admin/teams/team/{team.pk}/change/",
        team_form(team, gateway=elsewhere.pk, name="Moved"),
    )

    moved = Team.objects.get(pk=team.pk)
    assert moved.name == "Moved"
    assert moved.gateway == team.gateway


def test_a_key_is_not_kept_for_an_address_that_nobody_saw(admin_page: Client) -> None:
    """C-06: the page was open while somebody else changed the gateway."""
    team = make_team()
    address = f"/admin/teams/team/{team.pk}/change/"

    def place() -> object:
        return answer.context["adminform"].form["place"].value()

    answer = admin_page.get(address)
    sent = team_form(team, key=CANARY, place=place())
    Gateway.objects.update(base_url="https://other.example.com")
    answer = admin_page.post(address, sent)

    assert "has another address" in answer.content.decode()
    assert not Team.objects.get().has_key
    answer = admin_page.post(address, {**sent, "place": place()})
    assert answer.status_code == 302
    assert Team.objects.get().has_key


def test_a_new_teams_form_asks_only_what_is_known_of_it(admin_page: Client) -> None:
    shown = admin_page.get("/admin/teams/team/add/")
    text = shown.content.decode()
    asked = [
        name
        for _, told in shown.context["adminform"].fieldsets
        for name in told["fields"]
    ]

    assert asked == ["gateway", "team_id", "name", "daily_credit_cap", "key"]
    assert "Empty keeps" not in text


def test_a_new_key_is_not_forgotten_in_the_same_moment(admin_page: Client) -> None:
    team = make_team()
    sent = team_form(team, key=CANARY, forget_key="on")

    text = admin_page.post(
        f"/admin/teams/team/{team.pk}/change/", sent
    ).content.decode()

    assert "Either a new key, or none" in text
    assert "Type the key again" in text
    assert CANARY not in text
    assert not Team.objects.get().has_key


def test_an_outcome_is_told_in_units(admin_page: Client) -> None:
    outcome = make_outcome(make_probe(), latency_us=45_677, ttft_us=None)

    text = admin_page.get(
        f"/admin/probes/outcome/{outcome.pk}/change/"
    ).content.decode()

    assert "46 ms" in text
    assert "us:" not in text
    assert "at 2026-03-02 12:00:00+00:00: ok" in text


def test_a_recipient_of_nothing_in_particular_is_told_of_everything(
    admin_page: Client,
) -> None:
    text = admin_page.get("/admin/alerts/recipient/add/").content.decode()

    assert text.count("of everything.") == 2


def test_a_public_page_of_nothing_is_refused_in_one_sentence(
    admin_page: Client,
) -> None:
    sent = {"title": "Open", "slug": "open"}

    text = admin_page.post("/admin/web/publicpage/add/", sent).content.decode()

    assert text.count("It is of a gateway or of a team: choose one.") == 1


@pytest.mark.parametrize("team_id", ["acme", "acmee"])
def test_it_says_at_once_that_the_gateway_does_not_know_a_new_team(
    admin_page: Client, team_id: str
) -> None:
    with running_gateway(["acme"]) as running:
        gateway = make_gateway(base_url=running.base_url, allow_private=True)
        sent = {"gateway": gateway.pk, "team_id": team_id, **NO_MEMBERS}
        said = admin_page.post("/admin/teams/team/add/", sent, follow=True)

    assert Team.objects.get().team_id == team_id
    told = "The gateway knows no “acmee”" in said.content.decode()
    assert told is (team_id == "acmee")
    Probe.objects.filter(kind="team_status").update(last_error="not_found")
    for address in (
        "/teams/",
        f"/teams/{Team.objects.get().pk}/",
        "/admin/teams/team/",
    ):
        text = admin_page.get(address).content.decode()
        assert "for the first answer" not in text
        assert "Not found" in text


def test_a_switch_in_the_admin_is_noted_as_the_probes_rest(admin_page: Client) -> None:
    probe = make_probe(team=make_team())
    address = f"/admin/probes/probe/{probe.pk}/change/"

    admin_page.post(address, {"period_s": 60})
    admin_page.post(address, {"period_s": 60, "enabled": "on"})

    probe.refresh_from_db()
    assert probe.enabled
    [(since, until)] = probe.rests
    assert since == until == NOW.isoformat()
