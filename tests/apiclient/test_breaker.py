"""The breaker as a tape: feed, assert; feed, assert. Pure, with time as a number."""

from dataclasses import replace
from urllib.parse import unquote

import pytest

from apiclient.breaker import (
    Admit,
    BreakerPolicy,
    BreakerRow,
    BreakerState,
    Pass,
    Result,
    admit,
    breaker_key,
    host_key,
    settle,
    state,
)
from apiclient.taxonomy import BreakerEffect

NOW = 1_800_000_000.0
POLICY = BreakerPolicy(jitter=0.0)
FAILURE = Result(BreakerEffect.FAILURE, "server_error")
SUCCESS = Result(BreakerEffect.SUCCESS)
IGNORED = Result(BreakerEffect.IGNORED)


def settled(
    row: BreakerRow,
    result: Result,
    *,
    now: float = NOW,
    kind: Pass = Pass.PLAIN,
    generation: int | None = None,
    policy: BreakerPolicy = POLICY,
) -> BreakerRow:
    """Return the row after `result`; the same row when nothing is to be written."""
    new = settle(
        row,
        result,
        now=now,
        policy=policy,
        kind=kind,
        generation=row.generation if generation is None else generation,
        draw=0.5,
    )
    return row if new is None else new


def opened() -> BreakerRow:
    row = BreakerRow()
    for _ in range(5):
        row = settled(row, FAILURE)
    return row


def test_the_fifth_failure_in_a_row_opens_it_for_a_minute() -> None:
    """S-110: threshold 5, open for 60 s, `>=` at the threshold."""
    row = BreakerRow()
    for _ in range(4):
        row = settled(row, FAILURE)
        assert state(row, NOW) is BreakerState.CLOSED
    row = settled(row, FAILURE)

    assert state(row, NOW) is BreakerState.OPEN
    assert row.reason == "server_error"
    assert admit(row, NOW, POLICY, Admit.NORMAL).held_s == 60.0
    assert state(row, NOW + 60) is BreakerState.HALF_OPEN


def test_a_success_between_failures_starts_the_count_again() -> None:
    row = settled(settled(BreakerRow(), FAILURE), SUCCESS)
    for _ in range(4):
        row = settled(row, FAILURE)

    assert state(row, NOW) is BreakerState.CLOSED


def test_a_closed_breaker_without_failures_is_not_written_for_a_success() -> None:
    row = BreakerRow()
    assert settled(row, SUCCESS) is row


def test_an_ignored_result_changes_no_count() -> None:
    """B-45: neither a failure nor, as elsewhere, a success."""
    row = settled(BreakerRow(), FAILURE)
    assert settled(row, IGNORED) is row


def test_half_open_lets_one_trial_through_and_holds_the_rest() -> None:
    """B-46, X-22."""
    row = opened()
    first = admit(row, NOW + 61, POLICY, Admit.NORMAL)
    assert first.kind is Pass.TRIAL
    assert first.held_s is None
    assert first.new is not None

    second = admit(first.new, NOW + 62, POLICY, Admit.NORMAL)
    assert second.held_s == pytest.approx(POLICY.lease_s - 1)


def test_a_trial_that_never_returns_frees_its_place_by_its_lease() -> None:
    """B-46: the worker died inside the trial."""
    leased = admit(opened(), NOW + 61, POLICY, Admit.NORMAL).new
    assert leased is not None

    later = admit(leased, NOW + 61 + POLICY.lease_s, POLICY, Admit.NORMAL)
    assert later.kind is Pass.TRIAL
    assert later.held_s is None


def test_a_good_trial_closes_it() -> None:
    """S-111."""
    leased = admit(opened(), NOW + 61, POLICY, Admit.NORMAL).new
    assert leased is not None
    row = settled(leased, SUCCESS, now=NOW + 62, kind=Pass.TRIAL)

    assert state(row, NOW + 62) is BreakerState.CLOSED
    assert row.failures == 0


def test_each_failed_trial_opens_it_at_once_and_for_twice_as_long() -> None:
    """S-112, B-49: 60, 120, 240, 480, then the cap of 600 s."""
    row, now, held = opened(), NOW, []
    for _ in range(5):
        now = row.open_until + 1
        row = settled(row, FAILURE, now=now, kind=Pass.TRIAL)
        held.append(row.open_until - now)

    assert held == [120, 240, 480, 600, 600]
    assert row.opened_at == NOW


