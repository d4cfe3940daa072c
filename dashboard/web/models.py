"""What the site itself keeps: which status pages anybody may read."""

import secrets

from django.db import models
from django.db.models import Q

from dashboard.teams.models import Gateway, Team, printable


def unguessable() -> str:
    return secrets.token_urlsafe(12)


class PublicPage(models.Model):
    """A status page of one gateway or one team, for whoever knows its address.

    It tells whether things work, and nothing of teams, credits, keys or errors. Only site
    administrators make one, and it is closed until one of them opens it.
    """

    title = models.CharField(
        max_length=80, validators=[printable], help_text="Anybody may read it."
    )
    slug = models.SlugField(
        "address",
        max_length=60,
        unique=True,
        default=unguessable,
        help_text="The end of its address. As proposed nobody can guess it.",
    )
    gateway = models.ForeignKey(
        Gateway, models.CASCADE, null=True, blank=True, help_text="Or a team."
    )
    team = models.ForeignKey(
        Team, models.CASCADE, null=True, blank=True, help_text="Or a gateway."
    )
    is_open = models.BooleanField(
        "open to everybody",
        default=False,
        help_text="Closed, its address leads nowhere.",
    )
    has_badge = models.BooleanField(
        "with a badge",
        default=False,
        help_text="An image of its state, to put elsewhere.",
    )

    class Meta:
        ordering = ["title"]
        constraints = [
            models.CheckConstraint(
                condition=Q(gateway__isnull=True, team__isnull=False)
                | Q(gateway__isnull=False, team__isnull=True),
                name="public_page_of_gateway_or_team",
                violation_error_message="It is of a gateway or of a team: choose one.",
            )
        ]

    def __str__(self) -> str:
        return self.title
