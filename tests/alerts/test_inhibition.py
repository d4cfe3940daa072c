"""Which alarm speaks for which, as a table; and that none is ever lost in a circle."""

from datetime import timedelta
from itertools import product

import pytest

from dashboard.alerts import inhibition
from dashboard.alerts.inhibition import (
    GRACE,
    RANKS,
    RELATIONS,
    Open,
    inhibitor,
    inhibitors,
    ranks,
)
from dashboard.alerts.models import RuleKind
from tests.factories import NOW

ENDPOINT = frozenset({"GET /x"})
OF_A_PROBE = ["error_rate", "latency", "burn_rate", "breaker_open", "stream_failures"]


def one(pk: int, kind: str, **fields: object) -> Open:
    own: dict[str, object] = {
        "level": "",
        "gateway_id": 1,
        "team_id": 1,
        "probe_id": 1,
        "endpoints": ENDPOINT,
    }
    if kind == "gateway_down":
        own |= {"team_id": None, "probe_id": None, "endpoints": frozenset()}
    return Open(pk=pk, kind=kind, **{**own, **fields})  # type: ignore[arg-type]


SPEAKS = [
    *[("gateway_down", "", kind) for kind in [*OF_A_PROBE, "credits_unknown"]],
    *[
        ("team_state", level, kind)
        for level in ("suspended", "paused")
        for kind in [*OF_A_PROBE, "credits_unknown", "auth_failed"]
    ],
    *[("auth_failed", "", kind) for kind in [*OF_A_PROBE, "credits_unknown"]],
    *[("breaker_open", "", kind) for kind in ("error_rate", "latency", "burn_rate")],
    *[("error_rate", "", kind) for kind in ("latency", "burn_rate", "stream_failures")],
    ("credits", "exhausted", "credits_forecast"),
    ("credits", "exhausted", "credits_spike"),
]
EVERY_LEVEL = ["", "low", "critical", "exhausted", "unknown", "paused", "suspended"]


def test_the_table_is_this_one() -> None:
    """A-57: each pair of kinds and each level, of one team and one endpoint."""
    spoken = {
        (greater, level, lesser)
        for greater in RuleKind.values
        for lesser in RuleKind.values
        for level in EVERY_LEVEL
        if inhibitor(one(2, lesser), [one(1, greater, level=level)])
    }

    expected = set()
    for greater, level, lesser in SPEAKS:
        levels = [level] if level else EVERY_LEVEL
        expected |= {(greater, each, lesser) for each in levels}
    assert spoken == expected


@pytest.mark.parametrize(("greater", "level", "lesser"), SPEAKS)
def test_it_speaks_for_its_own_only(greater: str, level: str, lesser: str) -> None:
    """A-57: of another gateway never; of another team only where the gateway is down."""
    first = one(1, greater, level=level)
    elsewhere = one(2, lesser, gateway_id=2, team_id=2, probe_id=2)
    other_team = one(2, lesser, team_id=2, probe_id=2)

    assert inhibitor(elsewhere, [first]) is None
    spoken = inhibitor(other_team, [first]) is not None
    assert spoken == (greater == "gateway_down")


def test_no_alarm_speaks_for_itself() -> None:
    for kind in RuleKind.values:
        alarm = one(1, kind, level="suspended")
        assert inhibitor(alarm, [alarm]) is None


def test_circles_are_refused() -> None:
    """A-57: with one, nobody would be told of either."""
    with pytest.raises(ValueError, match="a > b > c > a"):
        ranks([("a", "b"), ("b", "c"), ("c", "a")])
    with pytest.raises(ValueError, match="a > a"):
        ranks([("a", "a")])
    assert ranks([("a", "b"), ("b", "c"), ("a", "c")]) == {"a": 2, "b": 1, "c": 0}
    assert all(RANKS[greater] > RANKS[lesser] for greater, lesser in RELATIONS)


def test_no_alarm_of_a_team_speaks_for_one_that_others_see() -> None:
    """C-07, A-57: they would read of its team, and see nothing of their own outage."""
    host = one(1, "breaker_open", team_id=None, probe_id=None, endpoints=frozenset())
    errors, others = one(2, "error_rate", told=True), one(3, "error_rate", team_id=2)
    every = [host, errors, others]

    assert [inhibitor(each, every) for each in every] == [None, None, host]
    # Of health's errors those who are told of one team are not told.
    health = one(6, "error_rate", team_id=None, probe_id=9, told=True)
    assert inhibitor(host, [health]) is None
    for kind, level in product(RuleKind.values, EVERY_LEVEL):
        of_team = one(4, kind, level=level, team_id=1, told=True)
        lesser = (one(5, each, team_id=None) for each in RuleKind.values)
        assert not any(inhibitor(each, [of_team]) for each in lesser)


