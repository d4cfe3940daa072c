"""What is kept of a report: little of most, everything of what failed or was streamed."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from apiclient import Attempt, CallReport, ErrorClass, Phases, Streamed
from apiclient.redact import Secret
from apiclient.stores import MemoryBreakerStore
from apiclient.team_payloads import Credits as ToldCredits
from apiclient.team_payloads import Team as ToldTeam
from dashboard.pipeline.answers import Ask, answer
from dashboard.pipeline.asks import put
from dashboard.probes.attempts import PastAttempt, PastStream, attempts_of, stream_of
from dashboard.probes.models import ProbeKind
from tests.factories import NOW

ASK = Ask(
    probe_id=1,
    kind=ProbeKind.TEAM_STATUS,
    gateway_id=1,
    team_pk=None,
    team_id="team",
    base_url="https://gateway.example",
    allow_private=False,
    key=None,
    model="",
    deadline_s=30.0,
)
PHASES = Phases(connect_s=0.001, tls_s=0.002, first_byte_s=0.04, body_s=0.007)


def attempt(**fields: object) -> Attempt:
    defaults = {
        "number": 1,
        "started_at": NOW,
        "wait_s": 0.0,
        "latency_s": 0.05,
        "error": None,
        "status_code": 200,
        "phases": PHASES,
    }
    return Attempt(**{**defaults, **fields})  # type: ignore[arg-type]


REPORT: CallReport[object] = CallReport(
    operation="get_team",
    method="GET",
    endpoint="/api/teams/{team_id}",
    request_id="6f1c0f8e-4d3b-4ac1-8f0e-111111111111",
    started_at=NOW,
    elapsed_s=0.0504,
    attempts=(attempt(),),
    error=None,
    status_code=200,
    detail="fine",
    host="gateway.example",
)


def test_a_success_keeps_its_numbers_and_phases_and_no_words() -> None:
    outcome = answer(ASK, REPORT).outcome

    assert (outcome.latency_us, outcome.elapsed_us) == (50_000, 50_400)
    assert (outcome.connect_us, outcome.tls_us, outcome.first_byte_us) == (
        *(1000, 2000),
        40_000,
    )
    assert (outcome.host, outcome.detail, outcome.request_id) == ("", "", None)
    assert (outcome.attempt_log, outcome.stream, outcome.credits) == (None,) * 3
    assert attempts_of(outcome) == (
        PastAttempt("", 200, 0.0, 0.05, 0.001, 0.002, 0.04, 0.007),
    )


def test_a_retried_call_keeps_each_attempt_and_its_id() -> None:
    attempts = (
        attempt(error=ErrorClass.CONNECT_FAILED, status_code=None, phases=Phases()),
        attempt(number=2, wait_s=1.5),
    )

    outcome = answer(ASK, replace(REPORT, attempts=attempts)).outcome

    assert outcome.request_id == UUID(REPORT.request_id)
    assert attempts_of(outcome) == (
        PastAttempt("connect_failed", None, 0.0, 0.05),
        PastAttempt("", 200, 1.5, 0.05, 0.001, 0.002, 0.04, 0.007),
    )


def test_a_call_that_was_never_sent_has_no_attempts() -> None:
    held = replace(REPORT, attempts=(), error=ErrorClass.BREAKER_HELD)

    assert attempts_of(answer(ASK, held).outcome) == ()


def test_another_host_that_answered_is_named() -> None:
    outcome = answer(ASK, replace(REPORT, host="spare.example:8443")).outcome

    assert outcome.host == "spare.example:8443"


def test_an_address_that_is_none_is_an_outcome_too() -> None:
    """C-20: an exception here would end a thread of the prober, and its tick never."""
    row = put(
        replace(ASK, base_url="http://user@gateway.example"), MemoryBreakerStore()
    )

    assert row.outcome.error_class


def test_a_streamed_reply_keeps_how_it_came_and_none_of_its_text() -> None:
    streamed = Streamed("secret words", 12, 0.3, "stop", "chat", 1, longest_gap_s=2.5)

    outcome = answer(ASK, replace(REPORT, streamed=streamed)).outcome

    assert stream_of(outcome) == PastStream(0.3, 12, 2.5, "stop", 1)
    assert "secret words" not in repr(vars(outcome))


def test_a_call_without_a_stream_has_no_stream() -> None:
    assert stream_of(answer(ASK, REPORT).outcome) is None


def test_a_machine_that_slept_in_a_call_still_has_an_outcome() -> None:
    slept = replace(REPORT, elapsed_s=86_400.0)

    assert answer(ASK, slept).outcome.elapsed_us == 2**31 - 1


@pytest.mark.parametrize("spelt", [str.upper, lambda key: f"v:{key.encode().hex()}"])
def test_what_a_team_tells_of_itself_holds_its_key_in_no_spelling(
    spelt: Callable[[str], str],
) -> None:
    """Viewers of a team read these texts, and do not hold its key."""
    key = "Vk.no-usual-form"
    told = ToldTeam(
        "acme",
        allowed_model_aliases=("chat", spelt(key)),
        organization_id=spelt(key),
        credits=ToldCredits(budget_mode=spelt(key), refill_period="monthly"),
    )

    seen = answer(
        replace(ASK, key=Secret(key), team_pk=1), replace(REPORT, value=told)
    ).sighting

    assert seen is not None
    assert seen.terms is not None
    assert "hidden" in (seen.organization_id or "")
    assert seen.model_aliases == ("chat", seen.organization_id)
    assert seen.terms.budget_mode == seen.organization_id
    assert seen.terms.refill_period == "monthly"


def test_what_is_cut_off_a_word_lays_no_key_bare() -> None:
    """C-05: it may have ended a tag, which nobody would have read."""
    told = f"01<b>23</4567{' y' * 20}>"
    value = ToldCredits(remaining=1, budget_mode=told, refill_period=told)
    streamed = Streamed("", 1, finish_reason=told)

    seen = answer(
        replace(ASK, key=Secret("vk-0123456789abcdef"), team_pk=1),
        replace(REPORT, value=value, streamed=streamed),
    )

    assert seen.sighting is not None
    assert seen.sighting.terms is not None
    words = seen.sighting.terms.budget_mode, seen.sighting.terms.refill_period
    reason = stream_of(seen.outcome)
    assert reason is not None
    assert {*words, reason.finish_reason} == {"[hidden]"}


@pytest.mark.parametrize(
    ("before", "status"),
    [
        ("", None),
        ("server_error", None),
        ("team_paused", None),
        ("team_suspended", "suspended"),
    ],
)
def test_a_403_is_believed_when_it_is_the_second_in_a_row(
    before: str, status: str | None
) -> None:
    """A-32: the alarm believes a told status at once, and one 403 may be a hiccup."""
    ask = replace(ASK, team_pk=1, last_error=before)
    report = replace(REPORT, error=ErrorClass.TEAM_SUSPENDED, status_code=403)

    sighting = answer(ask, report).sighting

    assert (sighting and sighting.status) == status
