"""The same tape of answers through both clients: each test runs sync and async.

`test_both_give_the_same_report` compares them field by field; the others say what the
reports must hold.
"""

from collections.abc import Callable

import httpx
import pytest

from apiclient import (
    AmbiguousOutcomeError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    CompletedJob,
    ConflictError,
    ErrorClass,
    InsufficientCreditsError,
    Operation,
    RateLimitError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    TeamSuspendedError,
    operations,
)
from tests.apiclient.calls import (
    BALANCE,
    CALL,
    COMPLETE,
    CREATE,
    HEALTH,
    HEALTHY,
    JOB_BODY,
    SINGLE,
)
from tests.apiclient.fakes import (
    JOB,
    AsyncRig,
    RigOf,
    Scene,
    Scenes,
    SyncRig,
    classes,
    detail,
    fails,
    says,
)

E = ErrorClass

TAPES: list[tuple[str, Operation[object], Scenes]] = [
    ("success", HEALTH, [HEALTHY]),
    ("S-36 recovers", HEALTH, [detail(500, "x"), says(500, text="Internal"), HEALTHY]),
    ("S-36 does not", HEALTH, [detail(500, "Internal server error")] * 4),
    ("S-37 HTML page", HEALTH, [says(503, text="<html>down</html>")] * 4),
    ("S-35", BALANCE, [detail(429, "Rate limit exceeded", retry_after="3"), HEALTHY]),
    ("S-11", BALANCE, [detail(401, "Invalid or missing API key")]),
    ("S-30", BALANCE, [detail(404, "Job not found")]),
    ("S-40", CREATE, [detail(422, [{"loc": ["body", "x"], "msg": "m", "type": "t"}])]),
    ("S-53", CREATE, [says(200, text="<html>hello</html>")]),
    ("S-53 empty", CREATE, [says(204)]),
    ("B-40", CREATE, [says(307, headers={"location": "https://elsewhere.example"})]),
    ("B-31 timeout", CALL, [fails(httpx.ReadTimeout)] * 4),
    ("B-31 reset", CREATE, [fails(httpx.ReadError), says(200, JOB_BODY)]),
    ("B-31 refused", HEALTH, [fails(httpx.ConnectError)] * 4),
    ("B-31 pool", HEALTH, [fails(httpx.PoolTimeout)] * 4),
    ("B-31 bad HTTP", HEALTH, [fails(httpx.RemoteProtocolError)] * 4),
    ("B-32", HEALTH, [fails(httpx.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED]")]),
    ("B-10 charged", SINGLE, [fails(httpx.ReadTimeout)]),
    ("B-05", HEALTH, [detail(500, "x", x_should_retry="false")]),
    (
        "B-51 gzip",
        HEALTH,
        [says(200, body=b"junk", headers={"content-encoding": "gzip"})],
    ),
]


@pytest.mark.parametrize(
    ("operation", "tape"), [row[1:] for row in TAPES], ids=[row[0] for row in TAPES]
)
def test_both_give_the_same_report(operation: Operation[object], tape: Scenes) -> None:
    """B-75: one policy, two drivers."""
    sync, both = SyncRig(tape), AsyncRig(tape)

    assert sync.report(operation) == both.report(operation)
    assert sync.time.waits == both.time.waits
    assert sync.client.get_stats() == both.client.get_stats()


def test_a_good_call_is_one_attempt(rig_of: RigOf) -> None:
    rig = rig_of([HEALTHY])
    report = rig.report(HEALTH)

    assert report.ok
    assert report.status_code == 200
    assert len(report.attempts) == 1
    assert report.latency_s == pytest.approx(0.25)
    assert report.endpoint == "/health"
    assert report.host == "gw.example"


def test_three_retries_are_four_attempts(rig_of: RigOf) -> None:
    """S-70, S-71, X-01: waits 1, 2, 4."""
    rig = rig_of([detail(500, "Internal server error")] * 4)
    report = rig.report(HEALTH)

    assert report.error is E.SERVER_ERROR
    assert len(report.attempts) == 4
    assert rig.time.waits == [1.0, 2.0, 4.0]
    assert [each.wait_s for each in report.attempts] == [0, 1, 2, 4]
    assert report.elapsed_s == pytest.approx(8.0)


def test_no_retries_still_sends_once(rig_of: RigOf) -> None:
    """X-01: max_retries=0 sends nothing in the guide's sample."""
    rig = rig_of([detail(500, "x")])
    assert len(rig.report(HEALTH, max_retries=0).attempts) == 1


def test_a_503_waits_twice_as_long(rig_of: RigOf) -> None:
    """S-37."""
    rig = rig_of([detail(503, "Service temporarily unavailable")] * 4)
    with pytest.raises(ServiceUnavailableError, match="after 4 attempts"):
        rig.run(HEALTH)

    assert rig.time.waits == [2.0, 4.0, 8.0]


def test_retry_after_is_kept_to_and_a_longer_one_ends_the_call(rig_of: RigOf) -> None:
    """B-01, B-04."""
    rig = rig_of([detail(429, "x", retry_after="7"), HEALTHY])
    assert rig.report(HEALTH).ok
    assert rig.time.waits == [7.35]

    patient = rig_of([detail(429, "x", retry_after="121")])
    with pytest.raises(RateLimitError) as caught:
        patient.run(HEALTH)
    assert caught.value.retry_after == 121
    assert patient.time.waits == []


def test_the_deadline_is_never_slept_past(rig_of: RigOf) -> None:
    """B-11: the last error comes at once, before the sleep."""
    rig = rig_of([detail(500, "x")] * 4)
    report = rig.report(HEALTH, deadline_s=3.0)

    assert len(report.attempts) == 2
    assert rig.time.waits == [1.0]
    assert report.elapsed_s <= 3.0


def test_timeouts_grow_and_keep_to_the_deadline(rig_of: RigOf) -> None:
    """S-64: 10, 15, 20, 20 s; S-85 to S-89 for the first."""
    rig = rig_of([fails(httpx.ReadTimeout)] * 4)
    rig.report(CREATE)
    sent = [each.extensions["timeout"]["read"] for each in rig.gateway.requests]
    assert sent == [10, 15, 20, 20]

    brief = rig_of([fails(httpx.ReadTimeout)] * 4)
    brief.report(CREATE, deadline_s=4.0)
    left = [each.extensions["timeout"]["read"] for each in brief.gateway.requests]
    assert left == pytest.approx([4.0, 2.75, 0.5])


@pytest.mark.parametrize(
    ("operation", "status", "attempts"),
    [(HEALTH, 501, 2), (SINGLE, 502, 2), (CREATE, 422, 1)],
)
def test_the_servers_own_word_counts(
    rig_of: RigOf, operation: Operation[object], status: int, attempts: int
) -> None:
    """B-05: what would not be repeated is when the server asks; a refusal never."""
    rig = rig_of([detail(status, "x", x_should_retry="true"), detail(400, "y")])

    assert len(rig.report(operation).attempts) == attempts


def test_a_refusal_is_not_repeated(rig_of: RigOf) -> None:
    """S-80."""
    for status in (400, 401, 403, 404, 409, 422):
        rig = rig_of([detail(status, "no")] * 2)
        get_team: Operation[object] = operations.get_team("acme")
        assert len(rig.report(get_team).attempts) == 1


def test_the_same_bytes_are_sent_each_time(rig_of: RigOf) -> None:
    """B-20, B-21, S-120."""
    rig = rig_of([detail(500, "x"), says(200, JOB_BODY)])
    report = rig.report(CREATE)
    first, second = rig.gateway.requests

    assert first.content == second.content == b'{"team_id":"acme","job_type":"chat"}'
    assert first.headers["x-request-id"] == report.request_id
    assert second.headers["x-request-id"] == report.request_id
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["authorization"].startswith("Bearer sk-")


def test_health_does_not_carry_the_key(rig_of: RigOf) -> None:
    rig = rig_of([HEALTHY])
    rig.report(HEALTH)
    assert "authorization" not in rig.gateway.requests[0].headers


def test_without_a_key_nothing_is_sent_that_needs_one(rig_of: RigOf) -> None:
    """C-26."""
    rig = rig_of([], virtual_key=None)
    report = rig.report(BALANCE)

    assert report.error is E.CONFIG
    assert report.attempts == ()
    assert rig.gateway.requests == []


# ---- the charged operations


def test_create_and_call_is_not_repeated_when_it_may_have_run(rig_of: RigOf) -> None:
    """B-10, X-14."""
    for scene in (fails(httpx.ReadTimeout), fails(httpx.ReadError), detail(504, "x")):
        rig = rig_of([scene])
        with pytest.raises(AmbiguousOutcomeError) as caught:
            rig.run(SINGLE)
        assert caught.value.report.ambiguous


def test_create_and_call_is_repeated_when_it_certainly_did_not(rig_of: RigOf) -> None:
    done = {"job_id": JOB, "status": "COMPLETED", "response": {"content": "hi"}}
    rig = rig_of([fails(httpx.ConnectError), detail(500, "x"), says(200, done)])
    report = rig.report(SINGLE)

    assert report.ok
    assert not report.ambiguous


def job(status: str) -> Callable[[], Scene]:
    return says(200, {"job_id": JOB, "status": status})


def test_a_lost_completion_that_was_applied_is_found_by_looking(rig_of: RigOf) -> None:
    """B-22: never a third send, which would charge again (X-14)."""
    rig = rig_of([fails(httpx.ReadTimeout), job("COMPLETED")])
    done = rig.run(COMPLETE)

    assert isinstance(done, CompletedJob)
    assert done.costs is None
    assert rig.gateway.paths == [
        f"POST /api/jobs/{JOB}/complete",
        f"GET /api/jobs/{JOB}",
    ]


def test_a_completion_that_was_not_applied_is_sent_again(rig_of: RigOf) -> None:
    rig = rig_of([detail(500, "x"), job("IN_PROGRESS"), job("COMPLETED")])
    report = rig.report(COMPLETE)

    assert report.ok
    assert classes(report) == [E.SERVER_ERROR, None]


def test_a_job_that_ended_otherwise_is_never_flipped(rig_of: RigOf) -> None:
    """B-22."""
    rig = rig_of([fails(httpx.ReadError), job("FAILED")])
    with pytest.raises(ConflictError, match="already failed"):
        rig.run(COMPLETE)


def test_a_look_that_fails_leaves_the_first_error(rig_of: RigOf) -> None:
    rig = rig_of([fails(httpx.ReadTimeout), detail(500, "x")])
    with pytest.raises(APITimeoutError) as caught:
        rig.run(COMPLETE)
    assert caught.value.report.ambiguous


def test_a_refused_completion_needs_no_look(rig_of: RigOf) -> None:
    rig = rig_of([detail(503, "x"), job("COMPLETED")])
    assert rig.report(COMPLETE).ok
    assert len(rig.gateway.requests) == 2


# ---- 403 that does not say why


@pytest.mark.parametrize(
    ("team", "error"),
    [
        ({"status": "suspended", "credits_remaining": 5}, E.TEAM_SUSPENDED),
        ({"credits": {"status": "paused", "credits_remaining": 5}}, E.TEAM_PAUSED),
        ({"status": "active", "credits_remaining": 0}, E.CREDITS_EXHAUSTED),
        ({"status": "active", "credits_remaining": -4}, E.CREDITS_EXHAUSTED),
        ({"status": "active", "credits_remaining": 5}, E.MODEL_DENIED),
        ({"status": "active", "credits_remaining": None}, E.FORBIDDEN),
    ],
)
def test_the_team_is_asked_why(
    rig_of: RigOf, team: dict[str, object], error: ErrorClass
) -> None:
    """S-25, S-27: the guide's "Team suspended or insufficient credits"."""
    rig = rig_of(
        [detail(403, "Team suspended or insufficient credits"), says(200, team)]
    )
    report = rig.report(CALL)

    assert report.error is error
    assert len(report.attempts) == 1
    assert rig.gateway.paths[1] == "GET /api/teams/acme"


@pytest.mark.parametrize(
    "look", [detail(500, "x"), says(200, text="junk"), fails(httpx.ReadTimeout)]
)
def test_a_failed_look_never_masks_the_403(
    rig_of: RigOf, look: Callable[[], Scene]
) -> None:
    """S-27, X-13: one GET, no retry, not counted."""
    rig = rig_of([detail(403, "Access denied"), look])
    report = rig.report(CALL)

    assert report.error is E.FORBIDDEN
    assert report.status_code == 403
    assert len(rig.gateway.requests) == 2
    assert rig.client.get_stats()["total_requests"] == 1


def test_the_team_is_asked_once_in_thirty_seconds() -> None:
    """S-27: the answer is kept."""
    refused = detail(403, "Access denied")
    suspended = says(200, {"status": "suspended"})
    rig = SyncRig([refused, suspended, refused, refused, suspended])
    assert rig.report(CALL).error is E.TEAM_SUSPENDED
    assert rig.report(CALL).error is E.TEAM_SUSPENDED
    assert len(rig.gateway.requests) == 3

    rig.time.elapsed_s += 31
    rig.report(CALL)
    assert len(rig.gateway.requests) == 5


def test_a_look_that_failed_is_taken_again(rig_of: RigOf) -> None:
    """S-27: the next 403 may well be explained."""
    refused = detail(403, "Access denied")
    suspended = says(200, {"status": "suspended"})
    rig = rig_of([refused, detail(500, "x"), refused, suspended])

    assert rig.report(CALL).error is E.FORBIDDEN
    assert rig.report(CALL).error is E.TEAM_SUSPENDED


def test_a_text_that_says_why_needs_no_look(rig_of: RigOf) -> None:
    """S-26."""
    rig = rig_of([detail(403, "Team access is suspended. Please contact support.")])
    with pytest.raises(TeamSuspendedError):
        rig.run(BALANCE)


def test_the_guides_exceptions_come_out(rig_of: RigOf) -> None:
    """S-05, X-08."""
    for scene, kind in (
        (detail(401, "Invalid API key"), AuthenticationError),
        (detail(403, "Insufficient credits. Team has 0"), InsufficientCreditsError),
        (detail(429, "Rate limit exceeded"), RateLimitError),
        (detail(500, "x"), ServerError),
        (fails(httpx.ConnectError), APIConnectionError),
    ):
        rig = rig_of([scene] * 4)
        with pytest.raises(kind):
            rig.run(BALANCE)


def test_a_policy_and_timeouts_can_be_given(rig_of: RigOf) -> None:
    rig = rig_of(
        [fails(httpx.ReadTimeout)] * 2,
        retry=RetryPolicy(max_retries=1, base_s=0.5),
        timeouts_s={"create_job": 3.0},
    )
    report = rig.report(CREATE)

    assert len(report.attempts) == 2
    assert rig.time.waits == [0.5]
    assert rig.gateway.requests[0].extensions["timeout"]["read"] == 3.0


@pytest.mark.parametrize("base", ["https://gw.example", "https://gw.example/api/"])
def test_both_forms_of_the_base_url_reach_the_same_routes(
    rig_of: RigOf, base: str
) -> None:
    """S-01."""
    rig = rig_of([HEALTHY, says(200, JOB_BODY)], base_url=base)
    rig.report(HEALTH)
    rig.report(CREATE)

    assert [str(each.url) for each in rig.gateway.requests] == [
        "https://gw.example/health",
        "https://gw.example/api/jobs/create",
    ]


def test_ids_are_quoted(rig_of: RigOf) -> None:
    """B-83: nothing in an id can reach another route."""
    rig = rig_of([detail(404, "x")])
    team: Operation[object] = operations.get_team("../x/ü?a=1#b")
    rig.report(team)

    assert rig.gateway.requests[0].url.raw_path == (
        b"/api/teams/..%2Fx%2F%C3%BC%3Fa%3D1%23b"
    )


def test_a_deadline_of_nothing_is_refused(rig_of: RigOf) -> None:
    with pytest.raises(ValueError, match="deadline_s=0"):
        rig_of([]).report(HEALTH, deadline_s=0)
