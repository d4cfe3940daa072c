"""Probes, and what they saw."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.probes.kinds import PAID
from dashboard.probes.models import LONGEST_PERIOD_S, Outcome, Probe
from dashboard.probes.paces import changed_pace
from dashboard.probes.prices import least_cap
from dashboard.probes.rests import switched
from dashboard.probes.services import change, request_run
from dashboard.rows import take
from dashboard.teams.models import AuditAction
from dashboard.web import words
from dashboard.web.admin import team_lists
from dashboard.web.admin.asking import ask
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
        cap, stored = (
            self.fields.get("daily_credit_cap"),
            self.instance.daily_credit_cap,
        )
        # Of an empty list Django makes a form of no probe.
        least = least_cap(self.instance) if self.instance.pk else 0
        # What is too little by the team's terms of now may stay: the rows of a list are
        # saved together, and one that a gateway made dear would keep all from it.
        if cap and least and (stored is None or stored >= least):
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


class PeriodForm(forms.Form):
    """How often the chosen probes run."""

    period_s = forms.IntegerField(
        label="Every (s)", min_value=5, max_value=LONGEST_PERIOD_S
    )


# More in one transaction would hold up the recorder.
_MOST_CHANGED = 500


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
    actions = ["probe_now", "set_period"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Probe]:
        # Where the list is saved Django leaves out list_select_related.
        found: QuerySet[Probe] = super().get_queryset(request)
        return found.select_related("gateway", "team")

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

    @admin.action(description="Set the period…")
    @transaction.atomic
    def set_period(
        self, request: HttpRequest, probes: QuerySet[Probe]
    ) -> HttpResponse | None:
        """Ask how often all of them are to run; a paid one that is on costs as accepted."""
        if probes.count() > _MOST_CHANGED:
            said = f"Choose {_MOST_CHANGED} probes at most, for one change."
            self.message_user(request, said, messages.ERROR)
            return None
        form = PeriodForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return ask(
                self,
                request,
                probes,
                "set_period",
                form=form,
                sentence="Each of these probes runs as often. Paid ones that are switched "
                "on keep their period: a shorter one costs more than was accepted.",
            )
        taken = Probe.objects.select_for_update(of=("self",)).select_related("team")
        done = 0
        for probe in taken.filter(
            pk__in=list(probes.values_list("pk", flat=True))
        ).order_by("pk"):
            if not (probe.kind in PAID and probe.enabled):
                done += self._set_period(request, probe, form.cleaned_data["period_s"])
        self.message_user(request, f"{words.count(done, 'period')} changed.")
        return None

    def _set_period(self, request: HttpRequest, probe: Probe, period_s: int) -> bool:
        told = change(
            probe, period_s=period_s, enabled=probe.enabled, now=timezone.now()
        )
        for detail in told:
            noted(request, self.audit_action, probe, detail=detail, team=probe.team)
        return bool(told)

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
        # As it is by now: somebody else may have changed it since the form read it.
        take(Probe.objects.filter(pk=obj.pk))
        before = Probe.objects.get(pk=obj.pk)
        now = timezone.now()
        super().save_model(request, obj, form, change)
        if "period_s" in form.changed_data:
            paces = changed_pace(before.paces, before.period_s, obj.period_s, now)
            Probe.objects.filter(pk=obj.pk).update(paces=paces)
        if "enabled" in form.changed_data:
            # Switched by hand, it is no matter of a pause any more.
            rests = switched(before.rests, now, on=obj.enabled)
            Probe.objects.filter(pk=obj.pk).update(paused=False, rests=rests)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: gateways and teams get their probes by themselves."""
        return False


@admin.register(Outcome)
class OutcomeAdmin(ReadOnlyAdmin):
    list_display = ["probe", "started_at", "error_class", "status_code", "attempts"]
    list_filter = [("error_class", Named)]
    list_select_related = ["probe__gateway", "probe__team"]
    fields = [
        *("probe", "started", "error_class", "status_code", "detail", "attempts"),
        *("answer", "whole_call", "connect", "tls", "first_byte", "first_token"),
        *("credits", "host", "request_id", "attempt_log", "stream"),
        *("maintenance", "misdated"),
    ]
    ordering = ["-pk"]
    # Counting millions of rows for a pager costs seconds.
    show_full_result_count = False

    @admin.display(description="started")
    def started(self, outcome: Outcome) -> str:
        return words.exact(outcome.started_at)

    @admin.display(description="last attempt")
    def answer(self, outcome: Outcome) -> str:
        return _took(outcome.latency_us)

    @admin.display(description="whole call")
    def whole_call(self, outcome: Outcome) -> str:
        return _took(outcome.elapsed_us)

    @admin.display(description="connect")
    def connect(self, outcome: Outcome) -> str:
        return _took(outcome.connect_us)

    @admin.display(description="TLS")
    def tls(self, outcome: Outcome) -> str:
        return _took(outcome.tls_us)

    @admin.display(description="first byte")
    def first_byte(self, outcome: Outcome) -> str:
        return _took(outcome.first_byte_us)

    @admin.display(description="first token")
    def first_token(self, outcome: Outcome) -> str:
        return _took(outcome.ttft_us)


def _took(microseconds: int | None) -> str:
    told = None if microseconds is None else microseconds / 1000
    return words.milliseconds(told)
