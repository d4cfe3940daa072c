"""What people may fill in."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Self
from urllib.parse import urlsplit

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.http import QueryDict

from dashboard.alerts.models import FARTHEST_SILENCE, Rule, RuleKind, plain_address
from dashboard.probes.addresses import why_refused
from dashboard.probes.kinds import KINDS, runs_a_day
from dashboard.probes.models import LONGEST_MODEL, Probe, ProbeKind
from dashboard.probes.prices import expected_price
from dashboard.teams.keys import KeyUnavailableError, check_key, unseal_key
from dashboard.teams.models import AuditAction, Gateway, Team, askable, printable
from dashboard.teams.services import clean_base_url
from dashboard.web import words
from dashboard.web.pages.audit import DAYS


class FirstAdminForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not at run time
    """The first administrator: a name, an address for alarms and a password."""

    email = forms.EmailField(
        label="E-mail",
        validators=[plain_address],
        help_text="Alarms go here until you name other recipients.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    class Meta:
        model = User
        fields = ["username", "email"]
        widgets = {"username": forms.TextInput(attrs={"autocomplete": "username"})}


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


class CostForm(forms.Form):
    """The consent to a paid probe: which model it calls, and its most credits a day."""

    model = forms.ChoiceField(help_text="One of the team's models.")
    daily_credit_cap = forms.IntegerField(
        label="Credits a day at most",
        min_value=0,
        max_value=10_000,
        help_text="The probe stops for the day (UTC) when it has spent this many.",
    )

    @classmethod
    def for_probe(cls, probe: Probe, sent: QueryDict | None = None) -> Self:
        """Return the form with the models of the probe's team."""
        kind = KINDS[ProbeKind(probe.kind)]
        cost = ceil(runs_a_day(probe.period_s) * expected_price(probe))
        form = cls(
            sent, initial={"model": probe.model, "daily_credit_cap": cost or None}
        )
        aliases = probe.team.model_aliases if probe.team else []
        if not kind.credits_per_run:
            del form.fields["model"]
            form.fields["daily_credit_cap"].widget = forms.HiddenInput()
            form.initial["daily_credit_cap"] = 0
        else:
            field = form.fields["model"]
            assert isinstance(field, forms.ChoiceField)
            # A gateway may tell names that are longer than what is kept of one.
            field.choices = [(a, a) for a in aliases if len(a) <= LONGEST_MODEL]
        return form


class TeamField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not at run time
    """Which team it is about: two may have one name, but not one id at a gateway."""

    def label_from_instance(self, obj: Team) -> str:
        return f"{obj.full_name} at {obj.gateway}"


SILENCE_HOURS = {
    1: "1 hour",
    4: "4 hours",
    12: "12 hours",
    24: "1 day",
    168: "7 days",
    720: "30 days",
}


class QuietForm(forms.Form):
    """How long somebody wants to hear nothing of an alarm, and why."""

    hours = forms.TypedChoiceField(
        label="For", coerce=int, choices=list(SILENCE_HOURS.items()), initial=4
    )
    reason = forms.CharField(
        max_length=200,
        validators=[printable],
        help_text="The others read it: what is done, and by whom.",
    )


class SilenceForm(QuietForm):
    """What is silenced, from when on, for how long, and why.

    Only site administrators may leave the team empty: that silences all of them.
    """

    field_order = ["team", "kind", "starts_at", "hours", "maintenance", "reason"]

    team = TeamField(queryset=Team.objects.none(), empty_label="All teams")
    kind = forms.ChoiceField(
        label="Alarms", required=False, choices=[("", "All kinds"), *RuleKind.choices]
    )
    starts_at = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="Empty: from now on.",
    )
    maintenance = forms.BooleanField(
        label="It is a maintenance",
        required=False,
        help_text="Results of this time are stored and shown, and left out of all "
        "rates. A maintenance is of all kinds of alarms.",
    )

    def __init__(
        self,
        *args: Any,
        operable: QuerySet[Team],
        for_all: bool,
        now: datetime,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.now = now
        self.fields["starts_at"].label = f"From ({words.zone()})"
        field = self.fields["team"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = operable
        field.required = not for_all
        if not for_all:
            field.empty_label = None

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("maintenance") and cleaned.get("kind"):
            self.add_error("kind", "A maintenance is of all kinds of alarms.")
        return cleaned

    def clean_starts_at(self) -> datetime:
        """Return the moment it begins: now where none is given."""
        wanted = self.cleaned_data["starts_at"]
        if wanted and wanted < self.now:
            raise ValidationError("This is past: leave it empty to begin now.")
        if wanted and wanted > self.now + FARTHEST_SILENCE:
            raise ValidationError("It begins within a year from today.")
        return wanted or self.now


class RuleTrialForm(forms.ModelForm):  # type: ignore[type-arg]  # not at run time
    """Limits to try on the past; the rule is never saved."""

    days = forms.TypedChoiceField(
        coerce=int,
        choices=[(1, "1 day"), (7, "7 days"), (30, "30 days")],
        initial=1,
        label="Over",
    )

    class Meta:
        model = Rule
        fields = [
            *("warn_at", "critical_at", "floor", "objective", "window_s"),
            *("min_samples", "min_bad", "of_last", "for_s", "clear_after", "keep_s"),
        ]


class AuditForm(forms.Form):
    """Which lines of the audit log are looked for."""

    q = forms.CharField(label="Who or what", required=False, max_length=100)
    action = forms.ChoiceField(
        label="Did", required=False, choices=[("", "Anything"), *AuditAction.choices]
    )
    days = forms.TypedChoiceField(
        label="Within", coerce=int, choices=list(DAYS.items())
    )


class TestMailForm(forms.Form):
    """Where to send the test mail."""

    to = forms.EmailField(label="Send a test mail to", validators=[plain_address])


def sentence(error: ValueError) -> str:
    """Return the error's text with a capital and a full stop."""
    return sentence_of(str(error))


def sentence_of(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


class RetentionForm(forms.Form):
    """For how many days each level might be kept; it only asks what that would take."""

    raw = forms.IntegerField(label="Results (days)", min_value=1, max_value=3660)
    minute = forms.IntegerField(label="Minutes (days)", min_value=1, max_value=3660)
    hour = forms.IntegerField(label="Hours (days)", min_value=1, max_value=3660)
    day = forms.IntegerField(label="Days (days)", min_value=1, max_value=36600)
    incident = forms.IntegerField(
        label="Incidents and mails (days)", min_value=1, max_value=36600
    )
