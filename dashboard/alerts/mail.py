"""Write the mails: subject, text and HTML of a batch, and its place in the thread."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from dashboard.alerts.batches import Batch
from dashboard.alerts.models import Change, Delivery, Notification
from dashboard.alerts.stories import SUBJECT_LENGTH, Story, headline, story
from dashboard.lib.spans import duration

_LOCAL_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Letter:
    """What the templates show."""

    subject: str
    recovery: bool
    reminder: bool
    gateway: str
    stories: tuple[Story, ...]
    link: str
    home: str
    sent_at: datetime

    @property
    def repeats_after(self) -> str:
        """How soon it is mailed again, "4 h"; empty for never."""
        return duration(settings.MAIL_REPEAT_S) if settings.MAIL_REPEAT_S else ""

    @property
    def first(self) -> Story:
        return self.stories[0]


def compose(batch: Batch, now: datetime) -> EmailMultiAlternatives:
    """Write the mail of a batch; its Message-ID is the same whenever it is written."""
    letter = _letter(batch, now)
    kind = "recovery" if batch.recovery else "alarm"
    headers = {"Message-ID": message_id(batch.id), **_thread(batch)}
    return _message(kind, letter, batch.recipient, headers)


def compose_test(to: str, now: datetime) -> EmailMultiAlternatives:
    home = settings.PUBLIC_URL or _LOCAL_URL
    letter = Letter(
        subject="[Gatewatch] Test mail: mails arrive",
        recovery=False,
        reminder=False,
        gateway="",
        stories=(),
        link=home,
        home=home,
        sent_at=now,
    )
    return _message("test", letter, to, {"Message-ID": message_id(uuid.uuid4())})


def _message(
    kind: str, letter: Letter, to: str, headers: dict[str, str]
) -> EmailMultiAlternatives:
    context = {"letter": letter}
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
    """Return one line of at most 150 characters, without control characters."""
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029\s]+", " ", text).strip()
    if len(line) <= SUBJECT_LENGTH:
        return line
    return line[: SUBJECT_LENGTH - 1].rstrip() + "…"


def message_id(batch: uuid.UUID) -> str:
    """Return the batch's Message-ID, at the dashboard's host or the sender's."""
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    host = urlsplit(settings.PUBLIC_URL).hostname or sender or "localhost"
    return f"<{batch}@{host}>"


def _letter(batch: Batch, now: datetime) -> Letter:
    home = settings.PUBLIC_URL or _LOCAL_URL
    incidents = {row.incident_id: row.incident for row in batch.rows}
    stories = tuple(
        sorted(
            (story(incident, home, now) for incident in incidents.values()),
            key=lambda one: one.rank,
        )
    )
    reminder = all(row.change == Change.REPEATED for row in batch.rows)
    link = stories[0].link if len(stories) == 1 else f"{home}/incidents/"
    return Letter(
        subject=headline(stories, recovery=batch.recovery, reminder=reminder),
        recovery=batch.recovery,
        reminder=reminder,
        gateway=stories[0].gateway,
        stories=stories,
        link=link,
        home=home,
        sent_at=now,
    )


def _thread(batch: Batch) -> dict[str, str]:
    """Return the headers that put a mail under the first mails of its incidents."""
    earlier = (
        Notification.objects.filter(
            incident__in={row.incident_id for row in batch.rows},
            recipient=batch.recipient,
            change=Change.OPENED,
            state=Delivery.SENT,
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
