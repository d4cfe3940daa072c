"""Log lines: one a record, and no longer than what they tell."""

import logging

import pytest

from dashboard.lib.logs import LineFormatter, WithoutVisitorsTracebacks


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