def test_alarms_are_held_against_those_near_them_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a gateway with 500 teams each against each held up the tick for seconds."""
    teams, kinds = [None, *range(20)], RuleKind.values
    levels = {"team_state": "paused"}
    every = [
        one(pk, kind, gateway_id=gateway, team_id=team, level=levels.get(kind, ""))
        for pk, (gateway, team, kind) in enumerate(product((1, 2), teams, kinds))
        if (kind == "gateway_down") <= (team is None and gateway == 1)
    ]
    plain = {each.pk: greater for each in every if (greater := inhibitor(each, every))}
    asked, speaks = [], inhibition._speaks_for

    def counted(greater: Open, lesser: Open) -> bool:
        asked.append(lesser.pk)
        return speaks(greater, lesser)

    monkeypatch.setattr(inhibition, "_speaks_for", counted)

    assert inhibitors(every) == plain
    assert {each.gateway_id for each in plain.values()} == {1, 2}
    assert len(asked) < len(every) * 2 * len(kinds)


TOLD = list(product([True, False], repeat=2))


@pytest.mark.parametrize("told", TOLD)
def test_who_was_told_first_speaks_of_a_breaker_and_its_errors(
    told: tuple[bool, bool],
) -> None:
    """A-57, and no outage is told twice."""
    breaker = one(1, "breaker_open", told=told[0])
    errors = one(2, "error_rate", told=told[1])
    both = [breaker, errors]
    spoken = {inhibitor(errors, both), inhibitor(breaker, both)}

    assert spoken == {None, errors if told == (False, True) else breaker}


@pytest.mark.parametrize("told", TOLD)
def test_some_alarm_always_speaks(told: tuple[bool, bool]) -> None:
    """A-57: whatever is open together, every chain ends with one that is told."""
    levels = {"team_state": "suspended", "credits": "exhausted"}
    known = dict(zip(("breaker_open", "error_rate"), told, strict=True))
    every = [
        one(place, kind, level=levels.get(kind, ""), told=known.get(kind, False))
        for place, kind in enumerate(RuleKind.values)
    ]
    for left_out in [None, *every]:
        alarms = [alarm for alarm in every if alarm is not left_out]
        for alarm in alarms:
            chain = [alarm]
            while greater := inhibitor(chain[-1], alarms):
                assert greater not in chain
                chain.append(greater)


LATER, LONG_BEFORE = NOW + timedelta(seconds=1), NOW - GRACE - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("fires", "failed_after", "muted", "spoken"),
    [
        (True, NOW, False, True),
        (True, LATER, False, False),
        (True, LATER, True, False),
        (True, None, True, False),
        # It has not failed since: as it was.
        (False, None, True, True),
        (False, None, False, False),
    ],
)
@pytest.mark.parametrize("greater", ["gateway_down", "breaker_open", "auth_failed"])
def test_what_is_good_again_speaks_for_nothing_new(
    greater: str, failed_after: object, *, fires: bool, muted: bool, spoken: bool
) -> None:
    """A-57: it may stay open for half an hour of calm, and is not what fails now."""
    good = one(1, greater, over_since=NOW)
    errors = one(
        2,
        "error_rate",
        fires=fires,
        failed_after=failed_after,
        spoken_for_by=1 if muted else None,
    )

    assert (inhibitor(errors, [good]) is not None) == spoken


@pytest.mark.parametrize(
    ("fires", "failed_until", "muted", "spoken"),
    [
        (False, NOW, False, True),
        (False, NOW - timedelta(seconds=1), False, False),
        (False, LONG_BEFORE, True, True),
        # Its probes fail a moment before anybody is told of a suspension.
        (True, NOW - GRACE, False, True),
        (True, LONG_BEFORE, False, False),
        (True, None, False, True),
    ],
)
def test_nothing_speaks_for_what_was_over_before_it_began(
    failed_until: object, *, fires: bool, muted: bool, spoken: bool
) -> None:
    """A-57: old errors are no part of a suspension, however long their end takes."""
    suspended = one(1, "team_state", level="suspended", began_at=NOW)
    errors = one(
        2,
        "error_rate",
        fires=fires,
        failed_until=failed_until,
        spoken_for_by=1 if muted else None,
    )

    assert (inhibitor(errors, [suspended]) is not None) == spoken
