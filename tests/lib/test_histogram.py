"""The histogram against sorted lists: within one per cent, however it was put together."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.lib import histogram

latencies = st.integers(histogram.LEAST_US, histogram.MOST_US)
shares = st.integers(0, 10_000).map(lambda part: part / 10_000)


def exact(values: list[int], q: float) -> int:
    rank = max(1, math.ceil(round(q * 10_000) * len(values) / 10_000))
    return sorted(values)[rank - 1]


@given(st.lists(latencies, min_size=1, max_size=300), shares)
def test_a_quantile_is_within_one_per_cent_of_nearest_rank(
    values: list[int], q: float
) -> None:
    found = histogram.quantile(histogram.of(values), q)

    assert found is not None
    true = exact(values, q)
    assert abs(found - true) <= histogram.ALPHA * true * (1 + 1e-9)


@given(st.lists(st.lists(latencies, max_size=40), max_size=12))
def test_any_split_merges_to_the_same_bytes(parts: list[list[int]]) -> None:
    whole = histogram.of([value for part in parts for value in part])

    assert histogram.merge(histogram.of(part) for part in parts) == whole
    assert histogram.merge(histogram.of(part) for part in reversed(parts)) == whole
    assert histogram.count(whole) == sum(map(len, parts))


@pytest.mark.parametrize(
    "value", [100, 101, 102, 103, 50_000, 299_999_999, 300_000_000]
)
def test_one_value_stands_within_one_per_cent_at_the_ends_too(value: int) -> None:
    found = histogram.quantile(histogram.of([value]), 0.5)

    assert found == pytest.approx(value, rel=histogram.ALPHA)


@pytest.mark.parametrize(
    ("value", "bound"), [(0, 100), (7, 100), (10**10, 300_000_000)]
)
def test_a_value_outside_counts_at_the_edge(value: int, bound: int) -> None:
    found = histogram.quantile(histogram.of([value]), 0.5)

    assert found == pytest.approx(bound, rel=2 * histogram.ALPHA)


@pytest.mark.parametrize(
    ("n", "q", "rank"),
    [(20, 0.95, 19), (40, 0.95, 38), (100, 0.95, 95), (100, 0.99, 99), (1, 0.99, 1)],
)
def test_the_rank_has_no_rounding_error(n: int, q: float, rank: int) -> None:
    values = [1000] * (rank - 1) + [5000] + [300_000_000] * (n - rank)

    found = histogram.quantile(histogram.of(values), q)

    assert found == pytest.approx(5000, rel=histogram.ALPHA)


def test_nothing_has_no_quantile_and_no_bytes() -> None:
    assert histogram.of([]) == b""
    assert histogram.merge([b"", b""]) == b""
    assert histogram.count(b"") == 0
    assert histogram.quantile(b"", 0.95) is None


def test_a_lane_never_carries_into_the_next() -> None:
    full = struct.pack("<BHI", 1, 10, 2**32 - 1) + struct.pack("<I", 2**32 - 1)

    assert histogram.count(histogram.merge([full, b""])) == 2**32 - 1
    with pytest.raises(OverflowError, match="do not fit"):
        histogram.merge([full, histogram.of([50_000])])


def test_bytes_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        histogram.quantile(b"\x09" + histogram.of([1000])[1:], 0.5)
