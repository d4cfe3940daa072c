"""How a team's credits are shown: left of allocated, how old, how long they last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.probes.kinds import TELL_CREDITS
from dashboard.probes.models import Probe
from dashboard.teams.burn import (
    paced_from,
    paces,
)
from dashboard.teams.credit_hours import (
    Hour,
    hours_at,
    hours_of,
)
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import Burn, latest_readings
from dashboard.teams.spending import (
    Spending,
    spent_between,
    with_unfolded,
)
from dashboard.teams.spending import (
    refills as refills_of,
)
from dashboard.web import access, credit_levels, ranges, words
from dashboard.web.burn_charts import (
    SPARK_HEIGHT,
    SPARK_WIDTH,
    course_words,
    spark,
    spark_hours,
)
from dashboard.web.pages.parts import Badge, Link
from dashboard.web.pages.used import Used, before_of, used
from dashboard.web.ranges import Range, RangeBar, stamp
from dashboard.web.states import Tone

# What the pace and the latest refill are taken from.
_LATELY = timedelta(days=7)
_FAR_S = 365 * 86400
# What a gateway may call its refill period, and how long that is.
_PERIODS = {"daily": 1, "day": 1, "weekly": 7, "week": 7, "monthly": 30, "month": 30}


@dataclass(frozen=True, slots=True)
class Credits:
    """`bar` is how much of a bar of width 100 is filled; None draws no bar."""

    badge: Badge
    left: str
    bar: float | None
    read_at: SafeString
    is_stale: bool = False


def credits_of(
    reading: CreditReading | None,
    probes: Iterable[Probe],
    burn: Burn | None,
    marks: credit_levels.Marks,
    now: datetime,
) -> Credits:
    """Return how a team's latest reading is shown, by its own probes and its pace."""
    said = credit_levels.standing(reading, probes, burn, now, marks)
    badge = Badge(said.tone, said.word, said.reason)
    if reading is None:
        return Credits(badge, "unknown", None, words.time(None, now, "never"))
    share = credit_levels.share_left(reading)
    return Credits(
        badge=badge,
        left=credit_levels.left_words(reading),
        bar=None if share is None else round(min(1.0, max(0.0, share)) * 100, 1),
        read_at=words.time(reading.read_at, now),
        is_stale=not said.is_current,
    )


def runway(burn: Burn | None, first_at: datetime | None = None) -> str:
    """Return how long the credits last: between their fastest and their slowest pace.

    Where nobody can say yet, `first_at` is when somebody can.
    """
    if burn is None and first_at is not None:
        return f"first forecast at {timezone.localtime(first_at):%H:%M}"
    if burn is None:
        return "too few readings"
    if burn.remaining <= 0:
        return "used up"
    if burn.hours_range is None:
        return "nothing used lately"
    shortest, longest = burn.hours_range
    soonest = words.roughly(shortest * 3600)
    if longest is None:
        return f"{soonest} or longer"
    latest = words.roughly(longest * 3600)
    return f"about {soonest}" if latest == soonest else f"{soonest} to {latest}"


def runs_out(burn: Burn | None, now: datetime) -> str:
    """Return when the credits end: "30 Nov to 2 Dec"; "" where that cannot be told."""
    if burn is None or burn.remaining <= 0 or burn.hours_range is None:
        return ""
    shortest, longest = burn.hours_range
    soonest = _day(shortest, now)
    if longest is None:
        return f"not before {soonest}"
    latest = _day(longest, now)
    return f"on {soonest}" if latest == soonest else f"{soonest} to {latest}"


def _day(hours: float, now: datetime) -> str:
    if hours * 3600 > _FAR_S:
        return "in more than a year"
    return timezone.localtime(now + timedelta(hours=hours)).strftime("%-d %b")


def pace(burn: Burn | None) -> str:
    if burn is None:
        return ""
    span = words.roughly(burn.span.total_seconds())
    basis = f"from {words.count(burn.readings, 'reading')} over {span}"
    lately = ""
    if burn.recent_per_hour is not None:
        lately = f", {words.number(burn.recent_per_hour)} an hour over the last 6 h"
    if burn.hurried_per_hour is not None:
        lately += (
            f", {words.number(round(burn.hurried_per_hour))} in the last hour alone"
        )
    return f"{words.amount(burn.per_hour, 'credit')} an hour, {basis}{lately}"


