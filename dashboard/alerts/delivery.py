"""The outbox: claim what is due, send it outside any transaction, record the result.

At least once: a worker that dies between the server's 250 and our record sends the mail
a second time, with the same Message-ID. At every other moment nothing is lost or doubled.
"""

import base64
import logging
import re
import secrets
import smtplib
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parseaddr
from enum import StrEnum

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db.models import Case, F, Value, When

from dashboard.alerts import channels
from dashboard.alerts.batches import Batch, Claims
from dashboard.alerts.channels import Answer, Post, unable_to_post
from dashboard.alerts.letters import letter_of
from dashboard.alerts.mail import compose, compose_bare, compose_test
from dashboard.alerts.models import (
    Change,
    Channel,
    ChannelKind,
    Delivery,
    Notification,
)
from dashboard.lib.mail_addresses import is_plain_address

logger = logging.getLogger(__name__)

# One round ends here, long before its first lease does.
_ROUND_S = 60.0
# 1, 2, 4 … 32 minutes and then every hour: about a day.
_MOST_ATTEMPTS = 29
_LONGEST_WAIT_MIN = 60
# So often a message that may have been taken is sent as the very same one.
_TOGETHER = 4
_TOO_LONG = 552  # RFC 1870
_RANDOM = secrets.SystemRandom()


