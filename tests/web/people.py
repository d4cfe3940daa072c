"""Who is who: Alice is on the team, Bob on another, Charlie on none."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.test import Client

from dashboard.teams.models import Membership, Role, Team


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
