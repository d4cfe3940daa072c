"""Tell an outside watcher whether the dashboard lives and the prober works."""

import logging
from datetime import datetime

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.alerts.queries import outbox_state
from dashboard.probes.queries import SILENT_AFTER, last_tick

logger = logging.getLogger(__name__)

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
    """Answer 503 when the last tick is too old, or never was."""
    try:
        age_s = _tick_age_s(timezone.now())
    except _AWAY:
        return JsonResponse({"database": "away"}, status=503)
    stale = age_s is None or age_s > SILENT_AFTER.total_seconds()
    return JsonResponse(
        {
            "prober": "stale" if stale else "ok",
            "last_tick_age_s": age_s,
            "limit_s": SILENT_AFTER.total_seconds(),
        },
        status=503 if stale else 200,
    )


def _tick_age_s(now: datetime) -> float | None:
    return _rounded(last_tick(now))


def _outbox(now: datetime) -> dict[str, object]:
    state = outbox_state(now)
    return {"depth": state.depth, "oldest_age_s": _rounded(state.oldest_s)}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 1)