class Fate(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    # The server has surely not taken it, now; the address or the mail is refused for good.
    REFUSED_NOW = "refused_now"
    REFUSED = "refused"
    # So is what the mail says, or how long it is.
    UNWANTED = "unwanted"
    # A channel does not take it now: perhaps for what it says of one of several teams.
    APART = "apart"
    # The connection broke when the mail may have been taken.
    UNKNOWN = "unknown"


_FOR_GOOD = (Fate.REFUSED, Fate.UNWANTED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """`at_sender`: before the server had been told whom it is to or what it says."""

    fate: Fate
    error: str = ""
    at_sender: bool = False


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was tried, as the outbox shows it, and how it ended."""

    attempt: Attempt
    subject: str = ""
    body: str = ""


def deliver(
    now: datetime,
    *,
    post: Post = unable_to_post,
    monotonic: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = _RANDOM.random,
) -> int:
    """Send each mail and each message that is due once; return how many went out.

    Without a mail server no mail is claimed: they wait, and lose no attempts. After one
    mail that could not be handed over the mails' round ends, since the server is away;
    so does a channel's after one message. `post` sends what goes by HTTP. Gateways have
    their mails in turns.
    """
    sent, started = 0, monotonic()
    claims = Claims(mails=settings.EMAIL_CONFIGURED)
    while (elapsed := monotonic() - started) < _ROUND_S:
        at = now + timedelta(seconds=elapsed)
        batch = claims.next(at)
        if batch is None:
            break
        fate = _deliver(batch, post, at, draw())
        sent += fate is Fate.SENT
        if fate in {Fate.REFUSED_NOW, Fate.UNKNOWN, Fate.APART}:
            claims.leave(batch)
    return sent


def _deliver(batch: Batch, post: Post, now: datetime, draw: float) -> Fate:
    try:
        sent = _sent(batch, post, now)
    except Exception as error:
        # A mail that cannot be written must not keep the others from going out.
        logger.exception("mail.compose_failed", extra={"batch": batch.id})
        failed = Attempt(Fate.REFUSED_NOW, type(error).__name__)
        record(batch, _Sent(failed), now, draw)
        return Fate.REFUSED
    record(batch, sent, now, draw)
    return sent.attempt.fate


def _sent(batch: Batch, post: Post, now: datetime) -> _Sent:
    if batch.channel == ChannelKind.EMAIL:
        message = compose(batch, now)
        attempt = send(message)
        # Of the self-test: what is refused of it would be refused of an alarm.
        is_test = batch.rows[0].change == Change.SELF_TEST
        if attempt.fate is Fate.UNWANTED and not is_test:
            message = compose_bare(batch)
            attempt = send(message)
            if attempt.fate is Fate.UNWANTED and attempt.at_sender:
                # It was not its length: the server's own room is full, for now.
                attempt = replace(attempt, fate=Fate.REFUSED_NOW)
        return _Sent(attempt, str(message.subject), str(message.body))
    channel = channels.find(batch.channel, batch.recipient)
    if channel is None:
        gone = "the channel was deleted or switched off"
        return _Sent(Attempt(Fate.REFUSED, gone))
    letter = letter_of(batch, now)
    attempt = _posted(post(channels.parcel(channel, batch, letter, now)))
    often = batch.attempt >= _TOGETHER and len(_by_team(batch)) > 1
    if attempt.fate is Fate.UNKNOWN and often:
        # A receiver that fails of one team's name would never take the others' news.
        attempt = replace(attempt, fate=Fate.APART)
    return _Sent(attempt, letter.subject)


def _posted(answer: Answer) -> Attempt:
    """Return what became of a message that was sent by HTTP.

    Only 410 says that nobody will ever listen there. All else is for somebody to mend,
    or passes: it is tried again, as the very same message where it may have been taken.
    """
    if answer.taken:
        return Attempt(Fate.SENT)
    if answer.gone:
        return Attempt(Fate.REFUSED, answer.error)
    if answer.unwanted:
        return Attempt(Fate.APART, answer.error)
    return Attempt(Fate.UNKNOWN if answer.unsure else Fate.REFUSED_NOW, answer.error)


def send(message: EmailMultiAlternatives) -> Attempt:
    """Hand one mail to the server, over a connection of its own."""
    if not all(is_plain_address(parseaddr(each)[1]) for each in message.to):
        return Attempt(Fate.REFUSED, "the address is not written plainly: NAME@HOST")
    return _handed_over(message)


def _handed_over(message: EmailMultiAlternatives) -> Attempt:
    connection = get_connection()
    try:
        connection.open()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        _close(connection)
        return Attempt(Fate.REFUSED_NOW, _said(error))
    try:
        connection.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        return _refused(error.recipients)
    except (smtplib.SMTPSenderRefused, ValueError) as error:
        # Our own address is refused, or no mail can be written with our settings: for
        # the administrator to mend, so try again.
        is_long = getattr(error, "smtp_code", 0) == _TOO_LONG
        fate = Fate.UNWANTED if is_long else Fate.REFUSED_NOW
        return Attempt(fate, _said(error), at_sender=True)
    except smtplib.SMTPResponseException as error:
        gone = error.smtp_code >= 500
        return Attempt(Fate.UNWANTED if gone else Fate.REFUSED_NOW, _said(error))
    except (smtplib.SMTPException, OSError) as error:
        return Attempt(Fate.UNKNOWN, _said(error))
    finally:
        _close(connection)
    return Attempt(Fate.SENT)


def _close(connection: object) -> None:
    """Say good-bye; what the server makes of it changes nothing."""
    try:
        connection.close()  # type: ignore[attr-defined]  # the stubs type it as Any
    except (smtplib.SMTPException, OSError):
        logger.info("mail.close_failed")


def _refused(recipients: dict[str, tuple[int, bytes]]) -> Attempt:
    code, text = next(iter(recipients.values()))
    error = _hidden(f"{code} {text.decode(errors='replace')}")
    return Attempt(Fate.REFUSED if code >= 500 else Fate.REFUSED_NOW, error)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        return _hidden(f"{error.smtp_code} {words}")
    if isinstance(error, UnicodeError):
        # As a rule the password is not ASCII; the error's text quotes a piece of it.
        return "the log-in of EMAIL_URL or an address has a character that is not ASCII"
    return _hidden(f"{type(error).__name__}: {error}")


def _hidden(text: str) -> str:
    """Return one line of what a server said, without our password that it may repeat."""
    user, password = settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD
    if password:
        coded = (password, f"\0{user}\0{password}")
        forms = [base64.b64encode(form.encode()).decode() for form in coded]
        for form in (*forms, password):
            text = text.replace(form, "[hidden]")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text)


def record(batch: Batch, sent: _Sent, now: datetime, draw: float) -> None:
    """Store how an attempt ended: sent, given up, or when to try again."""
    attempt = sent.attempt
    changes: dict[str, object] = {
        "attempts": F("attempts") + 1,
        "leased_until": None,
        "last_error": attempt.error[:300],
    }
    if sent.subject:
        # Of a mail that tells of hundreds, each row would keep all: one does.
        kept_by = max(row.pk for row in batch.rows)
        body = Case(When(pk=kept_by, then=Value(sent.body)), default=Value(""))
        changes |= {"subject": sent.subject, "body": body}
    own = Notification.objects.filter(batch=batch.id, state=Delivery.QUEUED)
    if attempt.fate is Fate.SENT:
        changes |= {"state": Delivery.SENT, "sent_at": now}
    elif attempt.fate in _FOR_GOOD:
        changes |= {"state": Delivery.DEAD}
    else:
        # Each has its own day: what is new has joined what waits since yesterday.
        worn = own.filter(attempts__gte=_MOST_ATTEMPTS - 1)
        worn.update(**{**changes, "state": Delivery.DEAD})
        changes |= {"due_at": now + backoff(batch.attempt, draw)}
        if attempt.fate is Fate.REFUSED_NOW:
            # Surely not taken: it may join what has come up by the next attempt.
            changes |= {"batch": None, "held_at": now}
    if attempt.fate is Fate.APART:
        for pks in _by_team(batch):
            own.filter(pk__in=pks).update(**{**changes, "batch": uuid.uuid4()})
    else:
        own.update(**changes)
    if attempt.fate is not Fate.SENT:
        logger.warning(
            "mail.not_sent",
            extra={
                "batch": batch.id,
                "fate": attempt.fate,
                "attempt": batch.attempt,
                "error": attempt.error[:300],
            },
        )


def _by_team(batch: Batch) -> Collection[Sequence[int]]:
    """Return the rows of each team; those of a name that is refused go alone then."""
    parts: dict[int | None, list[int]] = {}
    for row in batch.rows:
        team_id = row.incident.team_id if row.incident else None
        parts.setdefault(team_id, []).append(row.pk)
    return parts.values()


def backoff(attempt: int, draw: float) -> timedelta:
    """Return the wait after failed attempt `attempt` (1-based): 1, 2, 4 … 60 minutes.

    `draw` is uniform on [0, 1) and moves it by up to a quarter; 0.5 leaves it.
    """
    minutes = min(2.0 ** (attempt - 1), _LONGEST_WAIT_MIN)
    return timedelta(minutes=minutes * (0.75 + draw / 2))


def send_test_message(channel: Channel, now: datetime, post: Post) -> str:
    """Send a test to a channel at once; return "" when it was taken, else one sentence."""
    attempt = _posted(post(channels.test_parcel(channel, now)))
    return "" if attempt.fate is Fate.SENT else f"It was not taken: {attempt.error}."


def send_test_mail(to: str, now: datetime) -> str:
    """Send a test mail at once; return "" when the server took it, else one sentence."""
    if not settings.EMAIL_CONFIGURED:
        return "Mail is not set up: set EMAIL_URL and restart."
    attempt = send(compose_test(to, now))
    if attempt.fate is Fate.SENT:
        return ""
    return f"The mail server did not take it: {attempt.error}"
