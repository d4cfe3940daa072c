"""What people may fill in."""

from datetime import UTC, datetime
from math import ceil
from typing import Any, Self

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db.models import QuerySet
from django.http import QueryDict

from dashboard.alerts.models import (
    FARTHEST_SILENCE,
    GATEWAY_KINDS,
    OF_NO_TEAM,
    Rule,
    RuleKind,
    plain_address,
)
from dashboard.probes.kinds import KINDS, runs_a_day
from dashboard.probes.models import LONGEST_MODEL, Probe, ProbeKind
from dashboard.probes.prices import expected_price, least_cap
from dashboard.teams.models import AuditAction, Team, printable
from dashboard.web import words
from dashboard.web.limit_fields import say_units
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


def refuse_less(field: forms.Field, least: int) -> None:
    """Refuse a cap with which a probe would never run."""
    said = f"One run may cost {words.amount(least, 'credit')}: with less it never runs."
    field.validators.append(MinValueValidator(least, said))
    field.widget.attrs["min"] = least


class CostForm(forms.Form):
    """The consent to a paid probe: which model it calls, and its most credits a day."""

    model = forms.ChoiceField(
        help_text="One of the team's models.",
        # Not with the word that was sent: until they are shown, messages are kept.
        error_messages={"invalid_choice": "Choose one of the team's models."},
    )
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
        cap = probe.daily_credit_cap if probe.enabled else cost or None
        form = cls(sent, initial={"model": probe.model, "daily_credit_cap": cap})
        aliases = probe.team.model_aliases if probe.team else []
        if probe.enabled and probe.model not in aliases:
            # Whoever changes the cap alone goes on with the model that is called now.
            aliases = [probe.model, *aliases]
        if not kind.credits_per_run:
            del form.fields["model"]
            form.fields["daily_credit_cap"].widget = forms.HiddenInput()
            form.initial["daily_credit_cap"] = 0
        else:
            refuse_less(form.fields["daily_credit_cap"], least_cap(probe))
            form.fields["daily_credit_cap"].help_text += (
                f" With fewer than {cost:,} it stops before the day is over: with half "
                "of them at about noon."
            )
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
        label="Alarms",
        required=False,
        choices=[("", "All kinds"), *RuleKind.choices],
        help_text="Of a team these are its own: an outage of its whole gateway is mailed "
        "all the same, until a site administrator silences that.",
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
        "rates. It is of all kinds of alarms, whichever is chosen above.",
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
            kinds = self.fields["kind"]
            assert isinstance(kinds, forms.ChoiceField)
            kinds.choices = [
                ("", "All kinds"),
                *(each for each in RuleKind.choices if each[0] not in GATEWAY_KINDS),
            ]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        # It is of all kinds of alarms, as its field says, whatever was chosen before.
        if cleaned.get("maintenance"):
            cleaned["kind"] = ""
        if cleaned.get("team") and cleaned.get("kind") in GATEWAY_KINDS:
            self.add_error("kind", OF_NO_TEAM)
        return cleaned

    def clean_starts_at(self) -> datetime:
        """Return the moment it begins: now where none is given."""
        wanted = self.cleaned_data["starts_at"]
        if wanted and wanted < self.now:
            raise ValidationError("This is past: leave it empty to begin now.")
        if wanted and wanted > self.now + FARTHEST_SILENCE:
            raise ValidationError("It begins within a year from today.")
        # PostgreSQL knows no offset of 16 hours.
        return (wanted or self.now).astimezone(UTC)


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_units(self, self.instance)


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
