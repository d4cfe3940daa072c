"""Try a gateway before anything is saved: what it answers, its teams, and the key.

Each question is a real probe's; nothing is stored and nothing is charged.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apiclient import CallReport, Client, operations, taxonomy
from apiclient.redact import redact
from dashboard.pipeline.asks import checked
from dashboard.pipeline.roster import Roster, ask_roster
from dashboard.teams.keys import KeyUnavailableError, resolve
from dashboard.teams.models import Gateway, Team

_DEADLINE_S = 8.0
_SEEK_S = 25.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What one question was answered: an empty `error` is a success.

    Seconds are None for a phase that was not reached.
    """

    asked: str
    error: str = ""
    advice: str = ""
    status_code: int | None = None
    latency_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """All that a gateway answered; without a `roster` it was not asked for one."""

    answers: Sequence[Answered]
    roster: Roster | None = None

    @property
    def ok(self) -> bool:
        return all(not each.error for each in self.answers)


def try_gateway(gateway: Gateway, team: Team | None = None) -> Trial:
    """Ask an unsaved gateway for its health and its teams, and the key for its balance.

    Takes half a minute at most, and a second or two where all is well. A gateway that
    gives no answer at all is asked no more.
    """
    try:
        client = _client(gateway, None)
    except ValueError as error:
        return Trial([Answered("Health", error=redact(str(error)))])
    with client:
        health = checked(
            client.report(operations.health(), max_retries=0, deadline_s=_DEADLINE_S)
        )
    answers = [_answered("Health", health)]
    if health.status_code is None:
        return Trial(answers)
    roster = ask_roster(gateway)
    if roster.error:
        answers.append(Answered("List of teams", roster.error, roster.advice))
    if team is not None:
        answers.append(_balance(gateway, team))
    return Trial(answers, roster)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which teams a gateway told not to have, and which it told nothing of."""

    unknown: Sequence[str] = ()
    unchecked: Sequence[str] = ()


def seek_teams(gateway: Gateway, team_ids: Iterable[str]) -> Sought:
    """Ask an unsaved gateway for each of these teams, half a minute in all at most.

    One that gives no answer is asked no more. Only its own "not found" makes a team
    unknown: while it is out of order nobody knows.
    """
    wanted = list(team_ids)
    try:
        client = _client(gateway, None)
    except ValueError:
        return Sought(unchecked=wanted)
    unknown, unchecked = [], []
    ends_at = time.monotonic() + _SEEK_S
    answers = True
    with client:
        for team_id in wanted:
            if not answers or time.monotonic() > ends_at:
                unchecked.append(team_id)
                continue
            report = client.report(
                operations.get_team(team_id), max_retries=0, deadline_s=_DEADLINE_S
            )
            answers = report.status_code is not None
            if report.error is taxonomy.ErrorClass.NOT_FOUND:
                unknown.append(team_id)
            elif report.error is not None:
                unchecked.append(team_id)
    return Sought(unknown, unchecked)


def _balance(gateway: Gateway, team: Team) -> Answered:
    asked = f"Key of {team}"
    try:
        key = resolve(team, gateway.base_url)
    except KeyUnavailableError as error:
        return Answered(asked, error=str(error))
    with _client(gateway, key.reveal() if key else None) as client:
        report = client.report(
            operations.balance(team.team_id), max_retries=0, deadline_s=_DEADLINE_S
        )
    return _answered(asked, report)


def _client(gateway: Gateway, key: str | None) -> Client:
    return Client(
        base_url=gateway.base_url,
        virtual_key=key,
        allow_private=gateway.allow_private,
        fresh_connections=True,
        breakers=None,
    )


def _answered(asked: str, report: CallReport[object]) -> Answered:
    error = advice = ""
    if report.error is not None:
        meaning = taxonomy.TABLE[report.error]
        error = f"{meaning.title}: {report.detail}" if report.detail else meaning.title
        advice = meaning.advice
    phases = report.attempts[-1].phases if report.attempts else None
    return Answered(
        asked=asked,
        error=error,
        advice=advice,
        status_code=report.status_code,
        latency_s=report.latency_s if report.attempts else None,
        connect_s=phases.connect_s if phases else None,
        tls_s=phases.tls_s if phases else None,
    )
