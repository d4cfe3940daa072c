"""Alarms, and what happened to them."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from dashboard.alerts.models.rules import Rule, RuleKind, Severity, Silence
from dashboard.probes.models import Probe
from dashboard.teams.models import Gateway, Team


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
    # "details" (redacted), "window_s", "bad"; keys without a value are left out. And
    # "ended", why it ended, where that is no recovery.
    evidence = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    evaluated_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    # Since when it has not fired and was good again, while that is not yet long enough.
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
            # What is open, and what ended lately.
            models.Index(fields=["resolved_at", "gateway"], name="incident_by_end"),
            # Whether the same comes and goes.
            models.Index(
                fields=["identity", "-opened_at"], name="incident_by_identity"
            ),
        ]

    def __str__(self) -> str:
        return self.summary

    @property
    def began_at(self) -> datetime:
        """Since when it lasts: its first failure, else its opening.

        Later than the opening where nobody was told of that, and it has failed anew.
        """
        stored = self.evidence.get("since")
        return datetime.fromisoformat(stored) if stored else self.opened_at

    @property
    def calm_since(self) -> datetime | None:
        """Since when its time of being good counts; None while it is not good.

        Of one that comes and goes a moment of doubt begins it anew.
        """
        good, flapping = self.clear_since, self.flapping_since
        return max(good, flapping) if good and flapping else good

    def lasted_s(self, now: datetime) -> float:
        """Return how long it lasted, or lasts so far, from its first failure on."""
        return ((self.resolved_at or now) - self.began_at).total_seconds()

    @property
    def ended_because(self) -> str:
        """Why it ended, in words; empty while it is open, and where it recovered."""
        return str(self.evidence.get("ended", ""))

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def state(self) -> str:
        """How bad it is, or how it is over: "ended" where nobody knows if it recovered."""
        if self.is_open:
            return self.severity
        return "ended" if self.ended_because else "resolved"


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

    @property
    def words(self) -> str:
        """What happened; an end that says why is no recovery."""
        if self.kind == EventKind.RESOLVED and self.text:
            return "Ended"
        return self.get_kind_display().capitalize()
