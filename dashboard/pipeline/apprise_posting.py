"""Messages through Apprise, where it is installed: it is an extra, named `notify`.

It opens its own connections, so that the rules for addresses do not hold for them; only
site administrators set up channels.
"""

import importlib
import importlib.util
from types import ModuleType

from dashboard.alerts.channels import Answer, Parcel

NOT_INSTALLED = (
    "Apprise is not installed: pip install apprise, and start Gatewatch again"
)


def is_installed() -> bool:
    return importlib.util.find_spec("apprise") is not None


def post(parcel: Parcel) -> Answer:
    """Hand one message to Apprise; it says no more than whether it went out."""
    apprise = _apprise()
    if apprise is None:
        return Answer(error=NOT_INSTALLED)
    sender = apprise.Apprise()
    if not sender.add(parcel.url):
        return Answer(error="Apprise does not know such an address")
    try:
        # Without the format it would be HTML or Markdown to services that know either.
        taken = sender.notify(
            title=parcel.title, body=parcel.body.decode(), body_format="text"
        )
    except Exception as error:  # noqa: BLE001 (a hundred services, each with its own errors)
        return Answer(unsure=True, error=f"Apprise failed: {type(error).__name__}")
    return (
        Answer(taken=True) if taken else Answer(unsure=True, error="it was not taken")
    )


def _apprise() -> ModuleType | None:
    return importlib.import_module("apprise") if is_installed() else None
