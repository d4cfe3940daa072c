"""What people may fill in about how they are told."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard.alerts.channels import LEAST_SECRET, seal_into
from dashboard.alerts.models import Channel, ChannelKind, Subscription
from dashboard.lib.web_addresses import is_web_address
from dashboard.pipeline.apprise_posting import NOT_INSTALLED, is_installed
from dashboard.probes.addresses import why_refused
from dashboard.teams.models import Gateway, Team, printable
from dashboard.web.forms import TeamField, sentence_of

if TYPE_CHECKING:
    PreferencesModelForm: TypeAlias = forms.ModelForm[Subscription]
else:
    PreferencesModelForm = forms.ModelForm

_KINDS = [
    (ChannelKind.WEBHOOK, "Signed webhook: JSON for a program of yours"),
    (ChannelKind.SLACK, "Slack, or what takes Slack's messages"),
    (ChannelKind.APPRISE, "Apprise: a hundred other services"),
]


class PlainSelect(forms.Select):
    """A list of many options, written at once instead of by a template for each."""

    def render(
        self,
        name: str,
        value: object,
        attrs: Mapping[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        widget = self.get_context(name, value, dict(attrs or {}))["widget"]
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>\n',
            (
                (option["value"], flatatt(option["attrs"]), option["label"])
                for _, group, _ in widget["optgroups"]
                for option in group
            ),
        )
        around = flatatt({"name": name, **widget["attrs"]})
        return format_html("<select{}>\n{}</select>", around, options)


class PreferencesForm(PreferencesModelForm):
    """Which regular mails somebody gets, and when his day begins."""

    time_zone = forms.ChoiceField(
        choices=[
            (each, each.replace("_", " ")) for each in sorted(available_timezones())
        ],
        widget=PlainSelect,
        help_text="Days and hours of these mails are in this zone.",
    )
    hour = forms.TypedChoiceField(
        label="Not before",
        coerce=int,
        choices=[(hour, f"{hour:02}:00") for hour in range(24)],
    )

    class Meta:
        model = Subscription
        fields = ["daily", "weekly", "time_zone", "hour"]
        labels = {
            "daily": "Each day a digest of the day before",
            "weekly": "Each Monday a report of the week before",
        }


class ChannelForm(forms.Form):
    """A new channel; its address and its secret are sealed, and never shown again."""

    name = forms.CharField(
        max_length=80, validators=[printable], help_text="As it is listed here."
    )
    kind = forms.ChoiceField(label="Form", choices=_KINDS)
    address = forms.CharField(
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="https://… as the receiver gave it. It is stored encrypted.",
    )
    secret = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=f"Signed webhooks only: at least {LEAST_SECRET} characters that the "
        "receiver knows too.",
    )
    gateway = forms.ModelChoiceField(
        Gateway.objects.all(), required=False, empty_label="All gateways"
    )
    team = TeamField(
        Team.objects.select_related("gateway"), required=False, empty_label="All teams"
    )
    allow_private = forms.BooleanField(
        label="It has a private or loopback address",
        required=False,
        help_text="Such addresses are refused unless you allow them here.",
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Channel.objects.filter(name=name).exists():
            raise ValidationError(f"There is a channel named {name} already.")
        return name

    def clean(self) -> dict[str, Any]:
        told = self.cleaned_data
        if told.get("kind") == ChannelKind.APPRISE:
            if not is_installed():
                self.add_error("kind", f"{NOT_INSTALLED}.")
        elif "address" in told:
            self._check_address(told["address"], allow_private=told["allow_private"])
        if told.get("kind") == ChannelKind.WEBHOOK:
            if len(told.get("secret", "")) < LEAST_SECRET:
                self.add_error("secret", f"At least {LEAST_SECRET} characters.")
        elif told.get("secret"):
            self.add_error("secret", "Only signed webhooks have one.")
        return told

    def _check_address(self, address: str, *, allow_private: bool) -> None:
        """Refuse what can never be posted to; names are looked up when it is."""
        if not is_web_address(address):
            self.add_error(
                "address", "Write https://HOST/PATH, without a log-in in it."
            )
            return
        parts = urlsplit(address)
        host = f"{parts.scheme}://{parts.netloc}"
        try:
            why = why_refused(host, allow_private=allow_private)
        except ValueError as error:
            why = str(error)
        if why:
            self.add_error("address", sentence_of(why.removeprefix("probes refuse ")))

    def save(self) -> Channel:
        told = self.cleaned_data
        channel = Channel(
            name=told["name"],
            kind=told["kind"],
            gateway=told["gateway"],
            team=told["team"],
            allow_private=told["allow_private"],
        )
        seal_into(channel, told["address"], told["secret"])
        channel.save()
        return channel
