from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.urls import reverse

from dashboard.probes.models import Probe
from dashboard.teams.models import Gateway, Team, printable


class RuleKind(models.TextChoices):
    CREDITS = "credits", "Credits low"
    TEAM_STATE = "team_state", "Team suspended or paused"
    ERROR_RATE = "error_rate", "Error-rate spike"
    BREAKER_OPEN = "breaker_open", "Breaker open"
    GATEWAY_DOWN = "gateway_down", "Gateway down"
    CREDITS_FORECAST = "credits_forecast", "Credits run out soon"
    CERTIFICATE = "certificate", "Certificate expires"
    NO_DATA = "no_data", "No data"
    AUTH_FAILED = "auth_failed", "Key refused"
    LATENCY = "latency", "Slow answers"
    BURN_RATE = "burn_rate", "Error budget burns"
    CREDITS_SPIKE = "credits_spike", "Credits spent fast"
    CREDITS_UNKNOWN = "credits_unknown", "Credits unknown"
    STREAM_FAILURES = "stream_failures", "Broken streams"


class Severity(models.TextChoices):
    WARNING = "warning"
    CRITICAL = "critical"


# What limits that are no rates or shares are counted in.
_COUNTED_IN = {
    RuleKind.CREDITS_FORECAST: "hours",
    RuleKind.CERTIFICATE: "days",
    RuleKind.LATENCY: "milliseconds",
    RuleKind.CREDITS_SPIKE: "times",
}


