"""Users with their teams, and groups."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from dashboard.alerts.models import Notification
from dashboard.teams.models import AuditAction, Membership, Team
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.admin.titled import TeamsByTheirIds
from dashboard.web.members import (
    move_mails,
    note_gone,
    note_members,
    stop_all_mails,
)

if TYPE_CHECKING:
    UserModelForm: TypeAlias = forms.ModelForm[User]
    UserForm: TypeAlias = UserChangeForm[User]
    MembershipInline: TypeAlias = admin.StackedInline[Membership, User]
    TeamFormSet: TypeAlias = forms.BaseInlineFormSet[Membership, User, Any]
else:
    UserModelForm, UserForm = forms.ModelForm, UserChangeForm
    MembershipInline, TeamFormSet = admin.StackedInline, forms.BaseInlineFormSet

_RIGHTS = ("is_active", "is_staff", "is_superuser")
_LAST = (
    "Nobody else is active, staff and superuser: make somebody else a site "
    "administrator first."
)

admin.site.unregister([User, Group])


class NobodyLocksAllOut(UserForm):
    """Keep one site administrator: without one nobody could make another."""

    class Meta(UserChangeForm.Meta):  # type: ignore[name-defined,misc]  # no stub has it
        help_texts = {
            "is_active": "Untick it when somebody leaves: that ends the log-in at once, "
            "and the mails of the teams.",
            "is_staff": "A site administrator: sees every team and all settings, "
            "whatever stands under Teams.",
            "is_superuser": "May change everything in the administration, too.",
        }

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        lost = [name for name in _RIGHTS if not self.cleaned_data.get(name)]
        if lost and _are_all_administrators([self.instance]):
            self.add_error(lost[0], _LAST)
        return cleaned


class Teams(TeamsByTheirIds, MembershipInline):
    """What somebody sees; a site administrator sees all of them."""

    model = Membership
    extra = 0
    verbose_name = "team"
    verbose_name_plural = "teams"


@transaction.atomic
def _are_all_administrators(users: Iterable[Model]) -> bool:
    """Say so; until the commit nobody else takes one of them away."""
    found = User.objects.filter(**dict.fromkeys(_RIGHTS, True)).order_by("pk")
    there = set(found.select_for_update(no_key=True).values_list("pk", flat=True))
    return bool(there) and there <= {user.pk for user in users}


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]  # not at run time
    audit_action = AuditAction.USER
    form = NobodyLocksAllOut
    add_form = UserCreationForm
    inlines = [Teams]
    list_display = ["username", "email", "is_staff", "is_active", "last_login"]
    # Who may do what is told by staff status and by the roles in teams, so that Django's
    # long list of single permissions is left to groups.
    fieldsets = [
        (None, {"fields": ["username", "password", "email"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "email", "password1", "password2"]}),
    ]
    filter_horizontal = []
    readonly_fields = ["last_login", "date_joined"]

    def save_model(
        self,
        request: HttpRequest,
        obj: User,
        form: UserModelForm,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            move_mails(request, obj, form.initial["email"])
        if not obj.is_active:
            stop_all_mails(request, [obj])

    def save_formset(
        self,
        request: HttpRequest,
        form: UserModelForm,
        formset: TeamFormSet,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        """Note each team's own line, as its settings page does."""
        # None of a row that is gone since the page was opened.
        before = [each.initial.get("team") for each in formset.initial_forms]
        super().save_formset(request, form, formset, change)
        note_members(request, formset)
        user = form.instance
        # One that was taken, or has become another.
        left = Team.objects.filter(pk__in=before)
        for team in left.exclude(memberships__user=user):
            note_gone(request, user, team)

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        named, counts, lacking, kept = super().get_deleted_objects(objs, request)
        # The reports that were mailed to him: nobody deletes them but with him.
        lacking.discard(str(Notification._meta.verbose_name))  # noqa: SLF001 (Django's documented Model._meta)
        kept += [_LAST] if _are_all_administrators(objs) else []
        return named, counts, lacking, kept

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        stop_all_mails(request, [obj])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        stop_all_mails(request, queryset)
        super().delete_queryset(request, queryset)


@admin.register(Group)
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    audit_action = AuditAction.USER
