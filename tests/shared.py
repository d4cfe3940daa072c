"""What many tests of a module only look at is stored once for all of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from pytest_django import DjangoDbBlocker


@contextmanager
def lasting(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let what is stored inside last until it ends, and then undo it.

    For fixtures of a module's scope, which ask for `django_db_setup` first: each test's
    own transaction is a savepoint in this one, so that no test sees what another did.
    What closes its connection, as a WSGI server's request does, has no place there.
    """
    with blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)