class Rule(models.Model):
    """When to raise an alarm. The narrowest rule of a kind wins: probe, team, gateway.

    Limits of CREDITS are fractions of the allocated credits left (0..1), of ERROR_RATE
    error rates (0..1), of CREDITS_FORECAST hours until they are gone, of CERTIFICATE days
    until it ends, of LATENCY milliseconds (empty: half of the probe's deadline), of
    CREDITS_SPIKE how many times the usual. The other kinds have no limits.
    """

    kind = models.CharField(max_length=20, choices=RuleKind.choices)
    name = models.CharField(max_length=80, unique=True)
    enabled = models.BooleanField(default=True)
    gateway = models.ForeignKey(
        Gateway, models.CASCADE, null=True, blank=True, help_text="Empty: all gateways."
    )
    team = models.ForeignKey(
        Team, models.CASCADE, null=True, blank=True, help_text="Empty: all teams."
    )
    probe = models.ForeignKey(
        Probe, models.CASCADE, null=True, blank=True, help_text="Empty: all probes."
    )
    warn_at = models.FloatField(null=True, blank=True)
    critical_at = models.FloatField(null=True, blank=True)
    # Credits may also be limited in absolute numbers.
    floor = models.FloatField(
        "credits floor", null=True, blank=True, help_text="Warn at or below this many."
    )
    # BURN_RATE: the share of runs that should succeed.
    objective = models.FloatField(
        null=True, blank=True, help_text="0.99: one run in a hundred may fail."
    )
    window_s = models.PositiveIntegerField("window (s)", default=300)
    long_window_s = models.PositiveIntegerField(
        "long window (s)",
        default=0,
        help_text="The limit must be reached over this time, too; 0 for no matter.",
    )
    against_baseline = models.BooleanField(
        default=False,
        help_text="Fire only far above the error rate of the 24 hours before, too.",
    )
    of_last = models.PositiveIntegerField(
        "of the last",
        null=True,
        blank=True,
        help_text="Least failures of so many runs are enough, whatever the rate.",
    )
    min_samples = models.PositiveIntegerField("least samples", default=5)
    min_bad = models.PositiveIntegerField("least failures", default=3)
    for_s = models.PositiveIntegerField(
        "for (s)",
        default=0,
        help_text="How long it must hold before it is an alarm.",
    )
    clear_after = models.PositiveIntegerField(
        "good samples to clear", default=3, help_text="In a row."
    )
    keep_s = models.PositiveIntegerField(
        "keep (s)",
        default=0,
        help_text="How long it must be good again before the alarm ends.",
    )
    # When judging by it last raised an error, and which; a round without one ends it.
    failed_at = models.DateTimeField(null=True, editable=False)
    failure = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the page that tries it on the past: "View on site" in the admin."""
        return reverse("rule_past", args=[self.pk])

    def clean(self) -> None:
        """Refuse limits that are no rates, and a rule that could never fire."""
        limits = {"warn_at": self.warn_at, "critical_at": self.critical_at}
        wrong = {
            name: problem
            for name, value in limits.items()
            if value is not None and (problem := self._wrong_with(value))
        }
        if self.objective is not None and not 0 < self.objective < 1:
            wrong["objective"] = f"{self.objective:g} is not between 0 and 1."
        if self.long_window_s and self.long_window_s <= self.window_s:
            wrong["long_window_s"] = "It must be longer than the window."
        if self.of_last is not None and self.of_last < self.min_bad:
            wrong["of_last"] = "It must be at least the least failures."
        if wrong:
            raise ValidationError(wrong)
        needed: dict[str, tuple[float | None, ...]] = {
            RuleKind.ERROR_RATE: (self.warn_at, self.critical_at),
            RuleKind.CREDITS: (self.warn_at, self.critical_at, self.floor),
            RuleKind.CREDITS_FORECAST: (self.warn_at, self.critical_at),
            RuleKind.CERTIFICATE: (self.warn_at, self.critical_at),
            RuleKind.CREDITS_SPIKE: (self.warn_at, self.critical_at),
            RuleKind.BURN_RATE: (self.objective,),
        }
        own = needed.get(self.kind)
        if self.enabled and own and all(value is None for value in own):
            raise ValidationError(
                "Without a limit it never fires, and silences the wider rules of its "
                "kind: set a limit, or switch it off."
            )

    def _wrong_with(self, limit: float) -> str:
        if self.kind in _COUNTED_IN:
            unit = _COUNTED_IN[RuleKind(self.kind)]
            return "" if limit > 0 else f"{limit:g} is no number of {unit}."
        return (
            "" if 0 <= limit <= 1 else f"{limit:g} is not between 0 and 1; 0.2 is 20 %."
        )


LONGEST_SILENCE = timedelta(days=30)


class Silence(models.Model):
    """A time in which nobody is mailed of matching incidents; empty matches all.

    Who was told of an incident before is told of its end all the same. What still fires
    at the end of the silence is told then. A maintenance does more: what its probes see
    is stored and shown, and no part of any rate.
    """

    gateway = models.ForeignKey(
        Gateway, models.CASCADE, null=True, blank=True, help_text="Empty: all gateways."
    )
    team = models.ForeignKey(
        Team, models.CASCADE, null=True, blank=True, help_text="Empty: all teams."
    )
    probe = models.ForeignKey(
        Probe, models.CASCADE, null=True, blank=True, help_text="Empty: all probes."
    )
    kind = models.CharField(
        "alarms",
        max_length=20,
        choices=RuleKind.choices,
        blank=True,
        help_text="Empty: all kinds.",
    )
    maintenance = models.BooleanField(
        default=False, help_text="Leave the results of this time out of all rates."
    )
    starts_at = models.DateTimeField("from")
    ends_at = models.DateTimeField("until")
    reason = models.CharField(max_length=200)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False
    )

    class Meta:
        ordering = ["-ends_at"]

    def __str__(self) -> str:
        return self.reason

    def clean(self) -> None:
        if None in (getattr(self, "starts_at", None), getattr(self, "ends_at", None)):
            return  # the form has said so already
        if self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "It ends before it begins."})
        if self.ends_at - self.starts_at > LONGEST_SILENCE:
            raise ValidationError({"ends_at": "A silence lasts 30 days at most."})
        if self.maintenance and self.kind:
            raise ValidationError({"kind": "A maintenance is of all kinds of alarms."})


class Incident(models.Model):
    """An alarm from its opening to its end: at most one open for each identity."""

    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="incidents")
    kind = models.CharField(max_length=20, choices=RuleKind.choices)
    # "kind:probe:12", "kind:team:3" or "kind:gateway:1": what is wrong where; a
    # breaker's ends in its endpoint.
    identity = models.CharField(max_length=80)
    gateway = models.ForeignKey(Gateway, models.CASCADE, related_name="incidents")
    team = models.ForeignKey(Team, models.CASCADE, null=True, related_name="incidents")
    probe = models.ForeignKey(
        Probe, models.CASCADE, null=True, related_name="incidents"
    )
    severity = models.CharField(max_length=10, choices=Severity.choices)
    # The worst step of its kind so far (rules.Level): "low", "critical", "suspended"…
    level = models.CharField(max_length=20, blank=True)
    # One sentence: what, where, the number against its limit.
    summary = models.CharField(max_length=300)
    value = models.FloatField(null=True)
    limit = models.FloatField(null=True)
    samples = models.PositiveIntegerField(null=True)
    error_class = models.CharField(max_length=30, blank=True)
    # rules.Evidence as of the latest firing: "since", "classes" {"class": count},
    # "details" (redacted), "window_s", "bad"; keys without a value are left out.
    evidence = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    evaluated_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    # Since when it has been good again, while that is not yet long enough.
    clear_since = models.DateTimeField(null=True, editable=False)
    # Since when it has been coming and going; it ends after half an hour of calm.
    flapping_since = models.DateTimeField(null=True, editable=False)
    # The worst level that people were, or will be, mailed of.
    told_level = models.CharField(max_length=20, blank=True)
    # What keeps its mails back now; who was told before is told of its end.
    silence = models.ForeignKey(
        Silence, models.SET_NULL, null=True, related_name="incidents"
    )
    # Another incident of the same cause, whose mail speaks for this one too.
    inhibited_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="inhibits"
    )

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["identity"],
                condition=Q(resolved_at__isnull=True),
                name="one_open_incident_per_identity",
            )
        ]
        indexes = [
            # The incident list, newest first.
            models.Index(fields=["-opened_at"], name="incident_by_opening"),
        ]

    def __str__(self) -> str:
        return self.summary

    @property
    def began_at(self) -> datetime:
        """Since when it lasts: its first failure, else its opening."""
        stored = self.evidence.get("since")
        since = datetime.fromisoformat(stored) if stored else self.opened_at
        return min(since, self.opened_at)

    def lasted_s(self, now: datetime) -> float:
        """Return how long it lasted, or lasts so far, from its first failure on."""
        return ((self.resolved_at or now) - self.began_at).total_seconds()

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None


class Pending(models.Model):
    """A pending alarm: since when its rule has held, which must last for a time."""

    identity = models.CharField(max_length=80, primary_key=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.identity}: since {self.since}"


class EventKind(models.TextChoices):
    """What happened to an incident; its mails are told by their notifications."""

    OPENED = "opened"
    ESCALATED = "escalated"
    SPOKEN_FOR = "spoken_for", "spoken for"
    RELEASED = "released", "on its own again"
    SILENCED = "silenced"
    AUDIBLE = "audible", "no longer silenced"
    FLAPPING = "flapping", "comes and goes"
    STEADY = "steady", "steady again"
    ACKNOWLEDGED = "acknowledged"
    NOTE = "note"
    RESOLVED = "resolved"


class Event(models.Model):
    """One line of an incident's timeline, written in the transaction of the change."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=EventKind.choices)
    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    text = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class Recipient(models.Model):
    """Who is mailed about what: everything, one gateway, or one team."""

    email = models.EmailField()
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
    """Which regular mails a user gets, and in which time zone his day begins."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="subscription"
    )
    daily = models.BooleanField("daily digest", default=False)
    weekly = models.BooleanField("weekly report", default=False)
    time_zone = models.CharField(max_length=60, default="UTC")
    hour = models.PositiveSmallIntegerField("hour of the day", default=8)

    def __str__(self) -> str:
        return f"{self.user}: daily {self.daily}, weekly {self.weekly}"


class Change(models.TextChoices):
    OPENED = "opened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    RESOLVED = "resolved"
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
    batch = models.UUIDField(null=True)
    sent_at = models.DateTimeField(null=True)
    subject = models.CharField(max_length=200, blank=True)
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
            models.UniqueConstraint(
                fields=["change", "level", "channel", "recipient"],
                condition=Q(incident=None),
                name="one_regular_mail_per_period",
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
