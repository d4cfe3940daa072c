"""What the guide's sample code gets wrong, and the rest of its promises, one by one."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from apiclient import (
    TABLE,
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    Client,
    ErrorClass,
    Hooks,
    InsufficientCreditsError,
    Operation,
    RateLimitError,
    RedirectError,
    ServerError,
    TeamPausedError,
    operations,
)
from apiclient.breaker import Admit, BreakerPolicy, BreakerRow, admit
from apiclient.options import Options
from tests.apiclient.fakes import JOB, KEY, AsyncRig, Rig, SyncRig, detail, fails, says
from tests.apiclient.rogue import OK, request_of, rogue
from tests.apiclient.test_breaker import opened

E = ErrorClass
APICLIENT = Path(__file__).parents[2] / "apiclient"
BALANCE: Operation[object] = operations.balance("acme")
CREATE: Operation[object] = operations.create_job("acme", "chat")
CHAT = [{"role": "user", "content": "Hi"}]
GOOD = says(200, {"team_id": "acme", "credits_remaining": 5, "status": "active"})
Make = Callable[..., Rig]


@pytest.fixture(params=[SyncRig, AsyncRig], ids=["sync", "async"])
def rig(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def test_every_request_says_who_it_is_and_what_it_takes(rig: Make) -> None:
    """S-02, B-42: bearer key, JSON both ways, an agent's name, no compression."""
    made = rig([says(200, {"job_id": JOB, "status": "PENDING"})])
    made.report(CREATE)
    headers = made.gateway.requests[0].headers

    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert re.fullmatch(r"gatewatch-apiclient/[\d.]+", headers["user-agent"])


def test_cookies_are_not_kept(rig: Make) -> None:
    """B-41."""
    baked = says(200, {"status": "healthy"}, headers={"Set-Cookie": "a=b"})
    made = rig([baked, baked])
    made.report(operations.health())
    made.report(operations.health())

    assert "cookie" not in made.gateway.requests[1].headers


def test_nobody_can_set_headers() -> None:
    """B-84: there is no option for them, so none can replace the key's or the host's."""
    assert not [name for name in Options.__annotations__ if "header" in name]


@pytest.mark.hostile
def test_two_clients_share_no_connection() -> None:
    """B-34: one team's surplus bytes must not become another team's answer."""

    def script(connection: object) -> None:
        while True:
            request_of(connection)  # type: ignore[arg-type]
            connection.sendall(OK)  # type: ignore[attr-defined]

    with (
        rogue(script) as server,
        Client(base_url=server.url) as first,
        Client(base_url=server.url) as second,
    ):
        for client in (first, second, first, second):
            client.health()

    assert server.connections == 2


def test_a_connection_error_waits_as_the_guide_says(rig: Make) -> None:
    """S-62, X-02: 1, 2, 4 s."""
    made = rig([fails(httpx.ConnectError)] * 4)
    made.report(BALANCE)

    assert made.time.waits == [1.0, 2.0, 4.0]


def test_a_host_that_is_down_opens_the_breaker(rig: Make) -> None:
    """X-20, S-145: the sample's breaker never learns of it; ours is on by default."""
    made = rig([fails(httpx.ConnectError)] * 20)
    made.report(BALANCE)
    made.report(BALANCE)

    assert made.report(BALANCE).error is E.BREAKER_HELD


def test_a_timeout_hints_at_streaming_and_does_not_stream(rig: Make) -> None:
    """S-65: automatically it would call the model twice."""
    made = rig([fails(httpx.ReadTimeout)] * 4)
    call: Operation[object] = operations.llm_call(JOB, model="m", messages=CHAT)

    assert made.report(call).error is E.TIMEOUT
    assert {each.url.path for each in made.gateway.requests} == {
        f"/api/jobs/{JOB}/llm-call"
    }
    assert "stream" in TABLE[E.TIMEOUT].advice


@pytest.mark.parametrize(
    ("scene", "kind"),
    [
        (detail(401, "no"), E.AUTH_FAILED),
        (detail(403, "Insufficient credits. Team has 0"), E.CREDITS_EXHAUSTED),
        (detail(500, "x"), E.SERVER_ERROR),
    ],
)
def test_whoever_must_be_told_can_be(
    rig: Make, scene: Callable[[], httpx.Response], kind: ErrorClass
) -> None:
    """S-68: administrator, user and operators, by one hook."""
    heard: list[object] = []
    hooks = Hooks(on_result=lambda report: heard.append(report.error))
    rig([scene] * 4, hooks=hooks).report(BALANCE)

    assert heard == [kind]


