"""The audit log: who did what to which object, from where; never a secret."""

from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

from dashboard.lib.lines import one_line
from dashboard.teams.models import AuditAction, AuditEntry, Team

KEPT = timedelta(days=366)
# A page that renews itself must not write a line for each time it is refused.
_SAME_AGAIN = timedelta(hours=1)
# What one visitor may add to the log by being refused, in that time.
MOST_REFUSALS = 50
# And by what he does: more than anybody does by hand.
MOST_ACTS = 1000
_BATCH = 1000
_LONGEST = 200


def note(
    action: AuditAction,
    subject: object,
    *,
    now: datetime,
    actor: str = "",
    address: str | None = None,
    detail: str = "",
    team: Team | None = None,
) -> AuditEntry:
    """Write one line. The caller's transaction decides whether it was true."""
    return AuditEntry.objects.create(
        at=now,
        actor=actor[:150],
        address=address,
        action=action,
        subject=_as_kept(str(subject)),
        detail=one_line(detail)[:300],
        team_pk=team.pk if team else None,
    )


def note_refusal(
    action: AuditAction,
    subject: str,
    *,
    now: datetime,
    address: str | None,
    actor: str = "",
    every: bool = False,
) -> None:
    """Write that somebody was refused: with `every` each time, else once an hour.

    Never more than MOST_REFUSALS an hour of one visitor: whoever tries all numbers, or a
    list of passwords, fills no disk. Who is logged in is one from all his addresses.
    """
    lately = AuditEntry.objects.filter(
        at__gt=now - _SAME_AGAIN, action=action, actor=actor[:150]
    )
    his = lately
    visitor = visitor_of(address)
    if visitor == address:
        lately = lately.filter(address=address)
    else:
        rows = lately.values_list("pk", "address")
        lately = lately.filter(
            pk__in=[pk for pk, a in rows if visitor_of(a) == visitor]
        )
    same = lately.filter(subject=_as_kept(subject))
    written = (his if actor else lately).count()
    if (every or not same.exists()) and written < MOST_REFUSALS:
        note(action, subject, now=now, actor=actor, address=address)


def has_done_much(actor: str, now: datetime) -> bool:
    """Say whether somebody has left MOST_ACTS lines in the log within an hour."""
    lately = AuditEntry.objects.filter(at__gt=now - _SAME_AGAIN, actor=actor[:150])
    return lately[:MOST_ACTS].count() >= MOST_ACTS


def _as_kept(subject: str) -> str:
    """Return one line with both ends of what is too long.

    At its end stands which it is: a row's number, or a breaker's endpoint.
    """
    line = one_line(subject)
    return line if len(line) <= _LONGEST else f"{line[:120]}…{line[121 - _LONGEST :]}"


def visitor_of(address: str | None) -> str | None:
    """Return who has this address, by the first one that he has.

    With IPv6 that is a whole network: everybody is given 2**64 addresses.
    """
    if address is None:
        return None
    told = ip_address(address)
    if isinstance(told, IPv4Address):
        return address
    if told.ipv4_mapped:
        return str(told.ipv4_mapped)
    return str(IPv6Address(int(told) >> 64 << 64))


def prune(now: datetime) -> int:
    """Delete what is older than a year, in batches; return how many lines."""
    deleted = 0
    old = AuditEntry.objects.filter(at__lt=now - KEPT).order_by("pk")
    while batch := list(old.values_list("pk", flat=True)[:_BATCH]):
        deleted += AuditEntry.objects.filter(pk__in=batch).delete()[0]
    return deleted
