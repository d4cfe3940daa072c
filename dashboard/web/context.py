"""What every page shows about the site itself."""

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from dashboard.alerts.queries import outbox_trouble
from dashboard.web import access, words
from dashboard.web.prober import prober

_THEMES = {"light", "dark"}


def site(request: HttpRequest) -> dict[str, object]:
    """Return the banners' facts, each looked up only by a template that shows it.

    The page of a bad request is drawn before anybody knows who asks, or of which host.
    """
    theme = request.COOKIES.get("theme", "")
    return {
        # Empty follows the system; js/look.js writes the cookie.
        "theme": theme if theme in _THEMES else "",
        "zone": words.zone(),
        "zone_key": timezone.get_current_timezone_name(),
        # On paper "2 min ago" says nothing without it.
        "asked_at": words.exact(timezone.now()),
        "demo": settings.DEMO,
        "email_configured": settings.EMAIL_CONFIGURED,
        "plain_http": SimpleLazyObject(
            lambda: not request.is_secure() and not _is_local(request)
        ),
        "site_admin": SimpleLazyObject(lambda: access.is_site_admin(request.user)),
        "without_team": SimpleLazyObject(lambda: not access.has_teams(request.user)),
        "mail_trouble": SimpleLazyObject(lambda: _mail_trouble(request)),
        "prober": SimpleLazyObject(lambda: prober(timezone.now())),
    }


def _mail_trouble(request: HttpRequest) -> str:
    """Return what is wrong with the outbox, for those who can mend it."""
    if not settings.EMAIL_CONFIGURED or not access.is_site_admin(request.user):
        return ""
    trouble = outbox_trouble(timezone.now())
    if trouble is None:
        return ""
    stuck = words.count(trouble.stuck, "message waits", "messages wait")
    told = [
        f"{stuck}, the oldest for {words.duration(trouble.stuck_for_s)}"
        if trouble.stuck
        else "",
        f"{words.count(trouble.dead, 'was', 'were')} given up" if trouble.dead else "",
    ]
    return "; ".join(filter(None, told))


def _is_local(request: HttpRequest) -> bool:
    host = request.get_host().rsplit(":", 1)[0]
    return host in {"localhost", "127.0.0.1", "[::1]"}
