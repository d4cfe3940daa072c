"""What the managers of a team may fill in about it."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import QueryDict
from django.utils.crypto import salted_hmac

from dashboard.alerts.models import Recipient, Rule, RuleKind
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import LONGEST_PERIOD_S, Probe, ProbeKind
from dashboard.teams.keys import check_typed_key
from dashboard.teams.models import Role, Team
from dashboard.web.forms import sentence
from dashboard.web.limit_fields import say_units

if TYPE_CHECKING:
    TeamModelForm: TypeAlias = forms.ModelForm[Team]
    RuleModelForm: TypeAlias = forms.ModelForm[Rule]
else:
    TeamModelForm = RuleModelForm = forms.ModelForm

# The kinds whose limits a team may have for itself.
OWN_RULES = {
    RuleKind.CREDITS: ("warn_at", "critical_at", "floor"),
    RuleKind.CREDITS_FORECAST: ("warn_at", "critical_at"),
    RuleKind.ERROR_RATE: (
        *("warn_at", "critical_at", "window_s", "min_samples", "min_bad"),
        *("for_s", "clear_after"),
    ),
}


class DetailsForm(TeamModelForm):
    """How the team is called here, and what its probes may cost together."""

    class Meta:
        model = Team
        fields = ["name", "daily_credit_cap"]
        help_texts = {"name": "Shown instead of the team id."}


def place_of(team: Team) -> str:
    """Return the address that a key of the team is for, as a page may hold it."""
    told = salted_hmac("dashboard.web.team_forms.place", team.gateway.base_url)
    return told.hexdigest()


class KeyForm(forms.Form):
    """The team's virtual key: written, and never shown again."""

    key = forms.CharField(
        label="New virtual key",
        max_length=500,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="It is stored encrypted, sent to this gateway only, and never shown.",
    )

    # For which address it is typed; a digest, since managers need not know it.
    place = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(
        self, team: Team, *args: Any, any_reference: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._any_reference = any_reference
        self.fields["place"].initial = place_of(team)
        if team.has_key:
            field = self.fields["key"]
            field.help_text += " The present one is gone at once, and never comes back."

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"].strip()
        try:
            return check_typed_key(key, any_reference=self._any_reference)
        except ValueError as error:
            raise ValidationError(sentence(error)) from None

    @property
    def is_for_elsewhere(self) -> bool:
        """Say whether the gateway has another address since the page was opened."""
        told = self.cleaned_data["place"]
        return bool(told) and told != self.fields["place"].initial


class ProbeForm(forms.Form):
    """How often a probe runs, and whether; a paid one is switched on where its cost is."""

    period_s = forms.IntegerField(
        label="Every (s)", min_value=5, max_value=LONGEST_PERIOD_S
    )
    enabled = forms.BooleanField(label="On", required=False)

    def __init__(self, probe: Probe, sent: QueryDict | None = None) -> None:
        told = {"period_s": probe.period_s, "enabled": probe.enabled}
        super().__init__(sent, prefix=f"probe-{probe.pk}", initial=told)
        self.probe = probe
        said = f"{probe.get_kind_display()}: every how many seconds"
        self.fields["period_s"].widget.attrs["aria-label"] = said
        if KINDS[ProbeKind(probe.kind)].paid:
            # A shorter period costs more than was accepted.
            self.fields["enabled"].disabled = True
            self.fields["period_s"].disabled = probe.enabled


# The error of a name that nobody has, or two.
NOBODY = "nobody"


class MemberForm(forms.Form):
    """Who else sees the team, and what he may do."""

    user = forms.CharField(
        label="User name or mail address",
        max_length=254,
        help_text="Of somebody who has an account here.",
    )
    role = forms.ChoiceField(
        choices=Role.choices,
        help_text="Viewers look, operators also acknowledge and silence, managers also "
        "change what is on this page.",
    )

    def __init__(self, team: Team, *args: Any, may_ask: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._team, self._may_ask = team, may_ask

    def clean_user(self) -> User:
        told: str = self.cleaned_data["user"]
        named = Q(username=told) | (Q(email__iexact=told) & ~Q(email=""))
        users = User.objects.filter(named, is_active=True)
        if not self._may_ask:
            # Of the others he learns nothing: the same is said of who is there and who not.
            users = users.filter(memberships__team=self._team)
        found = list(users[:2])
        if len(found) == 1:
            return found[0]
        if not self._may_ask:
            raise ValidationError(
                "You have named many people within the hour. Go on in an hour, or ask a "
                "site administrator."
            )
        raise ValidationError(
            "No account, or more than one, has this name or address. Check the spelling; "
            "a site administrator makes accounts.",
            code=NOBODY,
        )


class RecipientForm(forms.Form):
    """Which member is mailed of the team's alarms.

    Only addresses of members, which a site administrator has set: nobody can have
    strangers mailed.
    """

    email = forms.ChoiceField(
        label="Mail to",
        help_text="Members with a mail address. A site administrator adds others, such "
        "as the list of who is on call.",
    )

    def __init__(self, team: Team, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        told = set(Recipient.objects.filter(team=team).values_list("email", flat=True))
        members = User.objects.filter(memberships__team=team, is_active=True)
        addresses = set(members.exclude(email="").values_list("email", flat=True))
        field = self.fields["email"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each, each) for each in sorted(addresses - told)]

    @property
    def has_choice(self) -> bool:
        field = self.fields["email"]
        assert isinstance(field, forms.ChoiceField)
        return bool(field.choices)


class RuleForm(RuleModelForm):
    """A team's own limits of one kind of alarm."""

    class Meta:
        model = Rule
        fields = [
            *("warn_at", "critical_at", "floor", "window_s"),
            *("min_samples", "min_bad", "for_s", "clear_after"),
        ]

    def __init__(self, rule: Rule, sent: QueryDict | None = None) -> None:
        super().__init__(sent, instance=rule)
        kind = RuleKind(rule.kind)
        for name in set(self.fields) - set(OWN_RULES[kind]):
            del self.fields[name]
        say_units(self, rule)
        if "window_s" in self.fields:
            self.fields["window_s"] = forms.IntegerField(
                label="Window (s)", min_value=5, max_value=3600
            )
