"""Who is told, where, and what waits to be sent or was."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Lower

from dashboard.alerts.models.incidents import Incident
from dashboard.lib.mail_addresses import is_plain_address
from dashboard.teams.models import Gateway, Team, printable


def plain_address(text: str) -> None:
    """Refuse what is an address, but not the same one to everybody who reads it."""
    if not is_plain_address(text):
        raise ValidationError("Write it plainly: NAME@HOST.", code="not_plain")


class Recipient(models.Model):
    """Who is mailed about what: everything, one gateway, or one team."""

    email = models.EmailField(validators=[plain_address])
    gateway = models.ForeignKey(Gateway, models.CASCADE, null=True, blank=True)
    team = models.ForeignKey(Team, models.CASCADE, null=True, blank=True)

    class Meta:
        ordering = ["email"]
        constraints = [
            # Coalesce, because two NULLs never clash in a plain unique index.
            models.UniqueConstraint(
                "email",
                Coalesce("gateway", 0),
                Coalesce("team", 0),
                name="one_recipient_per_scope",
                violation_error_message="This address is told of this already.",
            )
        ]
        # Whether its reader is still told is asked of each row that waits, each time.
        indexes = [models.Index(Lower("email"), name="alerts_recipient_mailbox")]

    def __str__(self) -> str:
        return self.email


class ChannelKind(models.TextChoices):
    EMAIL = "email", "Mail"
    WEBHOOK = "webhook", "Signed webhook"
    SLACK = "slack", "Slack"
    APPRISE = "apprise", "Apprise"


class Channel(models.Model):
    """Where else than to mailboxes alarms go: everything, one gateway, or one team.

    Its address is sealed like a virtual key, since whoever knows a Slack address may
    write there; so is the secret that signs a webhook. Only dashboard.alerts.channels
    reads or writes them.
    """

    name = models.CharField(max_length=80, unique=True, validators=[printable])
    kind = models.CharField(
        max_length=10,
        choices=[each for each in ChannelKind.choices if each[0] != ChannelKind.EMAIL],
    )
    gateway = models.ForeignKey(
        Gateway, models.CASCADE, null=True, blank=True, help_text="Empty: all gateways."
    )
    team = models.ForeignKey(
        Team, models.CASCADE, null=True, blank=True, help_text="Empty: all teams."
    )
    enabled = models.BooleanField(default=True)
    allow_private = models.BooleanField(
        "It has a private or loopback address",
        default=False,
        help_text="Such addresses are refused unless you allow them here.",
    )
    address_sealed = models.TextField(editable=False)
    secret_sealed = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """Which regular mails a user gets, and in which time zone his day begins.

    `daily_from` and `weekly_from` are the first days there on which each may come: who
    asks for it in the evening has not asked for this morning's.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="subscription"
    )
    daily = models.BooleanField("daily digest", default=False)
    weekly = models.BooleanField("weekly report", default=False)
    time_zone = models.CharField(max_length=60, default="UTC")
    hour = models.PositiveSmallIntegerField("hour of the day", default=8)
    daily_from = models.DateField(null=True, editable=False)
    weekly_from = models.DateField(null=True, editable=False)

    def __str__(self) -> str:
        return f"{self.user}: daily {self.daily}, weekly {self.weekly}"


class Change(models.TextChoices):
    OPENED = "opened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    RESOLVED = "resolved"
    # Its opening was held until it was over, and one mail tells of both.
    MISSED = "missed", "opened and ended"
    # These tell of no incident.
    DAILY = "daily", "daily digest"
    WEEKLY = "weekly", "weekly report"
    SELF_TEST = "self_test", "self-test"


# What tells of trouble for the first time.
NEWS = (Change.OPENED, Change.ESCALATED)
# All that tells of trouble.
TROUBLE = (*NEWS, Change.REPEATED)
# What comes whether there is trouble or not.
REGULAR = (Change.DAILY, Change.WEEKLY, Change.SELF_TEST)


class Delivery(models.TextChoices):
    """Where a notification is on its way."""

    QUEUED = "queued"
    SENT = "sent"
    DEAD = "dead"
    # Not sent, on purpose: its incident was resolved or inhibited before its time, or its
    # reader wants no report any more. One that has a batch may have arrived, and the mail
    # of its end tells all of it.
    DROPPED = "dropped"


# Whoever was mailed, or may have been before the mail of the end took over.
TOLD = Q(state=Delivery.SENT) | Q(state=Delivery.DROPPED, batch__isnull=False)


class Notification(models.Model):
    """The outbox: one row for each change of an incident and each recipient.

    `recipient` is an address, or the name of a channel. A regular mail has no incident;
    its `level` is the period that it tells of, and `user` who reads it.

    Written in the transaction of the change, sent outside it. Rows that go out in one
    mail share `batch`, which is set when they are claimed and names the Message-ID, so
    that a mail sent twice around a crash is the same mail. A queued row with a batch may
    have arrived; one without has surely not.
    """

    incident = models.ForeignKey(
        Incident, models.CASCADE, null=True, related_name="notifications"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    change = models.CharField(max_length=10, choices=Change.choices)
    level = models.CharField(max_length=20, blank=True)
    # Which reminder it is, from 1; 0 for what is none.
    number = models.PositiveSmallIntegerField(default=0)
    channel = models.CharField(
        max_length=10, choices=ChannelKind.choices, default=ChannelKind.EMAIL
    )
    recipient = models.CharField(max_length=254)
    state = models.CharField(
        max_length=8, choices=Delivery.choices, default=Delivery.QUEUED
    )
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    # When the cap, or a server that took nothing, first kept it back. What is held is told
    # even when its incident has ended meanwhile.
    held_at = models.DateTimeField(null=True)
    batch = models.UUIDField(null=True)
    sent_at = models.DateTimeField(null=True)
    subject = models.CharField(max_length=200, blank=True)
    # The latest of the rows that went in one mail keeps what it said.
    body = models.TextField(blank=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "incident",
                    "change",
                    "level",
                    "number",
                    "channel",
                    "recipient",
                ],
                name="one_notification_per_change_and_recipient",
            ),
            # NULLs never clash, so the mails without an incident need one of their own.
            # Two users may have one address, and each a report of his own.
            models.UniqueConstraint(
                *("change", "level", "channel", "recipient", Coalesce("user", 0)),
                condition=Q(incident=None),
                name="one_regular_mail_per_period_and_user",
            ),
        ]
        indexes = [
            # What deliver() claims next, and the depth of the outbox.
            models.Index(
                fields=["due_at"],
                condition=Q(state="queued"),
                name="notification_waiting",
            ),
            # Whether every page has to say that mails were given up.
            models.Index(
                fields=["created_at"],
                condition=Q(state="dead"),
                name="notification_dead",
            ),
            # How many mails somebody got in the last hour.
            models.Index(
                fields=["recipient", "sent_at"], name="notification_by_recipient"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.change} to {self.recipient}: {self.state}"

    @property
    def trouble(self) -> str:
        """Why it has not arrived, in words; empty where nothing keeps it back."""
        if self.state == Delivery.QUEUED and self.held_at and not self.last_error:
            return "held for a digest: its reader got many mails this hour"
        return self.last_error
