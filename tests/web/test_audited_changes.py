"""C-18: whatever changes something leaves a line: who, when, what, and never the secret."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.admin import site as admin_site
from django.db.models import Model
from django.urls import reverse

from dashboard.alerts.models import Recipient
from dashboard.alerts.services import install_default_rules
from dashboard.probes.models import Probe
from dashboard.teams.models import AuditEntry, Membership, Team
from dashboard.web.views import team_settings
from tests.factories import NOW
from tests.web.test_access import PLACES, Site, site, whole_site

pytestmark = pytest.mark.django_db
__all__ = ["site", "whole_site"]  # fixtures

CANARY = "sk-canary-0123456789-tail"


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent, and the action and a part of the detail of the line that it leaves."""

    action: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict)


CHANGES = {
    "run": Sent("probe", "run asked for"),
    "accept": Sent(
        "probe", "at most 9 credits", {"model": "chat-fast", "daily_credit_cap": 9}
    ),
    "stop": Sent("probe", "switched off"),
    "team_settings": Sent("key_set", "", {"part": "key", "key": CANARY}),
    "team_rule": Sent("rule", "Warn at from 20 % to 40 %", {"warn_at": 0.4}),
    "acknowledge": Sent("incident", "acknowledged", {"text": CANARY}),
    "note": Sent("incident", "note added", {"text": CANARY}),
    "silences": Sent("silence", "for 4 h", {"hours": 4, "reason": "Moving"}),
    "silence_incident": Sent("silence", "for 12 h", {"hours": 12, "reason": "Moving"}),
    "end_silence": Sent("silence", "ended"),
    "force": Sent("breaker", "to forced_open", {"to": "forced_open"}),
    "test_mail": Sent("other", "test mail", {"to": "rosa@example.com"}),
    "self_test": Sent("other", "begun"),
    "retry": Sent("other", "queued again"),
    "preferences": Sent(
        "recipient", "own mails", {"weekly": "on", "time_zone": "UTC", "hour": 8}
    ),
    "unsubscribe": Sent("recipient", "ended by its link"),
    "channels": Sent(
        "recipient",
        "channel added",
        {
            "name": "Ours",
            "kind": "webhook",
            "address": f"https://hooks.example/{CANARY}",
            "secret": CANARY,
        },
    ),
    "test_channel": Sent("recipient", "test sent"),
    "switch_channel": Sent("recipient", "switched on", {"to": "on"}),
    "delete_channel": Sent("recipient", "channel deleted"),
    "logout": Sent("log_out", ""),
}
# They have tests of their own: what they take is more than one form.
ELSEWHERE = {"login", "password", "watch", "import_teams"}
# It asks a gateway, and stores nothing.
NO_CHANGE = {"start"}


def test_every_view_that_takes_a_form_is_in_the_table() -> None:
    posted = {name for name, (method, _) in PLACES.items() if method != "get"}

    assert posted == {*CHANGES, *ELSEWHERE, *NO_CHANGE}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_a_line(site: Site, name: str) -> None:
    install_default_rules()
    Team.objects.update(model_aliases=["chat-fast"])
    Probe.objects.update(enabled=True)
    sent = CHANGES[name]

    site.clients["root"].post(site.address(name), sent.fields)

    [line] = AuditEntry.objects.filter(action=sent.action)
    assert sent.detail in line.detail
    assert (line.actor, line.at, line.address) == ("rosa", NOW, "127.0.0.1")
    assert "canary" not in f"{line.subject} {line.detail}"


# They lead on, or ask first; what comes of it is tested with the teams' list.
ASKING = {"rotate_key", "enable_deep", "enable_stream", "copy_rules", "set_period"}
ACTIONS = [
    (model, name)
    for model, shown in admin_site._registry.items()
    for action in shown.actions or ()
    if (name := getattr(action, "__name__", str(action))) not in ASKING
]


@pytest.mark.parametrize(("model", "action"), ACTIONS)
def test_an_action_of_the_admin_leaves_a_line(
    site: Site, model: type[Model], action: str
) -> None:
    Probe.objects.update(enabled=True)
    chosen = model._default_manager.values_list("pk", flat=True)[:1]
    address = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")

    site.clients["root"].post(
        address, {"action": action, "_selected_action": list(chosen)}
    )

    [line] = AuditEntry.objects.exclude(action="log_in")
    assert line.actor == "rosa"
    assert line.detail


PARTS = {
    "details": Sent(
        "team",
        "Name, Credits a day for probes from none to 20 credits",
        {"name": CANARY, "daily_credit_cap": 20},
    ),
    "key": Sent("key_set", "", {"key": CANARY}),
    "forget_key": Sent("key_forgotten", ""),
    "probes": Sent("probe", "period from 60 s to 77 s", {"probe-{probe}-period_s": 77}),
    "check": Sent("probe", "checks asked for"),
    "pause": Sent("team", "paused"),
    "resume": Sent("team", "resumed"),
    "member": Sent(
        "member", "now manager, viewer before", {"user": "vera", "role": "manager"}
    ),
    "drop_member": Sent("member", "not a member now", {"pk": "{member}"}),
    "recipient": Sent("recipient", "added", {"email": "vera@example.com"}),
    "drop_recipient": Sent("recipient", "removed", {"pk": "{recipient}"}),
}


def test_every_part_of_a_teams_settings_is_in_the_table() -> None:
    assert set(PARTS) == set(team_settings._PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_teams_manager_leaves_a_line_in_its_history(site: Site, part: str) -> None:
    team = Team.objects.get(pk=site.pks["team"])
    told = Recipient.objects.create(email="x@example.com", team=team)
    pks = {
        "probe": site.pks["probe"],
        "member": Membership.objects.get(user__username="vera").pk,
        "recipient": told.pk,
    }
    sent = PARTS[part]
    fields = {
        name.format(**pks): str(value).format(**pks)
        for name, value in sent.fields.items()
    }

    site.clients["manager"].post(
        site.address("team_settings"), {"part": part, **fields}
    )

    [line] = AuditEntry.objects.filter(action=sent.action, team_pk=team.pk)
    assert sent.detail in line.detail
    assert line.actor == "alice"
    assert "canary" not in f"{line.subject} {line.detail}"
