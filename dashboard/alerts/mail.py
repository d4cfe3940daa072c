"""Write the mails: subject, text and HTML of a batch, and its place in the thread."""

import re
import uuid
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from dashboard.alerts.batches import Batch, Kind
from dashboard.alerts.letters import Letter, home, letter_of
from dashboard.alerts.models import TOLD, Change, Notification
from dashboard.alerts.stories import SUBJECT_LENGTH


def compose(batch: Batch, now: datetime) -> EmailMultiAlternatives:
    """Write the mail of a batch; its Message-ID is the same whenever it is written."""
    letter = letter_of(batch, now)
    headers = {"Message-ID": message_id(batch.id), **_thread(batch)}
    return _message(letter.kind, letter, batch.recipient, headers)


def compose_test(to: str, now: datetime) -> EmailMultiAlternatives:
    letter = Letter(
        kind=Kind.REGULAR,
        subject="[Gatewatch] Test mail: mails arrive",
        reminder=False,
        gateway="",
        stories=(),
        link=home(),
        home=home(),
        sent_at=now,
    )
    return _message("test", letter, to, {"Message-ID": message_id(uuid.uuid4())})


def _message(
    kind: str, letter: Letter, to: str, headers: dict[str, str]
) -> EmailMultiAlternatives:
    context = {"letter": letter, "cap": settings.MAIL_CAP}
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
