"""Managers, administrators and the recorder at the same team in the same moment."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.rulebook import apply_rule_set
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Probe
from dashboard.probes.services import (
    forgive_late,
    note_late,
    pause,
    resume,
    watch_team,
)
from dashboard.rollups import store as rollups
from dashboard.rows import locked
from dashboard.teams.keys import (
    forget_keys,
    hint,
    resolve,
    set_key,
    take_with_gateway,
)
from dashboard.teams.models import Gateway, Membership, Role, Team
from tests.factories import NOW, make_incident, make_team
from tests.web.people import Person, at_once, behind, person
from tests.web.test_admin import NO_MEMBERS, team_form

pytestmark = pytest.mark.django_db(transaction=True)
CANARY = "sk-canary-0123456789-tail"


def settings_of(client: Client, team: Team, part: str, **fields: object) -> int:
    address = reverse("team_settings", args=[team.pk])
    return client.post(address, {"part": part, **fields}).status_code


def move(admin: Client, team: Team) -> int:
    address = f"/admin/teams/gateway/{team.gateway_id}/change/"
    told = {"name": "Production", "base_url": "https://elsewhere.example"}
    return admin.post(address, told).status_code


def take_probes() -> None:
    locked(Probe, ["enabled"], [probe.pk for probe in Probe.objects.all()])


@pytest.mark.postgresql
def test_a_manager_and_the_recorder_do_not_wait_for_each_other(
    alice: Client, team: Team
) -> None:
    """Both take a team's probes first, and then the team."""
    then = partial(locked, Team, ["status"], [team.pk])

    assert behind(take_probes, partial(settings_of, alice, team, "pause"), then) == 302
    assert not Probe.objects.filter(team=team, enabled=True).exists()


@pytest.mark.postgresql
def test_what_is_late_is_noted_in_the_recorders_order(team: Team) -> None:
    """A database takes them as they lie: what was written last comes last."""
    first, second = Probe.objects.order_by("pk")[:2]
    first.save()

    def take(probe: Probe) -> None:
        locked(Probe, ["enabled"], [probe.pk])

    def note() -> int:
        with transaction.atomic():
            note_late([first.pk, second.pk], NOW)
        return Probe.objects.filter(late_since=NOW).count()

    assert behind(partial(take, first), note, partial(take, second)) == 2


@pytest.mark.postgresql
def test_what_was_late_is_forgiven_in_the_recorders_order(team: Team) -> None:
    first, second = Probe.objects.order_by("pk")[:2]
    Probe.objects.filter(pk__in=[first.pk, second.pk]).update(late_since=NOW)
    # It lies behind the second one now.
    Probe.objects.filter(pk=first.pk).update(late_since=NOW)

    def take(probe: Probe) -> None:
        locked(Probe, ["enabled"], [probe.pk])

    def forgive() -> int:
        with transaction.atomic():
            forgive_late(NOW + timedelta(hours=1))
        return Probe.objects.filter(late_since__gt=NOW).count()

    assert behind(partial(take, first), forgive, partial(take, second)) == 2


@pytest.mark.postgresql
def test_a_file_that_moves_a_gateway_takes_its_probes_first(
    team: Team, tmp_path: Path
) -> None:
    file = tmp_path / "gatewatch.toml"
    name, address = team.gateway.name, "https://elsewhere.example"
    told = f'[[gateways]]\nname = "{name}"\nbase_url = "{address}"\n'
    probes = f'[[gateways.teams]]\nteam_id = "{team.team_id}"\n'
    probes += '[[gateways.teams.probes]]\nkind = "team_status"\nperiod_s = 600\n'
    file.write_text(told + probes, encoding="utf-8")
    set_key(team, CANARY, NOW)

    def move() -> int:
        call_command("load_config", str(file), stdout=StringIO())
        return Team.objects.exclude(key_sealed="").count()

    then = partial(locked, Team, ["status"], [team.pk])

    assert behind(take_probes, move, then) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("act", [pause, resume])
def test_a_team_is_paused_and_resumed_in_the_recorders_order(
    team: Team, act: Callable[[Team, datetime], int]
) -> None:
    first, *_, last = Probe.objects.filter(team=team, kind__in=CHEAP).order_by("pk")
    if act is resume:
        pause(team, NOW)

    def take(probe: Probe) -> None:
        locked(Probe, ["enabled"], [probe.pk])

    behind(partial(take, first), partial(act, team, NOW), partial(take, last))

    assert Probe.objects.filter(team=team, enabled=True).exists() == (act is resume)


@pytest.mark.postgresql
@pytest.mark.parametrize("who", ["recorder", "manager", "administrator"])
def test_an_alarm_is_opened_though_somebody_has_what_it_is_of(
    alice: Client, admin_client: Client, team: Team, who: str
) -> None:
    """The recorder that opens it has what he waits for."""
    probe = team.probes.all()[0]

    def record() -> int:
        take_probes()
        locked(Team, ["status"], [team.pk])
        rollups.lock()
        return 302

    of_gateway = partial(locked, Gateway, ["name"], [team.gateway_id])
    circles: dict[str, tuple[Callable[[], object], Callable[[], int]]] = {
        "recorder": (rollups.lock, transaction.atomic(record)),
        "manager": (of_gateway, partial(settings_of, alice, team, "pause")),
        "administrator": (of_gateway, partial(move, admin_client, team)),
    }
    hold, act = circles[who]
    open_alarm = partial(make_incident, team=team, probe=probe)

    assert behind(hold, act, open_alarm) == 302


