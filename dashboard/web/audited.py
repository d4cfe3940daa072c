"""Write what people do on pages into the audit log, and log-ins by Django's signals."""

from collections.abc import Mapping
from ipaddress import ip_address

from axes.signals import user_locked_out
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import (
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from dashboard.teams import audit
from dashboard.teams.models import AuditAction, Team
from dashboard.web import sessions


def noted(
    request: HttpRequest,
    action: AuditAction,
    subject: object,
    *,
    detail: str = "",
    team: Team | None = None,
) -> None:
    """Note what the visitor did; call it in the transaction that did it."""
    audit.note(
        action,
        subject,
        now=timezone.now(),
        actor=request.user.get_username(),
        address=address_of(request),
        detail=detail,
        team=team,
    )


def address_of(request: HttpRequest) -> str | None:
    """Return where a request came from; None for a Unix socket.

    From this link it comes with the name of our own interface, which a database refuses.
    """
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "").partition("%")[0]))
    except ValueError:
        return None


def counted_address(request: HttpRequest) -> str | None:
    """Return by what the throttle counts where a log-in comes from."""
    return audit.visitor_of(address_of(request))


def counted_name(request: HttpRequest, credentials: Mapping[str, str] | None) -> str:
    """Return by what the throttle counts a name: not itself, which may be a password."""
    told = (credentials or request.POST).get("username", "")
    return salted_hmac("dashboard.web.audited", told, algorithm="sha256").hexdigest()


def watch_log_ins() -> None:
    """Have Django and axes tell of every log-in, good or refused."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_refused, dispatch_uid="audit")
    user_locked_out.connect(_locked_out, dispatch_uid="audit")


def _logged_in(request: HttpRequest | None, user: object, **_: object) -> None:
    if request:
        sessions.begin(request.session, timezone.now())
    _note(AuditAction.LOG_IN, str(user), request)


def _logged_out(request: HttpRequest | None, user: object, **_: object) -> None:
    if user is not None:
        _note(AuditAction.LOG_OUT, str(user), request)


def _refused(
    credentials: dict[str, object], request: HttpRequest | None = None, **_: object
) -> None:
    _note_refused(AuditAction.LOG_IN_FAILED, credentials.get("username"), request)


def _locked_out(request: HttpRequest | None, **_: object) -> None:
    told = getattr(request, "axes_credentials", None) or {}
    _note_refused(AuditAction.LOCKED_OUT, told.get("username"), request)


def _known(name: object) -> str:
    """Return a user's name, and nothing of what else stood in the field.

    Now and then that is the password.
    """
    users = get_user_model().objects.filter(username=str(name)[:150])
    return str(name) if users.exists() else "an unknown name"


def _note_refused(
    action: AuditAction, name: object, request: HttpRequest | None
) -> None:
    audit.note_refusal(
        action,
        _known(name),
        now=timezone.now(),
        address=address_of(request) if request else None,
        every=True,
    )


def _note(action: AuditAction, name: str, request: HttpRequest | None) -> None:
    audit.note(
        action,
        name,
        now=timezone.now(),
        actor=name,
        address=address_of(request) if request else None,
    )