def test_an_ignored_trial_gives_its_place_back() -> None:
    """B-45: releasePermission."""
    leased = admit(opened(), NOW + 61, POLICY, Admit.NORMAL).new
    assert leased is not None
    row = settled(leased, IGNORED, now=NOW + 62, kind=Pass.TRIAL)

    assert admit(row, NOW + 62, POLICY, Admit.NORMAL).kind is Pass.TRIAL


def test_an_answer_from_before_a_change_of_state_is_dropped() -> None:
    """B-48: generation."""
    row = opened()
    assert settled(row, SUCCESS, generation=row.generation - 1) is row


def test_retry_after_lengthens_the_open_time() -> None:
    """B-49, capped at the maximum."""
    row = BreakerRow(failures=4)
    longer = settled(row, replace(FAILURE, retry_after_s=90.0))
    capped = settled(row, replace(FAILURE, retry_after_s=1e9))

    assert longer.open_until - NOW == 90
    assert capped.open_until - NOW == POLICY.max_open_s


def test_a_deadline_further_away_than_the_maximum_is_clamped() -> None:
    """B-49: a clock jumped; the clamped deadline is stored and so comes near."""
    row = replace(opened(), open_until=NOW + 1e6)
    decision = admit(row, NOW, POLICY, Admit.NORMAL)
    assert decision.held_s == POLICY.longest_s
    assert decision.new is not None
    assert decision.new.open_until == NOW + POLICY.longest_s

    again = admit(decision.new, NOW + POLICY.longest_s, POLICY, Admit.NORMAL)
    assert again.held_s is None


def test_a_monitors_probe_goes_through_an_open_breaker() -> None:
    row = opened()
    decision = admit(row, NOW + 1, POLICY, Admit.ALWAYS_TRIAL)

    assert decision.kind is Pass.PEEK
    assert decision.held_s is None
    assert decision.new is None


def test_a_good_peek_closes_it_and_a_bad_one_keeps_it_open_without_growing() -> None:
    row = opened()
    closed = settled(row, SUCCESS, now=NOW + 1, kind=Pass.PEEK)
    assert state(closed, NOW + 1) is BreakerState.CLOSED

    assert settled(row, FAILURE, now=NOW + 1, kind=Pass.PEEK) is row
    for later in (61.0, 122.0, 183.0):
        row = settled(row, FAILURE, now=NOW + later, kind=Pass.PEEK)
        assert row.open_until - (NOW + later) == 60


def test_jitter_is_a_tenth() -> None:
    """B-49."""
    policy = BreakerPolicy()
    assert policy.open_for(0, 0.0) == pytest.approx(54)
    assert policy.open_for(0, 0.999999) == pytest.approx(66, abs=0.01)
    assert policy.open_for(10_000, 0.999999) <= policy.longest_s


def test_keys_are_one_text_and_teams_cannot_forge_another() -> None:
    assert (
        breaker_key("gw:8443", "acme", "GET", "/health") == "gw:8443|acme|GET /health"
    )
    assert breaker_key("gw", "a|b", "GET", "/health") == "gw|a%7Cb|GET /health"
    assert host_key("gw") == "gw|*|*"
    assert breaker_key("gw", "*", "GET", "/x").startswith("gw|%2A|")


def test_a_key_is_short_whatever_a_team_is_called_and_still_its_own() -> None:
    long = ["\N{WOMAN}" * 255, "\N{WOMAN}" * 254, "\N{WOMAN}" * 254 + "x", "%" * 255]
    keys = {breaker_key("gw", team_id, "GET", "/health") for team_id in long}

    assert len(keys) == len(long)
    assert max(map(len, keys)) < 330


def test_no_id_spells_the_key_of_a_long_one() -> None:
    long = "a" + "\N{CYRILLIC SMALL LETTER DE}" * 60
    key = breaker_key("gw", long, "GET", "/health")
    twin = unquote(key.split("|")[1])

    assert breaker_key("gw", twin, "GET", "/health") != key


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0}, {"open_s": 0}, {"open_s": 700, "max_open_s": 600}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]  # a table of numbers
