"""What every page shows about the site itself."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    return {"demo": settings.DEMO, "email_configured": settings.EMAIL_CONFIGURED}
