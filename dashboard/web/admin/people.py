"""Users and their groups; whose team is whose stands with the teams."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from dashboard.teams.models import AuditAction
from dashboard.web.admin.audited import AuditedAdmin

admin.site.unregister([User, Group])


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]  # not at run time
    audit_action = AuditAction.USER
    list_display = ["username", "email", "is_staff", "is_active", "last_login"]


@admin.register(Group)
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    audit_action = AuditAction.USER
