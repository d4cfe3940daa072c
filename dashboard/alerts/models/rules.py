"""When there is an alarm, and when nobody is to hear of one."""

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

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


CREDIT_KINDS = (
    RuleKind.CREDITS,
    RuleKind.CREDITS_FORECAST,
    RuleKind.CREDITS_SPIKE,
    RuleKind.CREDITS_UNKNOWN,
)
# Alarms of a whole gateway: no team and no probe has one of its own.
OF_NO_TEAM = (
    "That is of a whole gateway, and no team's: it would be mailed all the same."
)
GATEWAY_KINDS = (RuleKind.GATEWAY_DOWN, RuleKind.CERTIFICATE)
_TEAM_KINDS = (*CREDIT_KINDS, RuleKind.TEAM_STATE, RuleKind.AUTH_FAILED)
_OF_NO_PROBE = (
    "That is of a whole team, and no probe's: it would be mailed all the same."
)

# Longer than anything is kept for; more than any rule could count in that time.
_AT_MOST_DAYS = [MaxValueValidator(90 * 24 * 3600, "It may be 90 days at most.")]
_COUNT = [MaxValueValidator(100_000)]


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
# Of these the less the worse; the others, where they have both limits, grow worse upwards.
_LESS_IS_WORSE = {RuleKind.CREDITS, RuleKind.CREDITS_FORECAST, RuleKind.CERTIFICATE}
_MORE_IS_WORSE = {RuleKind.ERROR_RATE, RuleKind.CREDITS_SPIKE}


class Rule(models.Model):
    """When to raise an alarm. The narrowest rule of a kind wins: probe, team, gateway.

    Limits of CREDITS are fractions of the allocated credits left (0..1), of ERROR_RATE
    error rates (0..1), of CREDITS_FORECAST hours until they are gone, of CERTIFICATE days
    until it ends, of LATENCY milliseconds (empty: half of the probe's deadline), of
    CREDITS_SPIKE how many times the usual. The other kinds have no limits.
    """

    kind = models.CharField(max_length=20, choices=RuleKind.choices)
    name = models.CharField(max_length=80, unique=True, validators=[printable])
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
    window_s = models.PositiveIntegerField(
        "window (s)", default=300, validators=_AT_MOST_DAYS
    )
    long_window_s = models.PositiveIntegerField(
        "long window (s)",
        default=0,
        validators=_AT_MOST_DAYS,
        help_text="The limit must be reached over this time, too; 0 for no matter.",
    )
    against_baseline = models.BooleanField(
        default=False,
        help_text="Fire only far above the error rate of the 24 hours before, too.",
    )
    of_last = models.PositiveIntegerField(
        "of the last",
        validators=_COUNT,
        null=True,
        blank=True,
        help_text="Least failures of so many runs are enough, whatever the rate.",
    )
    min_samples = models.PositiveIntegerField(
        "least samples", default=5, validators=_COUNT
    )
    min_bad = models.PositiveIntegerField(
        "least failures", default=3, validators=_COUNT
    )
    for_s = models.PositiveIntegerField(
        "for (s)",
        default=0,
        validators=_AT_MOST_DAYS,
        help_text="How long it must hold before it is an alarm.",
    )
    clear_after = models.PositiveIntegerField(
        "good samples to clear", default=3, validators=_COUNT, help_text="In a row."
    )
    keep_s = models.PositiveIntegerField(
        "keep (s)",
        default=0,
        validators=_AT_MOST_DAYS,
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
        """Refuse limits that are no rates, and a rule that could never fire.

        What does not fit together is told at a field that every form of such rules has.
        """
        limits = {"warn_at": self.warn_at, "critical_at": self.critical_at}
        wrong = {
            name: problem
            for name, value in limits.items()
            if value is not None and (problem := self._wrong_with(value))
        }
        if self.objective is not None and not 0 < self.objective < 1:
            wrong["objective"] = f"{self.objective:g} is not between 0 and 1."
        if self.long_window_s and self.long_window_s <= self.window_s:
            wrong["window_s"] = (
                f"It must be shorter than the long window, {self.long_window_s} s."
            )
        if self.of_last is not None and self.of_last < self.min_bad:
            wrong["min_bad"] = f"It must be at most the last {self.of_last}."
        if not wrong and (problem := self._wrong_order()):
            wrong["critical_at"] = problem
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

    def _wrong_order(self) -> str:
        """Return what is wrong where a rule warns only after it is critical."""
        warn, critical = self.warn_at, self.critical_at
        if warn is None or critical is None:
            return ""
        if self.kind in _LESS_IS_WORSE and critical > warn:
            return (
                f"The warning comes first, so its limit is the greater one: {critical:g} "
                f"here is above its {warn:g}."
            )
        if self.kind in _MORE_IS_WORSE and critical < warn:
            return (
                f"The warning comes first, so this is the greater limit: {critical:g} "
                f"here is below the warning's {warn:g}."
            )
        return ""


LONGEST_SILENCE = timedelta(days=30)
# At the ends of the calendar no page could say when it is, nor a form when it ends.
FARTHEST_SILENCE = timedelta(days=366)


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
    reason = models.CharField(max_length=200, validators=[printable])
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
        if abs(self.starts_at - timezone.now()) > FARTHEST_SILENCE:
            raise ValidationError({"starts_at": "It begins within a year from today."})
        if self.maintenance and self.kind:
            raise ValidationError({"kind": "A maintenance is of all kinds of alarms."})
        if self.kind in GATEWAY_KINDS and (self.team_id or self.probe_id):
            raise ValidationError({"kind": OF_NO_TEAM})
        if self.kind in _TEAM_KINDS and self.probe_id:
            raise ValidationError({"kind": _OF_NO_PROBE})
