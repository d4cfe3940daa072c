"""An incident as Markdown, to begin a post-mortem with; all times are UTC.

Names and remote texts stand in it as code, where nothing is markup, a link or a mention.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dashboard.alerts.blame import of_alarm
from dashboard.alerts.models import Change, Delivery, Incident, Notification, RuleKind
from dashboard.lib.lines import one_line
from dashboard.lib.spans import duration
from dashboard.probes.models import Outcome
from dashboard.probes.taxonomy import meaning
from dashboard.teams.models import Team
from dashboard.web.pages import evidence
from dashboard.web.pages.classes import class_counts
from dashboard.web.pages.incident import (
    DELIVERIES,
    MOST_LESSER,
    MOST_TOLD,
    Visible,
    lesser_ones,
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
    visible: Visible,
    now: datetime,
) -> str:
    """Return the whole story: facts, timeline, evidence, who was told, what to answer."""
    parts = [
        f"# Incident {incident.pk}: {RuleKind(incident.kind).label}",
        _facts(incident, visible, now),
        "## Timeline",
        _timeline(incident, notifications),
        *_spoken_for(lesser_ones(incident, visible.incidents)),
        "## Evidence",
        _classes(incident),
        _samples(evidence.samples(incident, visible.probes, now)),
        "## Who was told",
        _told(notifications),
        *(f"## {question}\n\n_To be written._" for question in _OPEN_QUESTIONS),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(incident: Incident, visible: Visible, now: datetime) -> str:
    teams = evidence.teams(incident, visible.probes, now)
    runs = evidence.runs(incident, visible.probes, now)
    until = incident.resolved_at
    facts = {
        "What": _code(incident.summary),
        "Severity": incident.severity,
        "Gateway": _code(incident.gateway),
        "Team": _code(incident.team) if incident.team else "all",
        **_concerned(incident, teams),
        "Probe": _code(incident.probe) if incident.probe else "all",
        "Since": _utc(incident.began_at),
        "Opened": _utc(incident.opened_at),
        "Over": _utc(until) if until else f"not yet, at {_utc(now)}",
        "Lasted": duration(incident.lasted_s(now)),
        **(
            {"Failed": f"{runs[0]:,} of {runs[1]:,} runs, of what you see"}
            if runs
            else {}
        ),
        "Whose fault": str(of_alarm(incident.kind, incident.error_class)),
        "Acknowledged": _acknowledged(incident),
    }
    return _table(["Fact", "Value"], facts.items())


def _concerned(incident: Incident, teams: Sequence[Team]) -> dict[str, str]:
    """Return the teams that a whole gateway's incident concerned, as far as one may see."""
    if incident.team is not None or not teams:
        return {}
    return {"Teams whose probes failed": ", ".join(map(_code, teams))}


def _acknowledged(incident: Incident) -> str:
    if incident.acknowledged_at is None:
        return "no"
    by = incident.acknowledged_by
    return f"{_code(by) if by else 'somebody'}, {_utc(incident.acknowledged_at)}"


def _timeline(incident: Incident, notifications: Sequence[Notification]) -> str:
    lines = [
        (event.at, event.words, _code(event.actor or ""), _code(event.text))
        for event in incident.events.select_related("actor")
    ]
    lines += [
        (each.sent_at, "Told", _code(each.recipient), Change(each.change).label)
        for each in notifications
        if each.sent_at is not None
    ]
    rows = [
        (_utc(at), what, who, text)
        for at, what, who, text in sorted(lines, key=lambda line: line[0])
    ]
    return _table(["At", "What", "Who", "Details"], rows)


def _spoken_for(lesser: Sequence[Incident]) -> list[str]:
    """Return the alarms that it speaks for, as the reader may see them."""
    if not lesser:
        return []
    rows = [
        (
            str(each.pk),
            RuleKind(each.kind).label,
            _code(each.summary),
            _utc(each.began_at),
            _utc(each.resolved_at) if each.resolved_at else "not yet",
        )
        for each in lesser[:MOST_LESSER]
    ]
    more = ["And others."] if len(lesser) > MOST_LESSER else []
    names = ["Incident", "Kind", "What", "Since", "Over"]
    return ["## Alarms that it speaks for", _table(names, rows), *more]


def _classes(incident: Incident) -> str:
    counts: dict[str, int] = incident.evidence.get("classes", {})
    rows = [
        (each.title, each.number, each.fault, each.advice)
        for each in class_counts(counts)
    ]
    if not rows:
        return ""
    table = _table(["Class", "Number", "Whose fault", "What to do"], rows)
    basis = evidence.basis(incident)
    return f"{basis}:\n\n{table}" if basis else table


def _samples(samples: Sequence[Outcome]) -> str:
    rows = [
        (
            _utc(each.started_at),
            _code(each.probe),
            meaning(each.error_class).title,
            str(each.status_code or "none"),
            _code(each.request_id or ""),
            _code(each.detail),
        )
        for each in samples
    ]
    if not rows:
        return "No failed results are kept of it."
    names = ["Started", "Probe", "Result", "Status", "Request id", "Detail"]
    return f"{evidence.which(samples)}:\n\n{_table(names, rows)}"


def _told(notifications: Sequence[Notification]) -> str:
    rows = [
        (
            _code(each.recipient),
            each.get_channel_display(),
            Change(each.change).label,
            DELIVERIES[Delivery(each.state)].word.capitalize(),
            _utc(each.sent_at) if each.sent_at else "",
        )
        for each in notifications
    ]
    if not rows:
        return "Nobody by a message of its own."
    more = "\n\nAnd others in between." if len(notifications) > MOST_TOLD else ""
    return _table(["Recipient", "Channel", "About", "State", "Sent"], rows) + more


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _code(told: object) -> str:
    """Return a code span for a cell, in one line.

    A bar would end the cell, and behind a backslash not everybody takes it as escaped; of
    eighty backticks GitHub takes no longer row for the beginning or the end of a span.
    """
    line = " ".join(one_line(str(told)).split()).translate(_ENDS)
    return f"`{line}`" if line else ""


_ENDS = str.maketrans("|`", "¦'")


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
