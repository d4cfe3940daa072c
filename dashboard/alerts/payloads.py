"""What a letter looks like to programs: JSON, a Slack message, plain text."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from dashboard.alerts.batches import Batch
from dashboard.alerts.letters import Letter
from dashboard.alerts.models import Change, Incident, Notification
from dashboard.alerts.stories import Story

# A receiver may refuse what it does not know.
VERSION = 1
# Slack refuses more blocks, and longer texts.
_MOST_STORIES = 20
_SLACK_TEXT = 2900
_TITLE = 150
_ACTS = re.compile(r"(?<=[@<])|(?<=\])(?=\()")


def as_json(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def webhook(batch: Batch, letter: Letter) -> dict[str, object]:
    """Return the signed webhook's message; docs/alerting.md describes it."""
    changes: dict[int, list[str]] = {}
    for row in batch.rows:
        if row.incident is not None:
            changes.setdefault(row.incident.pk, []).extend(_changes(row, row.incident))
    by_link = {story.link: story for story in letter.stories}
    return {
        "version": VERSION,
        "id": str(batch.id),
        "event": letter.kind.value,
        "sent_at": _moment(letter.sent_at),
        "subject": letter.subject,
        "link": letter.link,
        "incidents": [
            _incident(
                incident,
                by_link[f"{letter.home}/incidents/{incident.pk}/"],
                changes[incident.pk],
            )
            for incident in batch.incidents
        ],
    }


def _changes(row: Notification, incident: Incident) -> list[str]:
    """Return what a row tells, in words that programs know: missed is both its ends."""
    match row.change:
        case Change.RESOLVED:
            return [incident.state]
        case Change.MISSED:
            return [Change.OPENED, incident.state]
        case _:
            return [row.change]


def test(
    message_id: uuid.UUID, title: str, home: str, now: datetime
) -> dict[str, object]:
    return {
        "version": VERSION,
        "id": str(message_id),
        "event": "test",
        "sent_at": _moment(now),
        "subject": title,
        "link": home,
        "incidents": [],
    }


def _incident(
    incident: Incident, story: Story, changes: list[str]
) -> dict[str, object]:
    return {
        "id": incident.pk,
        "changes": changes,
        "state": "open" if incident.is_open else incident.state,
        "ended_because": incident.ended_because or None,
        "kind": incident.kind,
        "severity": incident.severity,
        "level": incident.level,
        "gateway": story.gateway,
        "team": incident.team.team_id if incident.team else None,
        "probe": incident.probe.kind if incident.probe else None,
        "summary": incident.summary,
        "value": incident.value,
        "limit": incident.limit,
        "samples": incident.samples,
        "error_class": incident.error_class or None,
        "classes": incident.evidence.get("classes", {}),
        "since": _moment(story.since),
        "opened_at": _moment(incident.opened_at),
        "resolved_at": _moment(incident.resolved_at),
        "whose_fault": story.blame,
        "advice": story.advice,
        "next_step": story.next_step,
        "link": story.link,
    }


def slack(letter: Letter) -> dict[str, object]:
    """Return Slack's message: the headline, a section for each incident, one button."""
    shown = _by_turns(letter.stories)[:_MOST_STORIES]
    more = len(letter.stories) - len(shown)
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": _plain_text(letter.subject[:_TITLE])},
        *(_section(_slack_story(story)) for story in shown),
    ]
    if more:
        blocks.append(_section(f"… and {more} more."))
    button = {
        "type": "button",
        "text": _plain_text("Open in Gatewatch"),
        "url": letter.link,
    }
    return {
        "text": defused(_slack_escaped(letter.subject)),
        "mrkdwn": False,
        "blocks": [*blocks, {"type": "actions", "elements": [button]}],
    }


def _by_turns(stories: Iterable[Story]) -> list[Story]:
    """Let each gateway have its turn, open ones first: one that has many hides no other."""
    turns: Counter[tuple[bool, str]] = Counter()

    def turn(story: Story) -> tuple[bool, int]:
        of = bool(story.lasted), story.gateway
        turns[of] += 1
        return of[0], turns[of]

    return sorted(stories, key=turn)


def slack_text(text: str, link: str) -> dict[str, object]:
    return {"text": f"{_slack_escaped(text)} <{link}>"}


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": _plain_text(text[:_SLACK_TEXT])}


def _plain_text(text: str) -> dict[str, object]:
    # Of Slack's Markdown nothing can be escaped but three characters: a team called
    # *x* or :fire: would be bold or an image.
    return {"type": "plain_text", "text": text, "emoji": False}


def _slack_story(story: Story) -> str:
    name = f"{story.look.mark} {story.place}"
    if story.lasted:
        lines = [f"{name} {story.over}", f"It was: {story.text}"]
    else:
        lines = [
            f"{name} {story.state}",
            f"{story.text}{story.runway}",
            f"Since {story.since:%Y-%m-%d %H:%M} UTC",
            f"Whose fault: {story.blame}",
            story.advice or story.next_step,
        ]
    return "\n".join(lines)


def _slack_escaped(text: str) -> str:
    """Return the text as Slack shows it to the letter: no links, no mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def defused(text: str) -> str:
    """Return the text with no mention, tag or link under another name in it.

    Many services read Markdown, and none says how to escape it: what a name would make
    of @everyone, <…> or […](…) is broken by a space of no width.
    """
    return _ACTS.sub("\u200b", text)


def plain(letter: Letter) -> str:
    """Return a few lines for channels that only know text, or make more of it."""
    lines = [
        defused(
            f"{story.place}: {story.text}"
            + (
                f" ({story.over})"
                if story.lasted
                else f"{story.runway}. Whose fault: {story.blame}"
            )
        )
        for story in letter.stories
    ]
    return "\n".join([*lines, letter.link])


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
