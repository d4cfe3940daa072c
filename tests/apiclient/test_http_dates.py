from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiclient.http_dates import http_date, retry_after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_all_three_forms_are_the_same_moment(text: str) -> None:
    """B-01: also asctime, which elsewhere comes out naive."""
    assert http_date(text, NOW) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        (" 30 ", 30.0),
        ("007", 7.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sunday, 22-Nov-26 12:01:30 GMT", 90.0),
        ("Sun Nov 22 12:01:30 2026", 90.0),
    ],
)
def test_seconds_and_dates_are_understood(value: str, seconds: float) -> None:
    """B-01."""
    assert retry_after({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "0",
        "-1",
        "+1",
        "1.5",
        "inf",
        "nan",
        "1e400",
        "0x10",
        "\uff11\uff12",
        "²",
        "soon",
        "9" * 400,
        "1, 2",
        "Sun, 22 Nov 2026 11:59:59 GMT",
        "Sun, 22 Nov 100000 12:00:00 GMT",
        "Sun, 31 Feb 2027 12:00:00 GMT",
        "Sun, 22 Nov 2026 25:00:00 GMT",
        "Sun, 22 Nov 2026 12:01:30 PST",
    ],
)
def test_what_is_malformed_zero_or_past_is_as_good_as_absent(value: str) -> None:
    """B-03."""
    assert retry_after({"retry-after": value}, NOW) is None


def test_milliseconds_win() -> None:
    """B-02."""
    both = {"retry-after": "9", "retry-after-ms": "1500"}
    assert retry_after(both, NOW) == 1.5
    assert retry_after({"retry-after": "9", "retry-after-ms": "x"}, NOW) == 9.0


def test_a_date_is_measured_from_the_servers_own() -> None:
    """B-01: our clock may be wrong."""
    headers = {
        "date": "Sun, 22 Nov 2026 15:00:00 GMT",
        "retry-after": "Sun, 22 Nov 2026 15:00:20 GMT",
    }
    assert retry_after(headers, NOW) == 20.0


ODD_VALUES = st.text(max_size=30) | st.sampled_from(
    [
        *("1e400", "inf", "nan", "0x10", "-1", "+5", "1,2", "1_0", "9" * 400),
        *("\uff11\uff12", "\u0663"),
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Fri, 31 Dec 99999 23:59:59 GMT",
    ]
)


@given(ODD_VALUES, ODD_VALUES, ODD_VALUES)
def test_no_header_makes_it_raise_or_wait_backwards(
    after: str, after_ms: str, date: str
) -> None:
    """B-01, B-02, B-03: whatever a proxy writes there."""
    headers = {"retry-after": after, "retry-after-ms": after_ms, "date": date}

    seconds = retry_after(headers, NOW)

    assert seconds is None or 0 < seconds < float("inf")


@given(st.integers(1, 86400))
def test_whole_seconds_are_taken_at_their_word(seconds: int) -> None:
    """B-01."""
    assert retry_after({"retry-after": str(seconds)}, NOW) == seconds
