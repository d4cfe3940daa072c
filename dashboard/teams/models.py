from unicodedata import category

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from apiclient.redact import hides_text

# More credits, dollars or tokens than this the client does not believe; the database
# takes none, whoever tells them, since what pages reckon from them might come to no number.
MOST = 1e15


def _believable(*names: str) -> Q:
    return Q(*(Q((f"{name}__range", (-MOST, MOST))) for name in names))


# More accents on one letter than any script has run over the lines around it.
_MOST_MARKS = 5
# They are drawn, as nothing.
_BLANKS = " \N{BRAILLE PATTERN BLANK}\N{MUSICAL SYMBOL NULL NOTEHEAD}"
_SELECTORS = "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}"


def is_printable(text: str) -> bool:
    """Say whether the text is one line, and all of it is seen where it stands."""
    marks = "".join("m" if category(c).startswith("M") else " " for c in text)
    return (
        text.isprintable()
        and not hides_text(_undrawn(text))
        and bool(text.strip(_BLANKS))
        and "m" * (_MOST_MARKS + 1) not in marks
    )


def _undrawn(text: str) -> str:
    """Return the text without the selectors that only say how a symbol is drawn.

    Keyboards write one behind many an emoji: it hides nothing there.
    """
    return "".join(
        c
        for before, c in zip(f" {text}", text, strict=False)
        if c not in _SELECTORS or not category(before).startswith("S")
    )


def printable(text: str) -> None:
    """Refuse line breaks, controls and marks that only hide or reorder text.

    Names stand in mail subjects, and the client refuses such a team id at each call.
    """
    if not is_printable(text):
        raise ValidationError(
            "Write it in one line of printable characters.", code="unprintable"
        )


def askable(text: str) -> None:
    """Refuse an id that no gateway can be asked for: in an address these are no names."""
    if text in {".", ".."}:
        raise ValidationError("No gateway can be asked for a team of this id.")