@pytest.mark.postgresql
def test_a_file_and_the_recorder_do_not_wait_for_each_other(
    team: Team, tmp_path: Path
) -> None:
    """The teams that it leaves out go in another order than the recorder's."""
    first, other = team, make_team(team.gateway, team_id="a")
    for each in (first, other):
        watch_team(each, NOW)
    file = tmp_path / "gatewatch.toml"
    file.touch()

    def take(of: Team) -> None:
        locked(Probe, ["enabled"], [probe.pk for probe in of.probes.all()])

    def prune() -> int:
        call_command("load_config", str(file), "--prune", stdout=StringIO())
        return Team.objects.count()

    assert behind(partial(take, first), prune, partial(take, other)) == 0


@pytest.mark.postgresql
def test_a_name_does_not_bring_an_old_key_back(alice: Client, team: Team) -> None:
    """Two managers at once: what the second reads is what the first has stored."""
    rename = partial(settings_of, alice, team, "details", name="Acme")

    assert behind(take_probes, rename, lambda: set_key(team, CANARY, NOW)) == 302
    assert hint(Team.objects.get(name="Acme")) == "••••tail"


@pytest.mark.postgresql
def test_a_manager_and_an_administrator_do_not_wait_for_each_other(
    admin_client: Client, team: Team
) -> None:
    """One gives a key, the other a new address: it is forgotten, whoever was first."""

    def give() -> None:
        set_key(team, CANARY, NOW)
        assert Gateway.objects.select_for_update(no_key=True).count() == 1

    hold = partial(locked, Team, ["status"], [team.pk])

    assert behind(hold, partial(move, admin_client, team), give) == 302
    assert not Team.objects.get().has_key


@pytest.mark.postgresql
@pytest.mark.parametrize("is_new", [False, True])
def test_an_administrator_gives_a_key_while_another_moves_the_gateway(
    admin_client: Client, team: Team, *, is_new: bool
) -> None:
    """C-06: it is for the address that he has seen, or for none."""
    elsewhere = "https://elsewhere.example"
    address = f"/admin/teams/team/{'add' if is_new else f'{team.pk}/change'}/"
    form = admin_client.get(address).context["adminform"].form
    sent = team_form(team, key=CANARY, place=form["place"].value() or "")

    def give() -> int:
        told = {"team_id": "new"} if is_new else {}
        return admin_client.post(address, {**sent, **told}).status_code

    def move() -> None:
        Gateway.objects.update(base_url=elsewhere)
        forget_keys(team.gateway)

    code = behind(partial(take_with_gateway, team), give, move)

    keyed = [each for each in Team.objects.all() if each.has_key]
    assert (code, len(keyed)) == ((302, 1) if is_new else (200, 0))
    for each in keyed:
        assert resolve(each, elsewhere)


@pytest.mark.postgresql
def test_what_an_administrator_adds_at_this_moment_is_waited_for(
    alice: Client, team: Team
) -> None:
    """C-20: each had what the other wanted, and one of them got an error page."""
    bob = User.objects.create_user("bob")
    add = partial(Membership.objects.create, user=bob, team=team)
    name = partial(settings_of, alice, team, "member", user="bob", role=Role.OPERATOR)

    assert behind(add, name) == 302
    assert Membership.objects.get(user=bob).role == Role.OPERATOR


@pytest.mark.postgresql
def test_limits_that_are_copied_meanwhile_are_waited_for(
    alice: Client, team: Team
) -> None:
    """C-20: both would be called the same."""
    source = make_team()
    Rule.objects.create(
        name="x", kind=RuleKind.CREDITS, team=source, gateway=source.gateway, warn_at=1
    )

    def give() -> int:
        address = reverse("team_rule", args=[team.pk, RuleKind.CREDITS])
        return alice.post(address, {"warn_at": 0.5}).status_code

    assert behind(partial(apply_rule_set, source, team), give) == 302
    assert Rule.objects.get(team=team).warn_at == 0.5


def test_of_two_managers_who_remove_each_other_one_stays() -> None:
    """C-08: on PostgreSQL two requests at once see each other's manager."""

    def drop(who: Person, whom: Person, team: Team) -> int:
        held = Membership.objects.get(team=team, user__username=whom.name)
        return settings_of(who.client, team, "drop_member", pk=held.pk)

    for turn in range(3):
        team = make_team()
        ann, ben = person(f"ann-{turn}", team), person(f"ben-{turn}", team)

        at_once(partial(drop, ann, ben, team), partial(drop, ben, ann, team))

        assert Membership.objects.filter(team=team).count() == 1


def test_of_two_administrators_who_remove_each_other_one_stays() -> None:
    """C-08: nor do two site administrators, of whom each sees the other's rights."""

    def demote(who: Client, whom: User) -> int:
        sent = {"username": whom.username, "is_active": "on", **NO_MEMBERS}
        return who.post(f"/admin/auth/user/{whom.pk}/change/", sent).status_code

    for turn in range(3):
        User.objects.all().delete()
        names = (f"ann-{turn}", f"ben-{turn}")
        ann, ben = (User.objects.create_superuser(name) for name in names)
        of_ann, of_ben = Client(), Client()
        of_ann.force_login(ann)
        of_ben.force_login(ben)

        at_once(partial(demote, of_ann, ben), partial(demote, of_ben, ann))

        assert User.objects.filter(is_superuser=True).count() == 1


def test_the_page_that_asks_before_a_user_is_deleted(
    admin: User, admin_page: Client
) -> None:
    """It shows what the answer to it would be, without a transaction of its own."""
    asked = admin_page.get(f"/admin/auth/user/{admin.pk}/delete/")

    assert "make somebody else a site administrator first" in asked.content.decode()
