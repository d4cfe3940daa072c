"""Gateways and their addresses, for site administrators."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.probes.kinds import CHEAP, NEED_KEY
from dashboard.probes.models import Probe
from dashboard.probes.services import request_run, watch_gateway
from dashboard.probes.taxonomy import ErrorClass, counted
from dashboard.teams.keys import forget_keys, take_teams
from dashboard.teams.models import AuditAction, Gateway
from dashboard.teams.services import clean_base_url
from dashboard.web import words
from dashboard.web.admin import team_lists
from dashboard.web.admin.deleting import DeletesItsHistory
from dashboard.web.audited import noted
from dashboard.web.forms import sentence
from dashboard.web.gateway_forms import refuse_address
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

if TYPE_CHECKING:
    GatewayModelForm: TypeAlias = forms.ModelForm[Gateway]
else:
    GatewayModelForm = forms.ModelForm


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


# What is the gateway's failure, and no cap, breaker or fault of our own.
_COUNTED = [error for error in ErrorClass if counted(error)]


@admin.register(Gateway)
class GatewayAdmin(DeletesItsHistory):
    place = "gateway"
    audit_action = AuditAction.GATEWAY
    form = GatewayForm
    list_display = ["name", "base_url", "team_count", "failing", "imports"]
    list_filter = ["allow_private"]
    search_fields = ["name", "base_url"]
    readonly_fields = ["certificate_expires_at", "teams_of_it"]
    actions = ["check_now"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gateway]:
        found: QuerySet[Gateway] = super().get_queryset(request)
        failing = Q(probes__enabled=True, probes__last_error__in=_COUNTED)
        failing &= ~Q(probes__kind__in=NEED_KEY, probes__team__key_sealed="")
        return found.annotate(
            team_number=Count("teams", distinct=True),
            failing_number=Count("probes", filter=failing, distinct=True),
        )

    @admin.display(description="teams", ordering="team_number")
    def team_count(self, gateway: Any) -> int:
        return int(gateway.team_number)

    @admin.display(description="probes", ordering="failing_number")
    def failing(self, gateway: Any) -> SafeString:
        number = gateway.failing_number
        bad = Badge(Tone.BAD, "failing", words.count(number, "probe"))
        return team_lists.badge(bad if number else Badge(Tone.OK, "none failing"))

    @admin.display(description="more teams")
    def imports(self, gateway: Gateway) -> SafeString:
        address = reverse("import_teams", args=[gateway.pk])
        return format_html('<a href="{}">import</a>', address)

    @admin.display(description="its teams")
    def teams_of_it(self, gateway: Gateway) -> SafeString:
        if not gateway.pk:
            return SafeString("save it first")
        return format_html(
            '<a href="{}?gateway__id__exact={}">the list</a>, '
            '<a href="{}">import from the gateway</a>',
            reverse("admin:teams_team_changelist"),
            gateway.pk,
            reverse("import_teams", args=[gateway.pk]),
        )

    @admin.action(description="Check now")
    def check_now(self, request: HttpRequest, gateways: QuerySet[Gateway]) -> None:
        wanted = Probe.objects.filter(gateway__in=gateways, kind__in=CHEAP)
        asked = request_run(wanted, timezone.now())
        for gateway in gateways:
            noted(request, AuditAction.PROBE, gateway, detail="checks asked for")
        messages.success(request, f"{words.count(asked, 'probe')} due now.")

    def save_model(
        self,
        request: HttpRequest,
        obj: Gateway,
        form: GatewayForm,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        moved = change and form.initial["base_url"] != obj.base_url
        if moved:
            take_teams(obj)
        super().save_model(request, obj, form, change)
        if moved:
            forgotten = forget_keys(obj)
            keys = words.count(forgotten, "key")
            detail = f"{keys} of its teams: the address changed"
            noted(request, AuditAction.KEY_FORGOTTEN, obj, detail=detail)
            messages.warning(
                request,
                f"The address changed, so what was given for the old one is forgotten "
                f"({keys}): set it again.",
            )
        watch_gateway(obj, timezone.now())
