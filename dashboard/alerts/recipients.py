"""Who is told about what."""

from collections.abc import Iterable

from django.contrib.auth import get_user_model

from dashboard.alerts.models import Incident, Recipient


def recipients_of(incident: Incident) -> list[str]:
    """Return the addresses that are told of this incident, each once.

    Where no recipient is set up for it, the first administrator with an address is told;
    the list is empty when there is none.
    """
    wanted = [
        recipient.email
        for recipient in Recipient.objects.all()
        if recipient.gateway_id in {None, incident.gateway_id}
        and recipient.team_id in {None, incident.team_id}
    ]
    return _distinct(wanted) or first_administrator()


def first_administrator() -> list[str]:
    users = get_user_model().objects.filter(is_superuser=True, is_active=True)
    email = (
        users.exclude(email="").order_by("pk").values_list("email", flat=True).first()
    )
    return [email] if email else []


def _distinct(addresses: Iterable[str]) -> list[str]:
    return list({address.lower(): address for address in addresses}.values())
