"""What the first minutes ask: a gateway, its address, and the teams to watch there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from dashboard.alerts.models import plain_address
from dashboard.probes.addresses import why_refused
from dashboard.teams.keys import KeyUnavailableError, check_key, unseal_key
from dashboard.teams.models import Gateway, askable, printable
from dashboard.teams.services import clean_base_url
from dashboard.web.forms import sentence, sentence_of


class GatewayForm(forms.Form):
    """Where a gateway is, under a name that no other one has."""

    name = forms.CharField(
        max_length=80,
        validators=[printable],
        help_text="What you call it, for example Production.",
    )
    base_url = forms.CharField(
        label="Base URL",
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://gateway.example.com"}),
        help_text="With or without /api at its end, and without a key in it.",
    )
    allow_private = forms.BooleanField(
        label="It has a private or loopback address",
        required=False,
        help_text="Probes refuse such addresses unless you allow them here.",
    )

    def clean_name(self) -> str:
        host = urlsplit(self.cleaned_data.get("base_url", "")).netloc
        name: str = self.cleaned_data["name"] or host[:80]
        if Gateway.objects.filter(name=name).exists():
            raise ValidationError(f"A gateway named {name} is watched already.")
        return name

    def clean_base_url(self) -> str:
        try:
            return clean_base_url(self.cleaned_data["base_url"])
        except ValueError as error:
            raise ValidationError(sentence(error)) from None

    def clean(self) -> dict[str, Any]:
        refuse_address(self, self.cleaned_data)
        return self.cleaned_data


class StartForm(GatewayForm):
    """A gateway to try, and the key of one of its teams, if there is one at hand.

    Only its address has to be told; without a name it is called by its host.
    """

    field_order = ["base_url", "allow_private", "name", "team_id", "key"]
    name = forms.CharField(
        required=False,
        max_length=80,
        validators=[printable],
        help_text="Optional: what you call it, for example Production. Empty: its host.",
    )
    team_id = forms.CharField(
        label="Team id",
        required=False,
        max_length=255,
        validators=[printable, askable],
        help_text="Optional: the team whose key you have, as the gateway spells it. "
        "The gateway's own list gives the others.",
    )
    key = forms.CharField(
        label="Virtual key",
        required=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Optional: balance and job probes wait for one. It is stored "
        "encrypted and never shown again; env:NAME or file:/path refer to it instead.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["base_url"].widget.attrs["autofocus"] = True

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        try:
            return check_key(key) if key else ""
        except ValueError as error:
            raise ValidationError(sentence(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("key") and "team_id" in cleaned and not cleaned["team_id"]:
            self.add_error("team_id", "Whose key is it? Give the team's id.")
        if self.errors and cleaned.get("key"):
            # The page never shows it again, so it would be lost without a word.
            self.add_error("key", "Give the key again, too.")
        return cleaned


def carry(sealed: str, base_url: str) -> str:
    """Return a sealed key as a page may hold it.

    It is signed, for this one address, and for half an hour only.
    """
    return _carrier(base_url).sign(sealed) if sealed else ""


def carried(told: str, base_url: str) -> str:
    return _carrier(base_url).unsign(told, max_age=_CARRIED_FOR)


def _carrier(base_url: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"dashboard.web.forms.key {base_url}")


_CARRIED_FOR = timedelta(minutes=30)


class WatchForm(GatewayForm):
    """What was tried, carried on unseen, and what of it to watch.

    The key is carried sealed as it is stored, never in clear.
    """

    team_id = forms.CharField(
        required=False,
        max_length=255,
        validators=[printable, askable],
        widget=forms.HiddenInput,
    )
    key_sealed = forms.CharField(required=False, widget=forms.HiddenInput)
    teams = forms.MultipleChoiceField(required=False)
    others = forms.CharField(
        label="Other teams",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="Teams that the list leaves out: an id a line, as the gateway spells it.",
    )
    recipients = forms.CharField(
        label="Alarms go to",
        required=False,
        max_length=2000,
        help_text="Mail addresses, with commas between them.",
    )
    test_mail = forms.BooleanField(
        label="Send them a test mail now", required=False, initial=True
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in GatewayForm.base_fields:
            self.fields[name].widget = forms.HiddenInput()

    def clean_key_sealed(self) -> str:
        told: str = self.cleaned_data["key_sealed"]
        try:
            base_url = self.cleaned_data.get("base_url", "")
            sealed = carried(told, base_url) if told else ""
            return sealed if not sealed or check_key(unseal_key(sealed)[0]) else ""
        except signing.SignatureExpired:
            raise ValidationError(
                "The key waited for more than 30 minutes and is not kept any longer."
            ) from None
        except (signing.BadSignature, KeyUnavailableError, ValueError):
            raise ValidationError("The key was lost on the way.") from None

    def clean_teams(self) -> list[str]:
        return [_team_id(text) for text in self.cleaned_data["teams"]]

    def clean_others(self) -> list[str]:
        lines = map(str.strip, self.cleaned_data["others"].splitlines())
        return list(dict.fromkeys(_team_id(text) for text in filter(None, lines)))

    def clean_recipients(self) -> list[str]:
        told: str = self.cleaned_data["recipients"]
        addresses = told.replace(",", " ").split()
        for address in addresses:
            validate_email(address)
            plain_address(address)
        return addresses


def _team_id(text: str) -> str:
    printable(text)
    askable(text)
    if len(text) > _LONGEST_TEAM_ID:
        raise ValidationError("A team id has 255 characters at most.")
    return text


_LONGEST_TEAM_ID = 255


def refuse_address(form: forms.BaseForm, cleaned: Mapping[str, Any]) -> None:
    """Put an error beside the field that makes probes refuse the gateway's address."""
    if "base_url" not in cleaned:
        return
    address = cleaned["base_url"]
    if why := why_refused(address, allow_private=True):
        form.add_error("base_url", sentence_of(why))
    elif why := why_refused(address, allow_private=cleaned["allow_private"]):
        form.add_error("allow_private", f"{sentence_of(why)} Allow it here.")
