"""Probes, and what they saw."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.probes.kinds import PAID
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.prices import least_cap
from dashboard.probes.rests import switched
from dashboard.probes.services import request_run
from dashboard.teams.models import AuditAction
from dashboard.web import words
from dashboard.web.admin import team_lists
from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.admin.readonly import ReadOnlyAdmin
from dashboard.web.admin.titled import Named
from dashboard.web.audited import noted
from dashboard.web.forms import refuse_less
from dashboard.web.pages.parts import probe_badge
from dashboard.web.prober import prober

if TYPE_CHECKING:
    ProbeModelForm: TypeAlias = forms.ModelForm[Probe]
else:
    ProbeModelForm = forms.ModelForm


class ProbeForm(ProbeModelForm):
    """A probe's own fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cap = self.fields.get("daily_credit_cap")
        if cap and (least := least_cap(self.instance)):
            refuse_less(cap, least)


class ProbeRowForm(ProbeForm):
    """What is changed of a probe in the list."""

    class Meta:
        model = Probe
        fields = ["period_s", "daily_credit_cap"]
        widgets = {
            "period_s": forms.NumberInput(attrs={"aria-label": "period in seconds"}),
            "daily_credit_cap": forms.NumberInput(
                attrs={"aria-label": "credits a day at most"}
            ),
        }


@admin.register(Probe)
class ProbeAdmin(AuditedAdmin):
    """A paid probe is switched on from its page, which tells what it costs."""

    audit_action = AuditAction.PROBE
    form = ProbeForm
    list_display = ["__str__", "state", "period_s", "daily_credit_cap", "last_result"]
    list_editable = ["period_s", "daily_credit_cap"]
    list_filter = ["enabled", "kind", "gateway", "team"]
    list_select_related = ["gateway", "team"]
    search_fields = ["team__team_id", "team__name", "gateway__name"]
    fields = ["gateway", "team", "kind", "period_s", "enabled", "daily_credit_cap"]
    actions = ["probe_now"]

    def get_changelist_form(
        self, request: HttpRequest, **kwargs: object
    ) -> type[ProbeRowForm]:
        return ProbeRowForm

    @admin.display(description="state", ordering="enabled")
    def state(self, probe: Probe) -> SafeString:
        now = timezone.now()
        return team_lists.badge(probe_badge(probe, prober(now), now))

    @admin.display(description="last result", ordering="last_at")
    def last_result(self, probe: Probe) -> SafeString:
        return words.time(probe.last_at, timezone.now(), "none yet")

    @admin.action(description="Probe now")
    def probe_now(self, request: HttpRequest, probes: QuerySet[Probe]) -> None:
        asked = request_run(probes.order_by(), timezone.now())
        for probe in probes:
            if probe.enabled:
                noted(
                    request,
                    AuditAction.PROBE,
                    probe,
                    detail="run asked for",
                    team=probe.team,
                )
        self.message_user(request, f"{words.count(asked, 'probe')} due now.")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str]:
        fixed = ["gateway", "team", "kind"]
        if isinstance(obj, Probe) and obj.kind in PAID and not obj.enabled:
            fixed.append("enabled")
        return fixed

    def save_model(
        self,
        request: HttpRequest,
        obj: Probe,
        form: ProbeModelForm,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        super().save_model(request, obj, form, change)
        if "enabled" in form.changed_data:
            # Switched by hand, it is no matter of a pause any more.
            rests = switched(obj.rests, timezone.now(), on=obj.enabled)
            Probe.objects.filter(pk=obj.pk).update(paused=False, rests=rests)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: gateways and teams get their probes by themselves."""
        return False


@admin.register(Outcome)
class OutcomeAdmin(ReadOnlyAdmin):
    list_display = ["probe", "started_at", "error_class", "status_code", "attempts"]
    list_filter = [("error_class", Named)]
    list_select_related = ["probe__gateway", "probe__team"]
    ordering = ["-pk"]
    # Counting millions of rows for a pager costs seconds.
    show_full_result_count = False
