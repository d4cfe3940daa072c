"""Rules and recipients; incidents and mails to look at."""

from django.contrib import admin

from dashboard.alerts.models import Incident, Notification, Recipient, Rule, Silence
from dashboard.teams.models import AuditAction
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.admin.readonly import ReadOnlyAdmin


@admin.register(Rule)
class RuleAdmin(AuditedAdmin):
    audit_action = AuditAction.RULE
    list_display = ["name", "kind", "enabled", "scope", "failure"]
    readonly_fields = ["failed_at", "failure"]
    list_filter = ["kind", "enabled", "gateway", "team"]
    list_select_related = ["gateway", "team", "probe__gateway", "probe__team"]
    search_fields = ["name"]


@admin.register(Recipient)
class RecipientAdmin(AuditedAdmin):
    audit_action = AuditAction.RECIPIENT
    list_display = ["email", "scope"]
    list_filter = ["gateway", "team"]
    list_select_related = ["gateway", "team"]
    search_fields = ["email"]


@admin.register(Silence)
class SilenceAdmin(AuditedAdmin):
    audit_action = AuditAction.SILENCE
    list_display = [
        *("reason", "kind", "maintenance", "scope", "starts_at", "ends_at"),
    ]
    list_filter = ["maintenance", "kind", "gateway", "team"]
    list_select_related = ["gateway", "team", "probe__gateway", "probe__team"]
    search_fields = ["reason"]


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ["summary", "kind", "severity", "opened_at", "resolved_at"]
    list_filter = ["kind", "severity", "gateway", "team"]
    list_select_related = ["gateway", "team"]


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ["recipient", "change", "state", "created_at", "sent_at"]
    list_filter = ["state", "change"]
    list_select_related = ["incident"]
