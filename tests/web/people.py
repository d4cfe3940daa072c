"""Who is who: Alice is on the team, Bob on another, Charlie on none."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from dashboard.teams.models import Membership, Role, Team

# Five seconds at most, in the words of PostgreSQL.
UNTIL_ONE_WAITS = """
    DO $$ BEGIN
        FOR turn IN 1..500 LOOP
            EXIT WHEN EXISTS (
                SELECT FROM pg_stat_activity
                WHERE wait_event_type = 'Lock' AND datname = current_database()
            );
            PERFORM pg_stat_clear_snapshot();
            PERFORM pg_sleep(0.01);
        END LOOP;
    END $$
"""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    client: Client


def person(name: str, team: Team | None = None, role: Role = Role.MANAGER) -> Person:
    user = User.objects.create_user(name, f"{name}@example.com")
    if team:
        Membership.objects.create(user=user, team=team, role=role)
    client = Client()
    client.force_login(user)
    return Person(name, client)


def at_once(*acts: Callable[[], int]) -> list[int]:
    """Do all of it in the same moment, each in a thread; return the answers' codes."""
    together, codes = threading.Barrier(len(acts)), []

    def one(act: Callable[[], int]) -> None:
        together.wait(5)
        try:
            codes.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(codes)


def behind(
    hold: Callable[[], object],
    act: Callable[[], int],
    last: Callable[[], object] = bool,
) -> int:
    """Return what `act` does while somebody's transaction holds what it waits for.

    It begins with `hold` and ends with `last`; neither may wait for the other in turn.
    """
    held = threading.Event()

    def first() -> int:
        with transaction.atomic():
            hold()
            held.set()
            with connection.cursor() as cursor:
                cursor.execute(UNTIL_ONE_WAITS)
            last()
        return 0

    def second() -> int:
        held.wait(5)
        return act()

    ended, code = at_once(first, second)
    assert ended == 0
    return code


def send(client: Client, team: Team, part: str, **fields: object) -> str:
    """Send one form of the team's settings; return the page that follows."""
    address = reverse("team_settings", args=[team.pk])
    response = client.post(address, {"part": part, **fields}, follow=True)
    assert response.status_code == 200
    return response.content.decode()
