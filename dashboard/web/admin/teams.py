"""Gateways, teams and their members, for site administrators."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dashboard.probes.services import watch_gateway, watch_team
from dashboard.teams.keys import check_key, clear_key, forget_keys, hint, set_key
from dashboard.teams.models import AuditAction, Gateway, Membership, Team
from dashboard.teams.services import clean_base_url
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.audited import noted
from dashboard.web.forms import refuse_address, sentence

if TYPE_CHECKING:
    GatewayModelForm: TypeAlias = forms.ModelForm[Gateway]
    TeamModelForm: TypeAlias = forms.ModelForm[Team]
    MembershipInline: TypeAlias = admin.TabularInline[Membership, Team]
else:
    GatewayModelForm = TeamModelForm = forms.ModelForm
    MembershipInline = admin.TabularInline


class GatewayForm(GatewayModelForm):
    """A gateway's own fields; its address in the one canonical form."""

    class Meta:
        model = Gateway
        fields = ["name", "base_url", "allow_private"]

    def clean_base_url(self) -> str:
        try:
            return clean_base_url(self.cleaned_data["base_url"])
        except ValueError as error:
            raise ValidationError(sentence(error)) from None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        refuse_address(self, self.cleaned_data)
        return cleaned


@admin.register(Gateway)
class GatewayAdmin(AuditedAdmin):
    audit_action = AuditAction.GATEWAY
    form = GatewayForm
    list_display = ["name", "base_url", "allow_private"]
    search_fields = ["name", "base_url"]

    def save_model(
        self,
        request: HttpRequest,
        obj: Gateway,
        form: GatewayForm,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        super().save_model(request, obj, form, change)
        if change and form.initial["base_url"] != obj.base_url:
            forgotten = forget_keys(obj)
            detail = f"{forgotten} keys of its teams: the address changed"
            noted(request, AuditAction.KEY_FORGOTTEN, obj, detail=detail)
            messages.warning(
                request,
                f"The address changed, so {forgotten} keys that were given for the old "
                "one are forgotten: set them again.",
            )
        watch_gateway(obj, timezone.now())


class TeamForm(TeamModelForm):
    """The key is write-only: an empty field keeps what is stored."""

    key = forms.CharField(
        label="Virtual key",
        required=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Empty keeps the present one. It is stored encrypted; env:NAME or "
        "file:/path refer to a key that is kept elsewhere.",
    )
    forget_key = forms.BooleanField(label="Forget the key", required=False)

    class Meta:
        model = Team
        fields = ["gateway", "team_id", "name"]

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if not key:
            return ""
        try:
            return check_key(key)
        except ValueError as error:
            raise ValidationError(sentence(error)) from None

    def full_clean(self) -> None:
        super().full_clean()
        if self.errors:
            self.key_is_lost()

    def key_is_lost(self) -> None:
        """Say that a typed key has to be typed again: no page ever shows it."""
        if self.cleaned_data.get("key"):
            self.add_error(
                "key", "Type the key again: it is not kept with errors here."
            )


class Members(MembershipInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Team)
class TeamAdmin(AuditedAdmin):
    audit_action = AuditAction.TEAM
    form = TeamForm
    list_display = ["__str__", "team_id", "gateway", "status", "status_at", "key_hint"]
    list_filter = ["gateway", "status"]
    list_select_related = ["gateway"]
    search_fields = ["team_id", "name"]
    readonly_fields = ["key_hint", "key_set_at", "status", "status_at", "model_aliases"]
    inlines = [Members]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        if form.is_bound and form.is_valid():
            # Shown again though it is right: what is wrong stands with the members.
            form.key_is_lost()
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="present key")
    def key_hint(self, team: Team) -> str:
        return hint(team) or "none"

    def save_model(
        self,
        request: HttpRequest,
        obj: Team,
        form: TeamForm,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        super().save_model(request, obj, form, change)
        if form.cleaned_data["key"]:
            set_key(obj, form.cleaned_data["key"], timezone.now())
            noted(request, AuditAction.KEY_SET, obj, team=obj)
        elif form.cleaned_data["forget_key"]:
            clear_key(obj)
            noted(request, AuditAction.KEY_FORGOTTEN, obj, team=obj)
        watch_team(obj, timezone.now())


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    audit_action = AuditAction.MEMBER
    list_display = ["user", "team", "role"]
    list_filter = ["role", "team"]
    list_select_related = ["user", "team"]
    autocomplete_fields = ["user", "team"]
