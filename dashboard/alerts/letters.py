"""What one mail or message tells, finished for the templates and the channels."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from dashboard.alerts.batches import Batch
from dashboard.alerts.grouping import Kind
from dashboard.alerts.models import Change, Incident
from dashboard.alerts.recipients import Reader, teams_told_of
from dashboard.alerts.stories import Story, digest_headline, headline, story
from dashboard.lib.spans import duration

_LOCAL_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Letter:
    """What the templates show; `kind` chooses them."""

    kind: Kind
    subject: str
    stories: tuple[Story, ...]
    link: str
    home: str
    sent_at: datetime

    @property
    def repeats_after(self) -> str:
        """How soon it is mailed again, "4 h"; empty for never."""
        return duration(settings.MAIL_REPEAT_S) if settings.MAIL_REPEAT_S else ""

    @property
    def acknowledged_by(self) -> str:
        """Who ends its repetition: what is of a whole gateway is no team's."""
        of_gateway = [story.of_gateway for story in self.stories]
        if all(of_gateway):
            return "a site administrator"
        more = (
            ", or for a whole gateway a site administrator," if any(of_gateway) else ""
        )
        return f"somebody{more}"

    @property
    def open(self) -> list[Story]:
        return [story for story in self.stories if not story.lasted]

    @property
    def over(self) -> list[Story]:
        return [story for story in self.stories if story.lasted]


def home() -> str:
    """Return the address of the pages, for links."""
    return settings.PUBLIC_URL or _LOCAL_URL


def _teams_told_of(batch: Batch, incident: Incident) -> set[int] | None:
    if incident.team_id is not None:
        return None
    reader = Reader(batch.channel, batch.recipient)
    return teams_told_of(reader, incident.gateway_id)


def letter_of(batch: Batch, now: datetime) -> Letter:
    """Return what a batch tells of its incidents, open ones first, then the worst."""
    missed = {row.incident_id for row in batch.rows if row.change == Change.MISSED}
    told = (
        story(
            incident,
            home(),
            now,
            missed=incident.pk in missed,
            of_teams=_teams_told_of(batch, incident),
            counter=batch.counter,
        )
        for incident in batch.incidents
    )
    stories = tuple(sorted(told, key=lambda one: (bool(one.lasted), one.rank)))
    reminder = all(row.change == Change.REPEATED for row in batch.rows)
    subject = (
        digest_headline(stories)
        if batch.kind is Kind.DIGEST
        else headline(
            stories, now, recovery=batch.kind is Kind.RECOVERY, reminder=reminder
        )
    )
    return Letter(
        kind=batch.kind,
        subject=subject,
        stories=stories,
        link=stories[0].link if len(stories) == 1 else f"{home()}/incidents/",
        home=home(),
        sent_at=now,
    )
