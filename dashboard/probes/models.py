from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from dashboard.teams.models import Gateway, Team

LONGEST_MODEL = 120
LONGEST_PERIOD_S = 7 * 24 * 3600


class ProbeKind(models.TextChoices):
    """What a probe asks the gateway; `kinds.KINDS` says what that proves and costs."""

    HEALTH = "health", "Health"
    TEAM_STATUS = "team_status", "Team status"
    BALANCE = "balance", "Balance"
    KEY_CHECK = "key_check", "Job, uncharged"
    DEEP_JOB = "deep_job", "Job with LLM call"
    STREAM_JOB = "stream_job", "Job with streamed reply"


class Probe(models.Model):
    """A question that is put to a gateway again and again."""

    gateway = models.ForeignKey(Gateway, models.CASCADE, related_name="probes")
    # Empty for the gateway's own health.
    team = models.ForeignKey(
        Team, models.CASCADE, null=True, blank=True, related_name="probes"
    )
    kind = models.CharField(max_length=20, choices=ProbeKind.choices)
    # No date lies beyond a period of centuries, and nobody would wait for its result.
    period_s = models.PositiveIntegerField(
        "period (s)",
        validators=[
            MaxValueValidator(LONGEST_PERIOD_S, "The longest period is 7 days.")
        ],
    )
    enabled = models.BooleanField(default=True)
    # A pause of its team switched it off; what was off before is off after it, too.
    paused = models.BooleanField(default=False, editable=False)
    # When it was off, oldest first, by probes.rests: [from, until], null for open ends.
    rests = models.JSONField(default=list, editable=False)
    # The periods it had before, oldest first, by probes.paces: [period_s, until].
    paces = models.JSONField(default=list, editable=False)
    # Deep probes only: which model they call, and how many credits a UTC day may cost.
    model = models.CharField(max_length=LONGEST_MODEL, blank=True)
    daily_credit_cap = models.PositiveIntegerField(null=True, blank=True)
    # The UTC day on which a cap stopped it; it runs again on the next.
    capped_on = models.DateField(null=True, editable=False)
    cost_accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    cost_accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
    )

    next_run = models.DateTimeField(editable=False)
    # Set while a run is in flight; when a worker dies in it, the lease runs out.
    leased_until = models.DateTimeField(null=True, editable=False)
    # The latest outcome, so that a page with all probes needs no look at outcomes.
    last_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=30, blank=True, editable=False)
    last_latency_us = models.BigIntegerField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    # Since when an evaluation has found its next result late; a result ends it.
    late_since = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["gateway", "team", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "kind"],
                condition=Q(team__isnull=True),
                name="one_gateway_probe_per_kind",
            ),
            models.UniqueConstraint(
                fields=["team", "kind"],
                condition=Q(team__isnull=False),
                name="one_team_probe_per_kind",
            ),
            models.CheckConstraint(
                condition=Q(period_s__gte=5),
                name="probe_period_at_least_5_s",
                violation_error_message="The shortest period is 5 s.",
            ),
        ]
        indexes = [
            # claim_due, several times a second.
            models.Index(
                fields=["next_run"], condition=Q(enabled=True), name="probe_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.team or self.gateway}"


class Outcome(models.Model):
    """What one run of a probe saw: one call with all its attempts.

    Operation, team and gateway are its probe's. There are millions of rows: what most of
    them would not have is NULL or empty there, which costs next to nothing.
    """

    probe = models.ForeignKey(
        Probe, models.CASCADE, related_name="outcomes", db_index=False
    )
    started_at = models.DateTimeField()
    # Time on the wire of the last attempt, and of the whole call with its waits.
    latency_us = models.IntegerField()
    elapsed_us = models.IntegerField()
    # The last attempt's phases, NULL where one was not reached or not needed; the body
    # is what they leave of the latency.
    connect_us = models.IntegerField(null=True)
    tls_us = models.IntegerField(null=True)
    first_byte_us = models.IntegerField(null=True)
    # apiclient.ErrorClass; empty for a success.
    error_class = models.CharField(max_length=30, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    # Seen in an announced maintenance: stored and shown, and no part of any rate.
    maintenance = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField()
    # Started more than a minute ahead of the clock of whoever stored it: a clock was
    # wrong, so that it is kept and shown but is part of no number and no rule.
    misdated = models.BooleanField(default=False)
    # Spent by a deep probe; NULL is none.
    credits = models.FloatField(null=True)
    # The host that answered, where it is not the one of the gateway's address.
    host = models.CharField(max_length=255, blank=True)
    # Only where the call failed or was retried: its id, redacted text, and for each
    # attempt, by probes.attempts,
    # [error class, status, wait s, latency s, connect s, tls s, first byte s, body s].
    request_id = models.UUIDField(null=True)
    detail = models.CharField(max_length=500, blank=True)
    attempt_log = models.JSONField(null=True)
    # Only of streamed replies: time to the first token, and
    # [chunks, longest gap s, finish reason, unreadable events].
    ttft_us = models.IntegerField(null=True)
    stream = models.JSONField(null=True)

    class Meta:
        constraints = [
            # Seeks one probe's window, and makes storing the same outcome twice fail.
            models.UniqueConstraint(
                fields=["probe", "started_at"], name="one_outcome_per_probe_and_start"
            )
        ]
        indexes = [
            # The newest failures of many probes, for the lists behind the numbers; what
            # succeeds costs nothing here.
            models.Index(
                fields=["started_at"],
                condition=~models.Q(error_class=""),
                name="failed_outcomes_by_start",
            )
        ]

    def __str__(self) -> str:
        at = self.started_at.isoformat(" ", "seconds")
        return f"{self.probe} at {at}: {self.error_class or 'ok'}"


class Breaker(models.Model):
    """A circuit breaker's stored row; apiclient.breaker decides what it means.

    `key` is the client's: "host|team|METHOD /route", or "host|*|*" for a whole host.
    Times are UTC epoch seconds, 0 for none, as the client compares them.
    """

    gateway = models.ForeignKey(
        Gateway, models.CASCADE, related_name="breakers", db_index=False
    )
    key = models.CharField(max_length=1000)
    failures = models.PositiveIntegerField(default=0)
    open_until = models.FloatField(default=0)
    opened_at = models.FloatField(default=0)
    reopened = models.PositiveIntegerField(default=0)
    trial_until = models.FloatField(default=0)
    generation = models.BigIntegerField(default=0)
    version = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=100, blank=True)
    calls = models.PositiveSmallIntegerField(default=0)
    failed_bits = models.BigIntegerField(default=0)
    slow_bits = models.BigIntegerField(default=0)
    forced = models.CharField(max_length=13, blank=True)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "key"], name="one_breaker_per_gateway_and_key"
            )
        ]

    def __str__(self) -> str:
        return self.key


class BreakerEvent(models.Model):
    """A breaker's change of state, by what it saw or by somebody's hand.

    `before` and `after` are apiclient's BreakerState; `reason` is the last failure's.
    """

    REASON_LENGTH = 100

    gateway = models.ForeignKey(
        Gateway, models.CASCADE, related_name="breaker_events", db_index=False
    )
    key = models.CharField(max_length=1000)
    at = models.DateTimeField()
    before = models.CharField(max_length=13)
    after = models.CharField(max_length=13)
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    failures = models.PositiveIntegerField(default=0)
    # Who forced or reset it; empty where it changed by itself.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            # The latest changes at a gateway.
            models.Index(fields=["gateway", "at"], name="breaker_event_by_gateway"),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.before} to {self.after}"


class Heartbeat(models.Model):
    """When a periodic job last worked; its lease keeps a second one from starting."""

    name = models.CharField(max_length=40, primary_key=True)
    beat_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    holder = models.UUIDField(null=True)
    # When its next run was last put into the queue.
    queued_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.beat_at}"