@dataclass(frozen=True, slots=True)
class NextRefill:
    """What is known of it in a word or two, and more of it in small print."""

    value: str
    fine: str = ""


def next_refill(
    team: Team,
    reading: CreditReading | None,
    hours: Sequence[Hour],
    burn: Burn | None,
    now: datetime,
) -> NextRefill:
    """Return what is known of the next refill, and whether it comes in time."""
    if reading is None or reading.auto_refill is None:
        return NextRefill("not told")
    seen = refills_of(hours)
    if not reading.auto_refill:
        whose = "somebody added the latest" if seen else "somebody has to add some"
        return NextRefill("none by itself", whose)
    amount = words.number(team.refill_amount) if team.refill_amount else "an amount"
    days = _PERIODS.get(team.refill_period.lower())
    if not days:
        return NextRefill(amount, "by itself, at a time that is not told")
    said = f"{amount} {team.refill_period}".strip()
    if not seen:
        return NextRefill(said)
    due = seen[-1].at + timedelta(days=days)
    if due <= now:
        return NextRefill(said, f"overdue since about {due:%-d %b}")
    return NextRefill(said, f"about {due:%-d %b}{_in_time(due, burn, now)}")


def _in_time(due: datetime, burn: Burn | None, now: datetime) -> str:
    if burn is None or burn.hours_range is None:
        return ""
    is_before = due < now + timedelta(hours=burn.hours_range[0])
    return ", before they run out" if is_before else ", after they run out"


@dataclass(frozen=True, slots=True)
class CreditRow:
    """A team's credits in the list; `spark` is the path of its last week."""

    team: Link
    gateway: str
    credits: Credits
    spark: str
    spark_words: str
    used: Used
    runway: str
    runs_out: str
    pace: str
    refill: NextRefill
    hours_left: float


@dataclass(frozen=True, slots=True)
class CreditsPage:
    title: str
    sentence: str
    is_empty: bool
    range: RangeBar
    rows: list[CreditRow]
    spark_width: int
    spark_height: int
    sheet: list[list[object]]
    csv_url: str
    json_url: str


@dataclass(frozen=True, slots=True)
class _Past:
    """What the range tells of all teams: a few points of each, and what each used."""

    chosen: Range
    grid: Sequence[datetime]
    points: Mapping[int, Sequence[Hour]]
    spent: Mapping[int, Spending]
    before: Mapping[int, Spending]

    def used(self, team_id: int) -> Used:
        return used(self.spent.get(team_id), self.before.get(team_id), self.chosen)


def page(user: access.Visitor, chosen: Range, now: datetime) -> CreditsPage:
    """Return the credits of all the teams that the user sees, soonest to end first.

    What is left and how long it lasts is of now; the line and what was used are of the
    range. Ten queries at most, whatever the number of teams.
    """
    teams = list(access.teams(user))
    team_ids = [team.pk for team in teams]
    readings = latest_readings(team_ids)
    lately = hours_of(team_ids, buckets.floor(now - _LATELY, HOUR_S), now)
    past = _past(team_ids, chosen, lately, readings)
    told_by, marks = credit_probes(user), credit_levels.marks_of(teams)
    burns = paces(lately, readings, now)
    sheet = []
    for team in teams:
        own, reading = lately.get(team.pk, []), readings.get(team.pk)
        burn = burns.get(team.pk)
        points = past.points.get(team.pk, [])
        row = CreditRow(
            team=Link(str(team), reverse("team", args=[team.pk])),
            gateway=str(team.gateway),
            credits=credits_of(
                reading, told_by.get(team.pk, ()), burn, marks[team.pk], now
            ),
            spark=spark(points, past.grid),
            spark_words=_spark_words(points, past.spent.get(team.pk)),
            used=past.used(team.pk),
            runway=runway(burn, paced_from(own, now)),
            runs_out=runs_out(burn, now),
            pace=pace(burn),
            refill=next_refill(team, reading, own, burn, now),
            hours_left=hours_left(reading, burn),
        )
        sheet.append((row, _record(team, reading, burn, past)))
    sheet.sort(key=lambda pair: _rank(pair[0]))
    rows = [row for row, _ in sheet]
    return CreditsPage(
        title="Credits",
        sentence=_sentence(rows),
        is_empty=not rows,
        range=ranges.bar(chosen, zooms=False),
        rows=rows,
        spark_width=SPARK_WIDTH,
        spark_height=SPARK_HEIGHT,
        sheet=[_COLUMNS, *(record for _, record in sheet)],
        csv_url=chosen.url(format="csv"),
        json_url=chosen.url(format="json"),
    )


