"""A rule tried on the stored past, with other limits before they are saved."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.alerts.models import Rule
from dashboard.web import access
from dashboard.web.forms import RuleTrialForm
from dashboard.web.pages import rules as page


@require_safe
@access.site_admin_only
def past(request: HttpRequest, pk: int) -> HttpResponse:
    rule = get_object_or_404(Rule.objects.select_related("gateway", "team"), pk=pk)
    form = RuleTrialForm(request.GET or None, instance=rule)
    shown = None
    if not form.is_bound:
        shown = page.past(rule, page.DAYS, timezone.now())
    elif form.is_valid():
        shown = page.past(form.instance, form.cleaned_data["days"], timezone.now())
    return render(
        request, "web/rule_past.html", {"page": shown, "form": form, "rule": rule}
    )
