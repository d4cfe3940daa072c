"""Two deliverers at once, and a database that is away between sending and noting it."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from dashboard.alerts.batches import LEASE
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Notification
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.alerts.mailbox import Mailbox

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_deliverers_one_sends_each_mail(mailbox: Mailbox) -> None:
    """A-71: a claim is one conditional UPDATE; the other worker takes another mail."""
    for number in range(12):
        make_recipient(f"{number}@example.org")
    tell(make_incident())

    def work(_: int) -> int:
        try:
            return deliver(after(30))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(work, range(2)))

    assert sum(sent) == 12
    assert set(Counter(mailbox.ids).values()) == {1}
    assert Notification.objects.filter(state="sent").count() == 12


def test_a_database_that_restarts_after_sending_costs_one_more_copy(
    mailbox: Mailbox,
) -> None:
    """A-72: the same mail, with the same Message-ID, and nothing is lost."""
    make_recipient()
    tell(make_incident())

    with (
        connection.execute_wrapper(away_when("attempts")),
        pytest.raises(OperationalError),
    ):
        deliver(after(30))

    assert len(mailbox.ids) == 1
    assert deliver(after(60)) == 0
    assert deliver(after(31) + LEASE) == 1
    assert len(set(mailbox.ids)) == 1


def test_a_database_that_is_away_before_the_claim_costs_nothing(
    mailbox: Mailbox,
) -> None:
    make_recipient()
    tell(make_incident())

    with (
        connection.execute_wrapper(away_when("leased_until")),
        pytest.raises(OperationalError),
    ):
        deliver(after(30))

    assert mailbox.ids == []
    assert deliver(after(60)) == 1


def away_when(column: str) -> Callable[..., object]:
    """Refuse the UPDATE that writes `column`, as a server that restarts does."""

    def away(execute: Callable[..., object], sql: str, *rest: object) -> object:
        written = sql.partition(" WHERE ")[0]
        if written.startswith("UPDATE") and f'"{column}"' in written:
            raise OperationalError("terminating connection due to restart")
        return execute(sql, *rest)

    return away