def _past(
    team_ids: Sequence[int],
    chosen: Range,
    lately: Mapping[int, Sequence[Hour]],
    readings: Mapping[int, CreditReading],
) -> _Past:
    grid = spark_hours(chosen)
    spent = spent_between(team_ids, chosen.start, chosen.end)
    if chosen.is_live:
        spent = {
            pk: with_unfolded(own, lately.get(pk, ()), readings.get(pk), chosen.end)
            for pk, own in spent.items()
        }
    return _Past(
        chosen=chosen,
        grid=grid,
        points=hours_at(team_ids, grid),
        spent=spent,
        before=spent_between(team_ids, *before_of(chosen)) if chosen.compares else {},
    )


_COLUMNS: list[object] = [
    "gateway",
    "team_id",
    "team",
    "allocated",
    "used",
    "remaining",
    "credits_per_hour",
    "hours_left_soonest",
    "hours_left_latest",
    "auto_refill",
    "read_at",
    "range_from",
    "range_to",
    "used_in_range",
    "hours_known_in_range",
    "used_before",
]


def _record(
    team: Team, reading: CreditReading | None, burn: Burn | None, past: _Past
) -> list[object]:
    """Return a team's numbers unrounded, in the order of the columns; None is unknown."""
    shortest, longest = (burn and burn.hours_range) or (None, None)
    spent, before = past.spent.get(team.pk), past.before.get(team.pk)
    return [
        team.gateway.name,
        team.team_id,
        str(team),
        reading.allocated if reading else None,
        reading.used if reading else None,
        reading.remaining if reading else None,
        burn.per_hour if burn else None,
        shortest,
        longest,
        reading.auto_refill if reading else None,
        reading.read_at.isoformat(timespec="seconds") if reading else None,
        stamp(past.chosen.start),
        stamp(past.chosen.end),
        spent.credits if spent else None,
        spent.hours if spent else 0,
        before.credits if before else None,
    ]


def credit_probes(user: access.Visitor) -> Mapping[int | None, list[Probe]]:
    """Return the probes that tell each team's credits; one query."""
    found = access.probes(user).filter(enabled=True, kind__in=TELL_CREDITS)
    return credit_levels.by_team(found)


def hours_left(reading: CreditReading | None, burn: Burn | None) -> float:
    """Return a number to sort by: none left, then the soonest, then who uses none."""
    if reading is not None and reading.remaining is not None and reading.remaining <= 0:
        return -1.0
    if burn is None or burn.hours_range is None:
        return float("inf")
    return burn.hours_range[0]


def soonest_first(hours: float, shown: Credits, name: str) -> tuple[float, float, str]:
    """Return the rank of a team: by the time left, then the share; unknown comes last."""
    return hours, 101.0 if shown.bar is None else shown.bar, name


def _rank(row: CreditRow) -> tuple[float, float, str]:
    return soonest_first(row.hours_left, row.credits, row.team.word)


def _spark_words(points: Sequence[Hour], spent: Spending | None) -> str:
    if not points:
        return "no readings in this time"
    least = min(row.least for row in points)
    if spent and spent.least is not None:
        least = min(least, spent.least)
    return f"left: {course_words(points[0].first, points[-1].last, least)}"


def _sentence(rows: Sequence[CreditRow]) -> str:
    if not rows:
        return ""
    if not any(row.credits.badge.tone is not Tone.UNKNOWN for row in rows):
        return "Waiting for the first reading of each team."
    first = rows[0]
    if first.hours_left < 0:
        return f"{first.team.word} has no credits left."
    if first.hours_left == float("inf"):
        return "No team used any lately, as far as is known."
    return f"{first.team.word} runs out first: {first.runway}, {first.runs_out}."
