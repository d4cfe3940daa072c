"""Rules and recipients; incidents and mails to look at."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.alerts.models import (
    Incident,
    Notification,
    Recipient,
    Rule,
    RuleKind,
    Silence,
)
from dashboard.teams.models import AuditAction
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.admin.readonly import ReadOnlyAdmin
from dashboard.web.limit_fields import say_units
from dashboard.web.limits import limits

if TYPE_CHECKING:
    RuleModelForm: TypeAlias = forms.ModelForm[Rule]
else:
    RuleModelForm = forms.ModelForm


# By which kinds alone each of these is read; all read the others.
_WITH_LIMITS = {
    *(RuleKind.CREDITS, RuleKind.CREDITS_FORECAST, RuleKind.CREDITS_SPIKE),
    *(RuleKind.CERTIFICATE, RuleKind.ERROR_RATE, RuleKind.LATENCY),
    RuleKind.STREAM_FAILURES,
}
_BY_FAILURES = {RuleKind.ERROR_RATE, RuleKind.STREAM_FAILURES}
_ONLY_OF = {
    "warn_at": _WITH_LIMITS,
    "critical_at": _WITH_LIMITS,
    "floor": {RuleKind.CREDITS},
    "objective": {RuleKind.BURN_RATE},
    "window_s": {*_BY_FAILURES, RuleKind.LATENCY},
    "long_window_s": {RuleKind.ERROR_RATE},
    "against_baseline": {RuleKind.ERROR_RATE},
    "of_last": _BY_FAILURES,
    "min_samples": {*_BY_FAILURES, RuleKind.LATENCY, RuleKind.BURN_RATE},
    "min_bad": {*_BY_FAILURES, RuleKind.GATEWAY_DOWN, RuleKind.BURN_RATE},
    "clear_after": {*_BY_FAILURES, RuleKind.GATEWAY_DOWN},
}


class RuleForm(RuleModelForm):
    """A rule's own fields, its limits in the units of its kind."""

    def add_error(self, field: str | None, error: Any) -> None:
        told = getattr(error, "error_dict", {})
        if field is None and not set(told) <= {*self.fields, NON_FIELD_ERRORS}:
            # Of a field that its kind does not read, and that is not shown.
            error = error.messages
        super().add_error(field, error)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_units(self, self.instance)


@admin.register(Rule)
class RuleAdmin(AuditedAdmin):
    """A rule has the fields that its kind reads; it becomes none of another kind."""

    audit_action = AuditAction.RULE
    form = RuleForm
    list_display = ["name", "kind", "enabled", "scope", "told", "past", "failure"]
    readonly_fields = ["past", "failed_at", "failure"]
    list_filter = ["kind", "enabled", "gateway", "team"]
    list_select_related = ["gateway", "team", "probe__gateway", "probe__team"]
    search_fields = ["name"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str]:
        return ["kind", *self.readonly_fields] if obj else []

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        fields = list(super().get_fields(request, obj))
        if not isinstance(obj, Rule):
            return fields
        return ["kind", *(name for name in fields if _is_read(obj, str(name)))]

    @admin.display(description="limits")
    def told(self, rule: Rule) -> str:
        if rule.of_last and rule.kind in _BY_FAILURES:
            return f"{rule.min_bad} of the last {rule.of_last}"
        if rule.kind == RuleKind.LATENCY and rule.warn_at is rule.critical_at is None:
            return "half of what a run may take"
        return limits(rule) if rule.kind in (*_WITH_LIMITS, RuleKind.BURN_RATE) else ""

    @admin.display(description="on the past")
    def past(self, rule: Rule) -> SafeString:
        address = reverse("rule_past", args=[rule.pk])
        return format_html('<a href="{}">try its limits</a>', address)


def _is_read(rule: Rule, name: str) -> bool:
    """Say whether the rule's kind reads the field; one that is set is shown all the same."""
    if name not in _ONLY_OF or rule.kind in _ONLY_OF[name]:
        return name != "kind"
    return bool(getattr(rule, name) != getattr(Rule(), name))


@admin.register(Recipient)
class RecipientAdmin(AuditedAdmin):
    audit_action = AuditAction.RECIPIENT
    list_display = ["email", "scope"]
    list_filter = ["gateway", "team"]
    list_select_related = ["gateway", "team"]
    search_fields = ["email"]

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Say what an empty field means: whoever is named nowhere is told of everything."""
        said = _WITHOUT.get(db_field.name)
        return super().formfield_for_foreignkey(
            db_field, request, **({"help_text": said} if said else {}), **kwargs
        )


_WITHOUT = {
    "gateway": "Empty, and without a team: told of the alarms of everything.",
    "team": "Empty: told of all alarms of the gateway, or of everything.",
}


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
