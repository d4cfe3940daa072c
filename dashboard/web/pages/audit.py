"""What the audit log shows: who did what, when, from where; newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.safestring import SafeString

from dashboard.teams.models import AuditAction, AuditEntry, Team
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

PAGE = 50
_LAST_PAGE = 2000
_TONES = {
    AuditAction.LOG_IN_FAILED: Tone.WARN,
    AuditAction.LOCKED_OUT: Tone.WARN,
    AuditAction.DENIED: Tone.WARN,
}
DAYS = {1: "the last day", 7: "the last 7 days", 30: "30 days", 366: "a year"}


@dataclass(frozen=True, slots=True)
class Line:
    at: SafeString
    actor: str
    badge: Badge
    subject: str
    whose: str
    detail: str
    address: str


@dataclass(frozen=True, slots=True)
class Audit:
    lines: list[Line]
    page: int
    newer: str
    older: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter as an address named it; what makes no sense there asks for nothing."""

    action: str = ""
    text: str = ""
    days: int = 30
    page: int = 1

    @classmethod
    def of(cls, told: Mapping[str, str]) -> "Wanted":
        action = told.get("action", "")
        return cls(
            action=action if action in AuditAction.values else "",
            text=told.get("q", "").replace("\0", "").strip()[:100],
            days=_number(told.get("days", ""), set(DAYS), 30),
            page=_number(told.get("page", ""), range(1, _LAST_PAGE + 1), 1),
        )


def _number(text: str, allowed: "set[int] | range", default: int) -> int:
    known = text.isascii() and text.isdigit() and len(text) < 6 and int(text) in allowed
    return int(text) if known else default


def audit(wanted: Wanted, now: datetime) -> Audit:
    found = AuditEntry.objects.filter(at__gt=now - timedelta(days=wanted.days))
    if wanted.action:
        found = found.filter(action=wanted.action)
    if wanted.text:
        found = found.filter(
            Q(actor__icontains=wanted.text)
            | Q(subject__icontains=wanted.text)
            | Q(detail__icontains=wanted.text)
            | Q(address__startswith=wanted.text)
        )
    start = (wanted.page - 1) * PAGE
    entries = list(found[start : start + PAGE + 1])
    shown = entries[:PAGE]
    # By the number: a manager may call his team like another one, and back again.
    pks = {each.team_pk for each in shown if each.team_pk is not None}
    teams = Team.objects.select_related("gateway").in_bulk(pks)
    return Audit(
        lines=[line(each, now, _whose(each, teams)) for each in shown],
        page=wanted.page,
        newer=str(wanted.page - 1) if wanted.page > 1 else "",
        older=str(wanted.page + 1) if len(entries) > PAGE else "",
    )


def team_history(team: Team, now: datetime, most: int = 20) -> list[Line]:
    """Return what people changed about a team last."""
    found = AuditEntry.objects.filter(team_pk=team.pk)
    return [line(entry, now) for entry in found[:most]]


def _whose(entry: AuditEntry, teams: Mapping[int, Team]) -> str:
    """Return which team a line is about; "" where it is about none.

    By its number, too: an id may look like another team's name and id.
    """
    if entry.team_pk is None:
        return ""
    team = teams.get(entry.team_pk)
    if team is None:
        return f"team {entry.team_pk}, which is gone"
    return f"team {entry.team_pk}, {team.full_name} at {team.gateway}"


def line(entry: AuditEntry, now: datetime, whose: str = "") -> Line:
    tone = _TONES.get(AuditAction(entry.action), Tone.OFF)
    return Line(
        at=words.clock(entry.at, now),
        actor=entry.actor or "nobody logged in",
        badge=Badge(tone, entry.get_action_display()),
        subject=entry.subject,
        whose=whose,
        detail=entry.detail,
        address=entry.address or "",
    )
