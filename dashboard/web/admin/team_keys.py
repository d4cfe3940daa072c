"""New keys of many teams in one form: each is typed, and none is ever shown."""

from collections.abc import Collection, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from dashboard.probes.models import Probe
from dashboard.teams.keys import check_key, hint
from dashboard.teams.models import Gateway, Team
from dashboard.web import words
from dashboard.web.forms import sentence
from dashboard.web.new_keys import give_key
from dashboard.web.team_forms import place_of

# As many as a page of the list has.
MOST_KEYS = 50


class KeysForm(forms.Form):
    """A key for each of these teams; an empty field keeps what the team has."""

    def __init__(self, teams: Sequence[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.teams = teams
        for team in teams:
            self.fields[_key(team)] = forms.CharField(
                label=f"{team.full_name} at {team.gateway}",
                required=False,
                max_length=500,
                strip=False,
                widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
                help_text=f"Present: {hint(team) or 'none'}. Empty keeps it.",
            )
            # For which address it is typed.
            self.fields[_place(team)] = forms.CharField(
                max_length=64,
                required=False,
                widget=forms.HiddenInput,
                initial=place_of(team),
            )

    def clean(self) -> dict[str, Any]:
        for team in self.teams:
            if key := self._typed(team):
                self._check(team, key)
        if self.errors:
            for team in self.teams:
                if self._typed(team):
                    said = "Type the key again: it is not kept with errors here."
                    self.add_error(_key(team), said)
        return self.cleaned_data

    def _typed(self, team: Team) -> str:
        return str(self.cleaned_data.get(_key(team), "")).strip()

    def _check(self, team: Team, key: str) -> None:
        place = self.cleaned_data.get(_place(team))
        if place and place != place_of(team):
            said = (
                "The gateway has another address since you opened this page. Type the "
                "key again if it is for the new one."
            )
            self.add_error(_key(team), said)
            # What is typed next is typed for the address of now.
            self.data = {**self.data, _place(team): place_of(team)}
            return
        try:
            check_key(key)
        except ValueError as error:
            self.add_error(_key(team), ValidationError(sentence(error)))

    def keys(self) -> list[tuple[Team, str]]:
        """Return the keys that were typed, with whose each is."""
        typed = [(team, self._typed(team)) for team in self.teams]
        return [(team, key) for team, key in typed if key]


def _key(team: Team) -> str:
    return f"key-{team.pk}"


def _place(team: Team) -> str:
    return f"place-{team.pk}"


@transaction.atomic
def replace_keys(request: HttpRequest, pks: Collection[int]) -> KeysForm | None:
    """Keep the keys that were sent, all or none; return the form that tells errors.

    Where none was sent yet, return the empty form.
    """
    if "confirmed" not in request.POST:
        return KeysForm(_teams(pks))
    # In the recorder's order, and before all addresses, which decide where keys are sent.
    list(Probe.objects.select_for_update().filter(team__in=pks).order_by("pk"))
    teams = Team.objects.select_for_update(no_key=True).filter(pk__in=pks)
    places = {team.gateway_id for team in teams.order_by("pk")}
    gateways = Gateway.objects.select_for_update(no_key=True).filter(pk__in=places)
    list(gateways.order_by("pk"))
    form = KeysForm(_teams(pks), request.POST)
    if not form.is_valid():
        return form
    given = form.keys()
    for team, key in given:
        give_key(request, team, key, timezone.now())
    if not given:
        messages.warning(request, "No key was typed, so all teams keep what they have.")
        return None
    number = words.count(len(given), "key is set", "keys are set")
    messages.success(
        request,
        f"{number}, and tried now: the column “last check” tells in some seconds which "
        "the gateway refuses.",
    )
    return None


def _teams(pks: Collection[int]) -> list[Team]:
    found = Team.objects.filter(pk__in=pks).select_related("gateway")
    return list(found.order_by("gateway__name", "team_id"))
