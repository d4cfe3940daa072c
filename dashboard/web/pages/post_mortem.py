"""An incident as Markdown, to begin a post-mortem with; all times are UTC."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dashboard.alerts.blame import of_alarm
from dashboard.alerts.models import Change, Delivery, Incident, Notification, RuleKind
from dashboard.lib.lines import one_line
from dashboard.lib.spans import duration
from dashboard.probes.models import Outcome
from dashboard.probes.taxonomy import meaning
from dashboard.web.pages.classes import class_counts
from dashboard.web.pages.incident import DELIVERIES

# Many make links of bare addresses, too: what begins a host's name does not keep them from
# it. And GitHub mentions @people, whom it tells so, and issues like #1 and GH-1 also where
# they are escaped. No letter but those of ASCII is one of a word to it, so that
# é@somebody is told, too.
_LINKS = re.compile(
    r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\\@)(?<!(?a:\w)\\@)(?=\w)|(?<=\\#)(?=\d)"
    r"|(?<=(?a:\b)gh-)(?=\d)"
)
_OPEN_QUESTIONS = (
    "What happened",
    "Why",
    "What went well, what did not",
    "What we change",
)


def markdown(
    incident: Incident,
    notifications: Sequence[Notification],
    samples: Sequence[Outcome],
    now: datetime,
) -> str:
    """Return the whole story: facts, timeline, evidence, who was told, what to answer."""
    parts = [
        f"# {_inline(incident.summary)}",
        _facts(incident, now),
        "## Timeline",
        _timeline(incident, notifications),
        "## Evidence",
        _classes(incident),
        _samples(samples),
        "## Who was told",
        _told(notifications),
        *(f"## {question}\n\n_To be written._" for question in _OPEN_QUESTIONS),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(incident: Incident, now: datetime) -> str:
    until = incident.resolved_at
    facts = {
        "Kind": RuleKind(incident.kind).label,
        "Severity": incident.severity,
        "Gateway": str(incident.gateway),
        "Team": str(incident.team or "all"),
        "Probe": str(incident.probe or "all"),
        "Since": _utc(incident.began_at),
        "Opened": _utc(incident.opened_at),
        "Over": _utc(until) if until else f"not yet, at {_utc(now)}",
        "Lasted": duration(incident.lasted_s(now)),
        "Whose fault": str(of_alarm(incident.kind, incident.error_class)),
        "Acknowledged": _acknowledged(incident),
    }
    return _table(["Fact", "Value"], facts.items())


def _acknowledged(incident: Incident) -> str:
    if incident.acknowledged_at is None:
        return "no"
    return f"{incident.acknowledged_by or 'somebody'}, {_utc(incident.acknowledged_at)}"


def _timeline(incident: Incident, notifications: Sequence[Notification]) -> str:
    lines = [
        (event.at, event.words, str(event.actor or ""), event.text)
        for event in incident.events.select_related("actor")
    ]
    lines += [
        (each.sent_at, "Told", each.recipient, Change(each.change).label)
        for each in notifications
        if each.sent_at is not None
    ]
    rows = [
        (_utc(at), what, who, text)
        for at, what, who, text in sorted(lines, key=lambda line: line[0])
    ]
    return _table(["At", "What", "Who", "Details"], rows)


def _classes(incident: Incident) -> str:
    counts: dict[str, int] = incident.evidence.get("classes", {})
    rows = [
        (each.title, each.number, each.fault, each.advice)
        for each in class_counts(counts)
    ]
    return (
        _table(["Class", "Number", "Whose fault", "What to do"], rows) if rows else ""
    )


def _samples(samples: Iterable[Outcome]) -> str:
    rows = [
        (
            _utc(each.started_at),
            str(each.probe),
            meaning(each.error_class).title,
            str(each.status_code or "none"),
            str(each.request_id or ""),
            each.detail,
        )
        for each in samples
    ]
    names = ["Started", "Probe", "Result", "Status", "Request id", "Detail"]
    return _table(names, rows) if rows else "No failed results are kept of it."


def _told(notifications: Sequence[Notification]) -> str:
    rows = [
        (
            each.recipient,
            each.get_channel_display(),
            Change(each.change).label,
            DELIVERIES[Delivery(each.state)].word.capitalize(),
            _utc(each.sent_at) if each.sent_at else "",
        )
        for each in notifications
    ]
    names = ["Recipient", "Channel", "About", "State", "Sent"]
    return _table(names, rows) if rows else "Nobody by a message of its own."


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(
        f"| {' | '.join(_inline(str(cell)) for cell in line)} |" for line in lines
    )


def _inline(text: str) -> str:
    """Return one line in which remote text is neither markup, link nor HTML."""
    line = re.sub(r"\s+", " ", text).strip()
    if line == "---":
        return line
    line = one_line(line)
    line = re.sub(r"([\\`*_\[\]<>|#!~@$])", r"\\\1", line).replace("&", "&amp;")
    return _LINKS.sub("\u200b", line)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
