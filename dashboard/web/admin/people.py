"""Users and their groups; whose team is whose stands with the teams."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from dashboard.teams.models import AuditAction
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.members import move_mails, stop_all_mails

if TYPE_CHECKING:
    UserModelForm: TypeAlias = forms.ModelForm[User]
    UserForm: TypeAlias = UserChangeForm[User]
else:
    UserModelForm, UserForm = forms.ModelForm, UserChangeForm

_RIGHTS = ("is_active", "is_staff", "is_superuser")

admin.site.unregister([User, Group])


class NobodyLocksAllOut(UserForm):
    """Keep one site administrator: without one nobody could make another."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        lost = [name for name in _RIGHTS if not self.cleaned_data.get(name)]
        if lost and not _administrators().exclude(pk=self.instance.pk).exists():
            self.add_error(
                lost[0],
                "Nobody else is active, staff and superuser: make somebody else a site "
                "administrator first.",
            )
        return cleaned


def _administrators() -> QuerySet[User]:
    return User.objects.filter(**dict.fromkeys(_RIGHTS, True))


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]  # not at run time
    audit_action = AuditAction.USER
    form = NobodyLocksAllOut
    list_display = ["username", "email", "is_staff", "is_active", "last_login"]
    # Who may do what is told by staff status and by the roles in teams, so that Django's
    # long list of single permissions is left to groups.
    fieldsets = [
        (None, {"fields": ["username", "password", "email"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
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

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        stop_all_mails(request, [obj])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        stop_all_mails(request, queryset)
        super().delete_queryset(request, queryset)


@admin.register(Group)
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    audit_action = AuditAction.USER
