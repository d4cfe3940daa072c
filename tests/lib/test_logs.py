"""Log lines: one a record, and no longer than what they tell."""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.lib.logs import LineFormatter, OutagesBrief, WithoutVisitorsTracebacks


def line(event: str, **fields: object) -> str:
    record = logging.LogRecord("apiclient", logging.WARNING, "", 0, event, (), None)
    vars(record).update(fields)
    return LineFormatter().format(record).partition(" WARNING ")[2]


def test_a_failed_call_is_told_once_and_in_few_words() -> None:
    told = line(
        "call.failed",
        operation="get_team",
        method="GET",
        endpoint="/api/teams/{team_id}",
        url="https://gateway.example/api/teams/acme",
        server_request_id="",
        team_id="acme",
        error="rate_limited",
        error_type="RateLimitError",
        status_code=429,
        attempt=0,
        elapsed_ms=57.0,
        latency_ms=56.4,
        retry_after_s=None,
        ambiguous=False,
    )

    assert told == (
        'apiclient call.failed url="https://gateway.example/api/teams/acme" '
        'error="rate_limited" status_code=429 attempt=0 latency_ms=56.4 ambiguous=false'
    )


def test_a_team_that_the_address_does_not_name_is_told() -> None:
    told = line(
        "call.failed", url="https://gateway.example/api/jobs/create", team_id="acme"
    )

    assert told.endswith('/api/jobs/create" team_id="acme"')


def test_a_record_that_is_no_calls_keeps_its_fields() -> None:
    told = line("statement.read", team_id=7, method="once\ntwice")

    assert told == 'apiclient statement.read team_id=7 method="once\\ntwice"'


@pytest.mark.parametrize(
    "mark", ["\n", "\r", "\x1b[2J", "\x85", "\u2028", "\u202e", "\x0b", "\ud800", "\0"]
)
def test_what_a_library_logs_of_a_visitor_stays_one_plain_line(mark: str) -> None:
    """C-18."""
    told = line(f"locked out {mark}2026-03-02 INFO all is well")

    assert told.isprintable()
    assert told.startswith("apiclient locked out \\")


def test_of_a_traceback_no_line_can_be_taken_for_a_record() -> None:
    """C-18."""
    error = ValueError("\x1b[31m\r2026-03-02 INFO x\n2026-03-02 INFO y")
    raised = (ValueError, error, None)
    record = logging.LogRecord("q", logging.ERROR, "", 0, "broke", (), raised)
    first, *rest = LineFormatter().format(record).split("\n")

    assert first.endswith(" ERROR q broke")
    assert rest == [
        "  ValueError: \\x1b[31m\\r2026-03-02 INFO x",
        "  2026-03-02 INFO y",
    ]


@pytest.mark.parametrize(
    ("name", "lines"), [("django.security.DisallowedHost", 1), ("django.request", 2)]
)
def test_a_visitor_fills_no_log_with_tracebacks(name: str, lines: int) -> None:
    raised = (ValueError, ValueError("evil.example"), None)
    record = logging.LogRecord(name, logging.ERROR, "", 0, "refused", (), raised)
    assert WithoutVisitorsTracebacks().filter(record)

    assert len(LineFormatter().format(record).splitlines()) == lines


class OperationalError(Exception):
    """Named like those of Django and of the drivers."""


def record_at(
    seconds: float, message: str, *, error: bool = True, said: str = "gone"
) -> logging.LogRecord:
    raised = OperationalError(said) if error else None
    info = (type(raised), raised, None) if raised else None
    record = logging.LogRecord("tick", logging.ERROR, "", 1, message, (), info)
    record.created = seconds
    return record


def test_an_outage_of_the_database_is_one_traceback_and_a_line_a_minute() -> None:
    brief = OutagesBrief()
    written = [
        record
        for second in range(150)
        for record in (
            record_at(second, "tick.database_error"),
            record_at(second, "shift.database_away", error=False),
        )
        if brief.filter(record)
    ]

    assert [(each.created, each.msg) for each in written if each.created < 60] == [
        (0, "tick.database_error"),
        (0, "shift.database_away"),
    ]
    assert len(written) == 6
    assert [has_traceback(each) for each in written] == [True] + [False] * 5
    assert 'left_out=59 error="OperationalError"' in LineFormatter().format(written[2])
    assert written[2].exc_info, "another handler, as one that reports, still has it"

    again = record_at(300, "tick.database_error")
    assert brief.filter(again)
    assert has_traceback(again)


def has_traceback(record: logging.LogRecord) -> bool:
    return "\n" in LineFormatter().format(record)


def test_an_outage_hides_no_other_fault_of_the_database() -> None:
    brief = OutagesBrief()
    for second in range(0, 3600, 50):
        brief.filter(record_at(second, "tick.database_error", said="is locked"))

    other = record_at(3600, "tick.database_error", said="no such column")

    assert brief.filter(other)
    assert has_traceback(other)

    same = record_at(3601, "tick.database_error", said="is locked")
    assert brief.filter(same)
    assert not has_traceback(same)


def test_a_watcher_that_is_told_503_fills_no_log() -> None:
    brief = OutagesBrief()

    def told(path: str) -> bool:
        record = record_at(0, f"Service Unavailable: {path}", error=False)
        record.name, record.status_code = "django.request", 503
        return brief.filter(record)

    assert [told("/healthz") for _ in range(3)] == [True, False, False]
    assert not any(told(f"/{number}") for number in range(3)), "a scanner's, say"


def test_a_prober_that_stands_still_keeps_no_outage_alive() -> None:
    brief = OutagesBrief()
    brief.filter(record_at(0, "tick.database_error"))
    for second in range(0, 600, 10):
        asked = record_at(second, "Service Unavailable: /healthz", error=False)
        asked.name, asked.status_code = "django.request", 503
        brief.filter(asked)

    next_outage = record_at(600, "tick.database_error")

    assert brief.filter(next_outage)
    assert has_traceback(next_outage)


def test_what_an_outage_remembers_is_bounded() -> None:
    brief = OutagesBrief()

    for number in range(101):
        brief.filter(record_at(0, f"{number}.database_away", error=False))

    assert brief.filter(record_at(0, "0.database_away", error=False)), "the oldest"
    assert not brief.filter(record_at(0, "100.database_away", error=False))


def test_threads_that_tell_of_an_outage_at_once_are_not_disturbed() -> None:
    """A filter is asked without the handler's lock, and its error would be theirs."""
    brief = OutagesBrief()

    def tell(thread: int) -> int:
        records = (
            record_at(n / 1000, f"{thread}-{n}.database_away", error=False)
            for n in range(3000)
        )
        return sum(map(brief.filter, records))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            told = list(threads.map(tell, range(8)))
    finally:
        sys.setswitchinterval(interval)

    assert told == [3000] * 8


def test_what_is_no_outage_is_always_told() -> None:
    brief = OutagesBrief()
    record = logging.LogRecord("tick", logging.ERROR, "", 1, "rule_error", (), None)

    assert all(brief.filter(record) for _ in range(3))


def test_a_line_says_that_its_time_is_utc() -> None:
    record = record_at(1_772_452_800, "tick.began", error=False)
    record.msecs = 7

    assert LineFormatter().format(record).startswith("2026-03-02 12:00:00.007Z ERROR ")
