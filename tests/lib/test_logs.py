"""Log lines: one a record, and no longer than what they tell."""

import logging

from dashboard.lib.logs import LineFormatter


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
