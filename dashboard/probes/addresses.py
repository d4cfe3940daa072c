"""Say beforehand that probes will refuse a gateway's address."""

from apiclient.addresses import check_address
from apiclient.base_url import parse_base_url

_LOOPBACK = "127.0.0.1"


def why_refused(base_url: str, *, allow_private: bool) -> str:
    """Return why probes refuse this address, or "" when nothing is known against it.

    Only what the address itself tells: names are looked up when a probe connects, which
    is where the rule is kept.
    """
    host = parse_base_url(base_url).host
    number = _LOOPBACK if host == "localhost" else host
    try:
        refused = check_address(number, allow_private=allow_private)
    except ValueError:
        # A name.
        return ""
    return f"probes refuse {host}: {refused}" if refused else ""