OPERATIONS: list[Operation[object]] = [
    operations.health(),
    operations.get_team("acme"),
    operations.list_teams(),
    BALANCE,
    operations.credit_check("acme"),
    CREATE,
    operations.get_job(JOB),
    operations.complete_job(JOB, "failed"),
    operations.llm_call(JOB, model="m", messages=CHAT),
    operations.llm_call_stream(JOB, model="m", messages=CHAT),
    operations.create_and_call("acme", "chat", model="m", messages=CHAT),
    operations.create_and_call_stream("acme", "chat", model="m", messages=CHAT),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_no_request_goes_out_without_its_timeouts(operation: Operation[object]) -> None:
    """S-140: connect, read, write and pool, all bounded."""
    made = SyncRig([detail(404, "x")])
    made.report(operation)
    timeouts = made.gateway.requests[0].extensions["timeout"]

    assert set(timeouts) == {"connect", "read", "write", "pool"}
    assert all(0 < seconds <= 120 for seconds in timeouts.values())


def test_specific_errors_are_told_apart_before_the_base() -> None:
    """S-141: none of the guide's five hides another."""
    five = [
        AuthenticationError,
        InsufficientCreditsError,
        RateLimitError,
        ServerError,
        APIConnectionError,
    ]

    for one in five:
        assert issubclass(one, APIError)
        assert not [two for two in five if two is not one and issubclass(one, two)]
    assert issubclass(APITimeoutError, APIConnectionError)


def test_nothing_is_caught_blindly() -> None:
    """S-142: but for other people's hooks and key providers, which are logged."""
    for path in APICLIENT.glob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*except( BaseException)?:\s*pass", text, re.MULTILINE)
        for found in re.finditer(r"except Exception:.*\n\s*(.*)", text):
            assert found[1].startswith("logger.exception"), path.name


def test_an_error_is_logged_with_its_context(
    rig: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """S-143, X-35: also when its body is no JSON."""
    with caplog.at_level(logging.WARNING, "apiclient"):
        rig([says(404, text="<html>gone</html>")]).report(BALANCE)

    [record] = caplog.records
    fields = vars(record)
    assert fields["status_code"] == 404
    assert fields["team_id"] == "acme"
    assert fields["attempt"] == 1
    assert fields["detail"].startswith("HTML error page")


def test_nothing_is_printed(rig: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """X-46."""
    rig([detail(500, "x")] * 4).report(BALANCE)

    assert capsys.readouterr().out == ""


def test_a_post_that_is_redirected_is_not_turned_into_a_get(rig: Make) -> None:
    """X-16, B-40: and the key goes nowhere else."""
    made = rig([says(302, headers={"Location": "https://evil.example/"})])

    with pytest.raises(RedirectError):
        made.run(CREATE)
    assert made.gateway.paths == ["POST /api/jobs/create"]


def test_a_page_with_status_200_is_an_error_in_the_figures(rig: Make) -> None:
    """X-33, S-132."""
    made = rig([says(200, text="<html>Welcome</html>")])
    made.report(BALANCE)

    assert made.client.get_stats()["total_errors"] == 1


def test_a_wall_clock_that_jumps_changes_no_duration(rig: Make) -> None:
    """X-34, B-72, B-73: a latency is never negative, nor an hour."""
    made = rig([GOOD])
    begun = made.time.now()
    made.time.now = lambda: begun.replace(year=2031)  # type: ignore[method-assign]

    report = made.report(BALANCE)

    assert report.elapsed_s == report.latency_s == 0.25


def test_a_wall_clock_that_jumps_holds_no_breaker_for_ever() -> None:
    """X-24, B-49: a stored deadline further away than the maximum is cut to it."""
    policy = BreakerPolicy()
    row: BreakerRow = opened()
    a_year_back = row.open_until - 365 * 86400

    held_s = admit(row, a_year_back, policy, Admit.NORMAL).held_s

    assert held_s is not None
    assert held_s <= policy.longest_s


def test_429_is_retried_always_within_the_caps(rig: Make) -> None:
    """X-45, S-35."""
    made = rig([detail(429, "Rate limit exceeded")] * 4)

    with pytest.raises(RateLimitError):
        made.run(BALANCE)
    assert len(made.gateway.requests) == 4


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "Team access is paused. Please contact support."), (429, "Team paused")],
)
def test_a_paused_team_is_one_thing_however_it_is_said(
    rig: Make, status: int, text: str
) -> None:
    """X-47, S-35: and is not retried."""
    made = rig([detail(status, text)])

    with pytest.raises(TeamPausedError):
        made.run(BALANCE)
    assert len(made.gateway.requests) == 1


@pytest.mark.parametrize("word", ["pending", "PENDING", "Pending"])
def test_a_jobs_state_is_read_in_any_case(rig: Make, word: str) -> None:
    """X-47."""
    report = rig([says(200, {"job_id": JOB, "status": word})]).report(CREATE)

    assert report.value.status == "pending"  # type: ignore[attr-defined]
