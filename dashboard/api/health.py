"""Tell an outside watcher whether the dashboard lives and the prober works."""

import logging
from datetime import datetime

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.alerts.models import Delivery, Notification
from dashboard.probes.queries import last_tick

logger = logging.getLogger(__name__)

STALE_AFTER_S = 180
_AWAY = (DatabaseError, InterfaceError)


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 503 only when the database is away; the ages are for the watcher."""
    now = timezone.now()
    try:
        facts = {"last_tick_age_s": _tick_age_s(now), "outbox": _outbox(now)}
    except _AWAY as error:
        logger.warning("healthz.database_away", extra={"error": type(error).__name__})
        return JsonResponse({"database": "away"}, status=503)
    return JsonResponse({"database": "ok", **facts})


@login_not_required
@require_safe
def healthz_prober(request: HttpRequest) -> JsonResponse:
    """Answer 503 when the last tick is older than three minutes, or never was."""
    try:
        age_s = _tick_age_s(timezone.now())
    except _AWAY:
        return JsonResponse({"database": "away"}, status=503)
    stale = age_s is None or age_s > STALE_AFTER_S
    return JsonResponse(
        {
            "prober": "stale" if stale else "ok",
            "last_tick_age_s": age_s,
            "limit_s": STALE_AFTER_S,
        },
        status=503 if stale else 200,
    )


def _tick_age_s(now: datetime) -> float | None:
    age_s = last_tick(now)
    return None if age_s is None else round(max(0.0, age_s), 1)


def _outbox(now: datetime) -> dict[str, object]:
    queued = Notification.objects.filter(state=Delivery.QUEUED).aggregate(
        depth=Count("pk"), oldest=Min("created_at")
    )
    return {"depth": queued["depth"], "oldest_age_s": _age_s(queued["oldest"], now)}


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else round(max(0.0, (now - at).total_seconds()), 1)
