"""Write a past for the demo's probes and teams: outcomes, rollups, credits, incidents."""

from datetime import datetime, timedelta
from random import Random

from django.db import transaction
from django.db.models import Q

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, HOUR_S, MINUTE_S
from dashboard.management import past, past_incidents
from dashboard.management.past import Credits, Episode, Run, Subject
from dashboard.management.past_incidents import AROUND
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.paces import changed_pace
from dashboard.rollups import store
from dashboard.rollups.retention import is_kept
from dashboard.rollups.tally import (
    Key,
    Tally,
    by_bucket,
    coarsened,
    standing_for,
    tally,
)
from dashboard.simulator.script import demo_teams
from dashboard.teams.credit_hours import (
    fold_between,
)
from dashboard.teams.models import CreditReading, Gateway, Team

_HOUR = timedelta(hours=1)
_RAW = timedelta(hours=48)
_BATCH = 2000


@transaction.atomic
def fill_history(*, now: datetime, days: int = 30, seed: int = 7) -> None:
    """Give all probes and teams `days` days of past, up to a minute before `now`.

    Outcomes are written for two whole days and the running one, older time only as
    hours and days, as if more had been pruned. Call it once, on a database without
    outcomes, and before probes run.
    """
    draw = Random(seed)  # noqa: S311 (a plausible past is no secret)
    end = buckets.floor(now - timedelta(minutes=1), MINUTE_S)
    begin = buckets.floor(end - timedelta(days=days), DAY_S)
    _date_back(begin)
    bad_times = past.episodes(end, days)
    teams = list(Team.objects.select_related("gateway").order_by("pk"))
    seen: dict[int, list[Run]] = {}
    for subject in _subjects(teams):
        seen[subject.probe_id] = _write_runs(subject, begin, end, bad_times, draw)
        _note_pace(subject, now)
    past_incidents.write_outages(bad_times, seen, teams)
    for team in teams:
        readings = _write_readings(team, begin, end, draw)
        past_incidents.write_low_credits(team, _allocated(team), readings)
    fold_between([team.pk for team in teams], begin, end)


def _date_back(begin: datetime) -> None:
    Gateway.objects.filter(created_at__gt=begin).update(created_at=begin)
    Team.objects.filter(created_at__gt=begin).update(created_at=begin)


def _subjects(teams: list[Team]) -> list[Subject]:
    """Return what was probed: what is switched on, at the default periods."""
    places = {team.pk: place for place, team in enumerate(teams)}
    return [
        Subject(
            probe_id=probe.pk,
            kind=ProbeKind(probe.kind),
            place=places.get(probe.team_id) if probe.team_id else None,
            period_s=KINDS[ProbeKind(probe.kind)].period_s,
        )
        for probe in Probe.objects.filter(enabled=True).order_by("pk")
    ]


def _write_runs(
    subject: Subject,
    begin: datetime,
    end: datetime,
    bad_times: list[Episode],
    draw: Random,
) -> list[Run]:
    """Write one probe's past; return the runs around its bad times."""
    raw_from = max(begin, buckets.floor(end - _RAW, DAY_S))
    kept: list[Run] = []
    hours: dict[Key, Tally] = {}
    hour = begin
    while hour < raw_from:
        told = list(past.runs(subject, hour, hour + _HOUR, bad_times, draw))
        hours[Key(subject.probe_id, HOUR_S, hour)] = tally(told)
        kept += _around(bad_times, told)
        hour += _HOUR
    recent = list(past.runs(subject, raw_from, end, bad_times, draw))
    _write_outcomes(subject, recent)
    fine = {
        key: part
        for key, part in by_bucket(recent).items()
        if is_kept(key.level, key.start, end)
    }
    _write_rollups(subject, {**hours, **coarsened(hours, DAY_S), **fine})
    return kept + _around(bad_times, recent)


def _note_pace(subject: Subject, now: datetime) -> None:
    """Note until when the probe had the period of its past."""
    probe = Probe.objects.get(pk=subject.probe_id)
    probe.paces = changed_pace(probe.paces, subject.period_s, probe.period_s, now)
    probe.save(update_fields=["paces"])


def _around(bad_times: list[Episode], told: list[Run]) -> list[Run]:
    spans = [(bad.start - AROUND, bad.end + AROUND) for bad in bad_times]
    return [run for run in told if any(a <= run.started_at < b for a, b in spans)]


def _write_rollups(subject: Subject, tallies: dict[Key, Tally]) -> None:
    store.write(
        {
            key: (key.level / subject.period_s, standing_for(part, subject.period_s))
            for key, part in tallies.items()
        }
    )


def _write_outcomes(subject: Subject, recent: list[Run]) -> None:
    charge = KINDS[subject.kind].credits_per_run or None
    Outcome.objects.bulk_create(
        (
            Outcome(
                **run._asdict(),
                elapsed_us=run.latency_us + 250_000 * (run.attempts - 1),
                credits=None if run.error_class else charge,
            )
            for run in recent
        ),
        batch_size=_BATCH,
    )
    if recent:
        last = recent[-1]
        never = Q(last_at=None) | Q(last_at__lt=last.started_at)
        Probe.objects.filter(never, pk=subject.probe_id).update(
            last_at=last.started_at,
            last_error=last.error_class,
            last_latency_us=last.latency_us,
        )


def _allocated(team: Team) -> float:
    return _credits(team)[0]


def _credits(team: Team) -> tuple[float, float]:
    """Return what a team is allocated and has left now, as the stand-in tells it."""
    for told in demo_teams():
        if told.team_id == team.team_id:
            return float(told.credits_allocated), float(told.credits_remaining)
    return 5000.0, 3000.0


def _write_readings(
    team: Team, begin: datetime, end: datetime, draw: Random
) -> list[Credits]:
    allocated, remaining = _credits(team)
    readings = past.spending(allocated, remaining, begin, end, draw)
    CreditReading.objects.bulk_create(
        CreditReading(
            team=team,
            read_at=reading.at,
            allocated=allocated,
            used=allocated - reading.remaining,
            remaining=reading.remaining,
        )
        for reading in readings
    )
    return readings
