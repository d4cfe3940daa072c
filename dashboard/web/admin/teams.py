"""Teams and their members, for site administrators."""

from http.client import FOUND
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard.alerts.models import Incident
from dashboard.pipeline.trial import seek_teams
from dashboard.probes.breaker_events import forget_breakers
from dashboard.probes.models import Probe
from dashboard.probes.services import watch_team
from dashboard.teams.keys import (
    check_key,
    clear_key,
    hint,
    take_with_gateway,
)
from dashboard.teams.models import (
    AuditAction,
    CreditReading,
    Membership,
    Team,
)
from dashboard.web import access, words
from dashboard.web.admin import team_actions, team_lists
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.admin.deleting import DeletesItsHistory
from dashboard.web.admin.titled import Named
from dashboard.web.audited import noted
from dashboard.web.forms import sentence
from dashboard.web.members import note_gone, note_members, stop_mails
from dashboard.web.new_keys import give_key
from dashboard.web.team_forms import place_of

if TYPE_CHECKING:
    TeamModelForm: TypeAlias = forms.ModelForm[Team]
    MembershipInline: TypeAlias = admin.StackedInline[Membership, Team]
    MemberFormSet: TypeAlias = forms.BaseInlineFormSet[Membership, Team, Any]
else:
    TeamModelForm = forms.ModelForm
    MemberFormSet = forms.BaseInlineFormSet
    MembershipInline = admin.StackedInline


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
    place = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    class Meta:
        model = Team
        fields = ["gateway", "team_id", "name", "daily_credit_cap"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            self.fields["key"].help_text = (
                "Optional: balance and job probes wait for one. It is stored encrypted; "
                "env:NAME or file:/path refer to a key that is kept elsewhere."
            )
        else:
            self.fields["place"].initial = place_of(self.instance)
            team_id = self.fields["team_id"]
            assert isinstance(team_id, forms.CharField)
            # As the gateway spells it, blanks at its ends included.
            team_id.strip = False

    def clean_team_id(self) -> str:
        """Refuse another team's id: Django only does where the gateway is a field, too."""
        team_id: str = self.cleaned_data["team_id"]
        others = Team.objects.exclude(pk=self.instance.pk)
        if others.filter(gateway=self.instance.gateway_id, team_id=team_id).exists():
            raise ValidationError("The gateway has a team of this id here already.")
        return team_id

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if not key:
            return ""
        try:
            return check_key(key)
        except ValueError as error:
            raise ValidationError(sentence(error)) from None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.cleaned_data.get("key") and self.cleaned_data.get("forget_key"):
            self.add_error("forget_key", "Either a new key, or none: not both.")
        if not (self.instance.pk and self.cleaned_data.get("key")):
            return cleaned
        # Before the team, as for the recorder: one of them tries the key at once.
        own = Probe.objects.filter(team=self.instance.pk)
        list(own.select_for_update().order_by("pk"))
        take_with_gateway(self.instance)
        told, now = self.cleaned_data.get("place"), place_of(self.instance)
        if told and told != now:
            self.add_error(
                "key",
                "The gateway has another address since you opened this page. Type the "
                "key again if it is for the new one.",
            )
            # What is typed next is typed for the address of now.
            self.data = {**self.data, self.add_prefix("place"): now}
        return cleaned

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


def words_of(remaining: float | None) -> str:
    return "unknown" if remaining is None else f"{words.number(remaining)} credits"


class HasKey(admin.SimpleListFilter):
    """Teams with a key, and without one."""

    title = "key"
    parameter_name = "has_key"

    def lookups(
        self, request: HttpRequest, model_admin: object
    ) -> list[tuple[str, str]]:
        return [("yes", "with a key"), ("no", "without a key")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.exclude(key_sealed="")
            case "no":
                return queryset.filter(key_sealed="")
            case _:
                return queryset


class Members(MembershipInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user")


# Where a request keeps the team that it has stored.
_ADDED = "gatewatch.added_team"


@admin.register(Team)
class TeamAdmin(DeletesItsHistory):
    place = "team"
    audit_action = AuditAction.TEAM
    form = TeamForm
    list_display = [
        *("full_name", team_lists.state, team_lists.credits_left, team_lists.lasts),
        *(team_lists.week, team_lists.last_check, team_lists.breakers),
        *("gateway", "key_hint"),
    ]
    list_filter = [
        *("gateway", "status", HasKey),
        *(("organization_id", Named), ("budget_mode", Named)),
    ]
    list_select_related = ["gateway"]
    list_per_page = 50
    search_fields = ["team_id", "name", "organization_id"]
    actions = [
        *(team_actions.check_now, team_actions.pause, team_actions.resume),
        *(team_actions.rotate_key, team_actions.enable_deep),
        *(team_actions.enable_stream, team_actions.copy_rules),
    ]
    readonly_fields = [
        *("key_hint", "key_set_at", "status", "status_at", "model_aliases"),
        *("organization_id", "budget_mode", "readings", "incidents", "pages"),
    ]
    inlines = [Members]
    noted_apart = frozenset({"Virtual key", "Forget the key", "place"})

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Lead to the history that knows what was done on other pages, too."""
        team = get_object_or_404(Team, pk=access.row_number(object_id))
        return redirect(f"{reverse('team_settings', args=[team.pk])}#history")

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Say at once that the gateway does not know a new team.

        It is asked when the row is stored: meanwhile nobody waits for the database.
        """
        answer = super().add_view(request, form_url, extra_context)
        added = request.META.get(_ADDED)
        if (
            isinstance(added, Team)
            and answer.status_code == FOUND
            and seek_teams(added.gateway, [added.team_id]).unknown
        ):
            messages.error(
                request,
                f"The gateway knows no “{added.team_id}”: correct the team's id, or "
                "delete it.",
            )
        return answer

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        if form.is_bound and form.is_valid():
            # Shown again though it is right: what is wrong stands with the members.
            form.key_is_lost()
        return super().render_change_form(request, context, *args, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Leave out of a new team's form what nobody knows of it yet."""
        if obj:
            return list(super().get_fields(request, obj))
        return ["gateway", "team_id", "name", "daily_credit_cap", "key"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str]:
        """Keep a team at its gateway: its key was given for that address."""
        fixed = [str(name) for name in self.readonly_fields]
        return ["gateway", *fixed] if obj else []

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return team_lists.TeamList

    @admin.display(description="latest readings")
    def readings(self, team: Team) -> SafeString:
        found = CreditReading.objects.filter(team=team).order_by("-read_at")[:10]
        rows = ((words.exact(r.read_at), words_of(r.remaining)) for r in found)
        return format_html_join("", "<div>{}: {}</div>", rows) or SafeString("none yet")

    @admin.display(description="latest incidents")
    def incidents(self, team: Team) -> SafeString:
        found = Incident.objects.filter(team=team).order_by("-opened_at")[:10]
        rows = (
            (reverse("incident", args=[i.pk]), i.summary, words.exact(i.opened_at))
            for i in found
        )
        line = '<div><a href="{}">{}</a>, opened {}</div>'
        return format_html_join("", line, rows) or SafeString("none")

    @admin.display(description="its pages")
    def pages(self, team: Team) -> SafeString:
        if not team.pk:
            return SafeString("save it first")
        return format_html(
            '<a href="{}">numbers</a>, <a href="{}">key, probes, limits, history</a>',
            reverse("team", args=[team.pk]),
            reverse("team_settings", args=[team.pk]),
        )

    @admin.display(description="key")
    def key_hint(self, team: Team) -> str:
        return hint(team) or "none"

    def save_model(
        self,
        request: HttpRequest,
        obj: Team,
        form: TeamForm,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        if change and "team_id" in form.changed_data:
            # Kept by the id of before, which others may have next.
            forget_breakers(Probe.objects.filter(team=obj))
        super().save_model(request, obj, form, change)
        if not change:
            request.META[_ADDED] = obj
        if form.cleaned_data["key"]:
            take_with_gateway(obj)
            give_key(request, obj, form.cleaned_data["key"], timezone.now())
        elif form.cleaned_data.get("forget_key"):
            clear_key(obj)
            noted(request, AuditAction.KEY_FORGOTTEN, obj, team=obj)
        watch_team(obj, timezone.now())

    def save_formset(
        self,
        request: HttpRequest,
        form: TeamForm,
        formset: MemberFormSet,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        # None of a row that is gone since the page was opened.
        before = [each.initial.get("user") for each in formset.initial_forms]
        super().save_formset(request, form, formset, change)
        note_members(request, formset)
        left = User.objects.filter(pk__in=before)
        team = form.instance
        for gone in left.exclude(memberships__team=team):
            note_gone(request, gone, team)


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    """Who is whose member is not changed into another: one goes, the other comes."""

    audit_action = AuditAction.MEMBER
    list_display = ["user", "team", "role"]
    list_filter = ["role", "team"]
    search_fields = ["user__username", "user__email", "team__team_id", "team__name"]
    list_select_related = ["user", "team"]
    # The team is chosen from a list that has the ids, too.
    autocomplete_fields = ["user"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str]:
        return ["user", "team"] if obj else []

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        super().delete_model(request, obj)
        stop_mails(request, obj.user, obj.team)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Membership]
    ) -> None:
        gone = [(held.user, held.team) for held in queryset]
        super().delete_queryset(request, queryset)
        for user, team in gone:
            stop_mails(request, user, team)
