"""What one exchange on the wire told, whatever a certificate says."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx

from apiclient.exchange import Exchange
from apiclient.wire import Prepared

# 9999-12-31T23:59:59Z: how a certificate says that it never ends (RFC 5280).
NEVER_S = 253_402_300_799.0


def test_the_end_of_a_certificate_without_one_can_be_told_in_every_zone() -> None:
    exchange = Exchange(time.monotonic, 1.0)
    exchange.certificate_expires = NEVER_S
    request = httpx.Request("GET", "https://gateway.example/health")

    expires_at = (
        Prepared(request, exchange, datetime(2026, 3, 2, tzinfo=UTC))
        .sent()
        .certificate_expires_at
    )

    assert expires_at is not None
    assert expires_at.astimezone(ZoneInfo("Pacific/Kiritimati")).year >= 9998