class Gateway(models.Model):
    """One LLM gateway: the address that is watched, and what the prober may reach."""

    name = models.CharField(max_length=80, unique=True, validators=[printable])
    base_url = models.CharField(
        max_length=500,
        help_text="https://host, with or without /api at its end; no key in it.",
    )
    allow_private = models.BooleanField(
        "allow private addresses",
        default=False,
        help_text="Let probes reach loopback and private addresses of this gateway.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # When its TLS certificate ends, as the latest connection showed.
    certificate_expires_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TeamStatus(models.TextChoices):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    UNKNOWN = "unknown"


class Team(models.Model):
    """A team at a gateway: whose key probes use and whose credits are read."""

    gateway = models.ForeignKey(Gateway, models.CASCADE, related_name="teams")
    team_id = models.CharField("team id", max_length=255, validators=[printable])
    name = models.CharField(max_length=120, blank=True, validators=[printable])
    # Fernet token of the virtual key, or of an env:NAME or file:/path reference; empty
    # while the team has no key. Only dashboard.teams.keys reads or writes it.
    key_sealed = models.TextField(blank=True, editable=False)
    key_set_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Since when it has had one, whichever; empty while that is `key_set_at`.
    keyed_since = models.DateTimeField(null=True, editable=False)
    daily_credit_cap = models.PositiveIntegerField(
        "credits a day for probes",
        null=True,
        blank=True,
        help_text="All paid probes of the team together stop for the day (UTC) when "
        "they have spent this many. Empty: only each probe's own cap.",
    )
    # As the gateway last told; empty until it has.
    status = models.CharField(
        max_length=12, choices=TeamStatus.choices, blank=True, editable=False
    )
    status_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The models it may call, as the gateway last told; the deep probe offers them.
    model_aliases = models.JSONField(default=list, editable=False)
    organization_id = models.CharField(max_length=255, blank=True, editable=False)
    # How it pays: "job_based" (a credit a job) or "consumption_…", and at which rate.
    budget_mode = models.CharField(max_length=40, blank=True, editable=False)
    tokens_per_credit = models.FloatField(null=True, editable=False)
    credits_per_dollar = models.FloatField(null=True, editable=False)
    refill_amount = models.FloatField(null=True, editable=False)
    refill_period = models.CharField(max_length=40, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["gateway__name", "team_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "team_id"], name="one_team_per_gateway_and_id"
            ),
            models.CheckConstraint(
                condition=_believable(
                    "tokens_per_credit", "credits_per_dollar", "refill_amount"
                ),
                name="team_terms_are_believable",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.team_id

    def clean(self) -> None:
        askable(self.team_id)

    @property
    def full_name(self) -> str:
        """The name and the id, where several teams are listed: two may have one name."""
        named = self.name and self.name != self.team_id
        return f"{self.name} ({self.team_id})" if named else self.team_id

    @property
    def has_key(self) -> bool:
        return bool(self.key_sealed)


class Role(models.TextChoices):
    VIEWER = "viewer"
    OPERATOR = "operator"
    MANAGER = "manager"


class Membership(models.Model):
    """Who sees a team's pages, and what they may do there."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships"
    )
    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "team"], name="one_membership_per_user_and_team"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.team}"


class CreditReading(models.Model):
    """What the gateway told about a team's credits at one moment.

    A number that it did not tell, or told in no readable form, is NULL: unknown, never 0.
    Where it did not tell what remains there is no row, but for old ones.
    """

    team = models.ForeignKey(
        Team, models.CASCADE, related_name="readings", db_index=False
    )
    read_at = models.DateTimeField()
    allocated = models.FloatField(null=True)
    used = models.FloatField(null=True)
    remaining = models.FloatField(null=True)
    auto_refill = models.BooleanField(null=True)

    class Meta:
        indexes = [
            # The latest reading, and the burn over a window, of one team.
            models.Index(fields=["team", "read_at"], name="reading_by_team_and_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=_believable("allocated", "used", "remaining"),
                name="reading_is_believable",
            )
        ]

    def __str__(self) -> str:
        return f"{self.team}: {self.remaining} of {self.allocated}"


class CreditHour(models.Model):
    """What an hour's readings told of a team's credits; `teams.credit_hours` folds it.

    `spent` and `refilled` are between the readings of the hour; what happened between
    two hours is between the `last` of one and the `first` of the next.
    """

    team = models.ForeignKey(
        Team, models.CASCADE, related_name="credit_hours", db_index=False
    )
    hour = models.DateTimeField()
    first = models.FloatField()
    last = models.FloatField()
    least = models.FloatField()
    spent = models.FloatField()
    refilled = models.FloatField()
    allocated = models.FloatField(null=True)
    readings = models.PositiveIntegerField()

    class Meta:
        constraints = [
            # One row an hour; also seeks one team's series.
            models.UniqueConstraint(
                fields=["team", "hour"], name="one_credit_hour_per_team"
            )
        ]

    def __str__(self) -> str:
        return f"{self.team} {self.hour:%Y-%m-%d %H}: {self.last}"


class Statement(models.Model):
    """A team's latest transactions and its usage of a month, as last read with its key.

    One row a team, written over. Each half is NULL until it was read, and stays as it was
    when a later try fails: its own moment tells its age, and `…_error` is the class of the
    last try, "" after a success.
    """

    team = models.OneToOneField(Team, models.CASCADE, primary_key=True)
    tried_at = models.DateTimeField()
    # Newest first; each is a `teams.statements.Entry`.
    transactions = models.JSONField(null=True)
    transactions_at = models.DateTimeField(null=True)
    transactions_error = models.CharField(max_length=40, blank=True)
    # A `teams.statements.Usage`.
    usage = models.JSONField(null=True)
    usage_at = models.DateTimeField(null=True)
    usage_error = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.team_id} tried {self.tried_at:%Y-%m-%d %H:%M}"


class AuditAction(models.TextChoices):
    """What people do that others may ask about later."""

    LOG_IN = "log_in", "logged in"
    LOG_IN_FAILED = "log_in_failed", "log-in refused"
    LOCKED_OUT = "locked_out", "log-in closed for a while"
    LOG_OUT = "log_out", "logged out"
    PASSWORD = "password", "password changed"
    DENIED = "denied", "denied"
    KEY_SET = "key_set", "key set"
    KEY_FORGOTTEN = "key_forgotten", "key forgotten"
    KEYS_ROTATED = "keys_rotated", "keys re-encrypted"
    USER = "user", "user changed"
    MEMBER = "member", "member changed"
    GATEWAY = "gateway", "gateway changed"
    TEAM = "team", "team changed"
    PROBE = "probe", "probe changed"
    BREAKER = "breaker", "breaker forced"
    RULE = "rule", "rule changed"
    RECIPIENT = "recipient", "recipient changed"
    SILENCE = "silence", "silence changed"
    INCIDENT = "incident", "incident"
    OTHER = "other", "changed"


class AuditEntry(models.Model):
    """One line of the audit log: who did what to which object, never a secret.

    Written once and not changed; the database itself refuses an UPDATE. It names its
    actor and its object by text, so that it stays true when they are deleted.
    """

    at = models.DateTimeField()
    # A user name; "" for somebody who is not logged in, or a command.
    actor = models.CharField(max_length=150, blank=True)
    address = models.GenericIPAddressField("from", null=True)
    action = models.CharField(max_length=15, choices=AuditAction.choices)
    subject = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    # Whose history it belongs to; no foreign key, which would be an UPDATE later.
    team_pk = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "audit entries"
        indexes = [
            # The page, newest first, and the deletion of what is old.
            models.Index(fields=["-at"], name="audit_by_time"),
            # A team's own history.
            models.Index(
                fields=["team_pk", "-at"],
                condition=models.Q(team_pk__isnull=False),
                name="audit_by_team",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor or 'nobody'}: {self.get_action_display()} {self.subject}"
