"""Write the mails: subject, text and HTML of a batch, and its place in the thread."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from dashboard.alerts import regular
from dashboard.alerts.batches import Batch
from dashboard.alerts.caps import most_alone
from dashboard.alerts.grouping import Kind
from dashboard.alerts.letters import home, letter_of
from dashboard.alerts.models import (
    TOLD,
    Change,
    Notification,
    Severity,
    Subscription,
)
from dashboard.alerts.reports import report
from dashboard.alerts.stories import SUBJECT_LENGTH, cut
from dashboard.lib.lines import one_line
from dashboard.lib.spans import duration

_WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, "ended", "resolved")


def compose(batch: Batch, now: datetime) -> EmailMultiAlternatives:
    """Write the mail of a batch; its Message-ID is the same whenever it is written."""
    if batch.kind is Kind.REGULAR:
        return _compose_regular(batch.rows[0], batch.id, now)
    letter = letter_of(batch, now)
    headers = {"Message-ID": message_id(batch.id), **_thread(batch)}
    context = {"letter": letter, "alone": most_alone(settings.MAIL_CAP)}
    return _message(letter.kind, context, batch.recipient, headers)


def _compose_regular(
    row: Notification, batch: uuid.UUID, now: datetime
) -> EmailMultiAlternatives:
    headers = {"Message-ID": message_id(batch)}
    if row.change == Change.SELF_TEST:
        return compose_note(_self_test(row, now), row.recipient, headers)
    assert row.user is not None
    wanted, _ = Subscription.objects.get_or_create(user=row.user)
    # As of its due moment: a mail that is late tells of the day that it was to tell of.
    told = report(row.user, wanted, row.change, home(), row.created_at)
    token = regular.unsubscribe_token(row.user, row.change)
    address = f"{home()}/unsubscribe/{token}/"
    context = {"report": told, "letter": told, "home": home(), "unsubscribe": address}
    # RFC 8058: a mail program may end it by one POST of its own.
    headers |= {
        "List-Unsubscribe": f"<{address}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return _message("report", context, row.recipient, headers)


def _self_test(row: Notification, now: datetime) -> "Note":
    took = duration((now - row.created_at).total_seconds())
    return Note(
        subject="[Gatewatch] Self-test: an alarm would reach you",
        title="An alarm would reach you",
        texts=(
            f"The error-rate rule found a made-up outage at {row.created_at:%H:%M:%S} UTC.",
            f"Its mail went out {took} later.",
            "Nothing is wrong: this mail proves the whole chain.",
            "When it stays away, something is.",
        ),
        why="The daily self-test of Gatewatch, or somebody pressed “Test the chain”. "
        "GATEWATCH_SELF_TEST=0 switches the daily one off.",
    )


@dataclass(frozen=True, slots=True)
class Note:
    """A mail of Gatewatch itself: a headline, a few sentences, what to do next."""

    subject: str
    title: str
    texts: tuple[str, ...]
    why: str
    next_step: str = ""
    is_bad: bool = False
    home: str = field(default_factory=home)


def compose_bare(batch: Batch) -> EmailMultiAlternatives:
    """Write what stands for a batch's mail that a server refused for what it says.

    It holds no word of a gateway's, nor of whoever chose a name there: with those one
    would keep everybody's news that go in the same mail from being read.
    """
    headers = {"Message-ID": message_id(batch.id)}
    if not batch.incidents:
        return compose_note(_refused_report(), batch.recipient, headers)
    states = Counter(incident.state for incident in batch.incidents)
    worst = next(each for each in _WORST_FIRST if states[each])
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    names = sorted({incident.gateway.name for incident in batch.incidents})
    note = Note(
        subject=f"[Gatewatch] {worst.upper()} {cut(', '.join(names), 60)}: "
        f"a mail was refused that tells of {counts}",
        title="A mail that tells of alarms was refused",
        texts=(
            f"Alarms: {counts}.",
            f"Gateways: {', '.join(names)}.",
            "The mail server would not take what they say, or so much of it.",
        ),
        next_step=f"Read them: {home()}/incidents/",
        why="You get this mail in place of the one that was refused.",
        is_bad=worst in Severity.values,
    )
    return compose_note(note, batch.recipient, headers)


def _refused_report() -> Note:
    return Note(
        subject="[Gatewatch] Your report was refused by the mail server",
        title="Your report was refused",
        texts=("The mail server would not take what it says, or so much of it.",),
        next_step="Read the numbers in Gatewatch, on the pages Overview and Trends.",
        why="You get this mail in place of the one that was refused.",
    )


def compose_note(
    note: Note, to: str, headers: Mapping[str, str] | None = None
) -> EmailMultiAlternatives:
    own = {"Message-ID": message_id(uuid.uuid4())}
    return _message(
        "note", {"note": note, "letter": note}, to, {**own, **(headers or {})}
    )


def compose_test(to: str, now: datetime) -> EmailMultiAlternatives:
    note = Note(
        subject="[Gatewatch] Test mail: mails arrive",
        title="Mails arrive",
        texts=(
            f"This is the test mail of Gatewatch, sent {now:%Y-%m-%d %H:%M} UTC.",
            "That you read it means that alarms reach you here.",
        ),
        why="Somebody pressed “Send test mail”.",
    )
    return compose_note(note, to)


def _message(
    kind: str, context: Mapping[str, object], to: str, headers: Mapping[str, str]
) -> EmailMultiAlternatives:
    subject = clean_subject(render_to_string(f"email/{kind}.subject.txt", context))
    message = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string(f"email/{kind}.txt", context),
        to=[to],
        # No out-of-office answers to a machine.
        headers={**headers, "Auto-Submitted": "auto-generated"},
    )
    html = render_to_string(f"email/{kind}.html", context)
    message.attach_alternative(html, "text/html")
    return message


def clean_subject(text: str) -> str:
    """Return one line of at most 150 characters that reads as it is written.

    Nothing in it hides or reorders text, nor is an encoded word, which mail programs
    would show as whatever it says, line breaks included.
    """
    shown = one_line(text).replace("=?", "= ?")
    return cut(" ".join(shown.split()), SUBJECT_LENGTH)


def message_id(batch: uuid.UUID) -> str:
    """Return the batch's Message-ID, at the dashboard's host or the sender's."""
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    host = urlsplit(settings.PUBLIC_URL).hostname or sender or "localhost"
    return f"<{batch}@{host}>"


def _thread(batch: Batch) -> dict[str, str]:
    """Return the headers that put a mail under the first mails of its incidents.

    A digest would tie the threads of many incidents together.
    """
    if batch.kind is Kind.DIGEST:
        return {}
    earlier = (
        Notification.objects.filter(
            TOLD,
            incident__in={row.incident_id for row in batch.rows},
            channel=batch.channel,
            recipient=batch.recipient,
            change=Change.OPENED,
            batch__isnull=False,
        )
        .exclude(batch=batch.id)
        .order_by("sent_at", "pk")
        .values_list("batch", flat=True)
    )
    ids = list(dict.fromkeys(message_id(one) for one in earlier if one is not None))
    if not ids:
        return {}
    return {"In-Reply-To": ids[0], "References": " ".join(ids)}
