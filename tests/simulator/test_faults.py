"""Faults as a client meets them, and the switches."""

import socket
import threading
import time

import httpx
import pytest

from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team
from tests.simulator.conftest import OWN

BALANCE = "/api/credits/teams/acme/balance"


def raw(gateway: RunningGateway, request: bytes, timeout_s: float = 2.0) -> bytes:
    """Send bytes and return all that comes until the connection ends."""
    address = ("127.0.0.1", gateway.port)
    with socket.create_connection(address, timeout=timeout_s) as sock:
        sock.sendall(request)
        found = b""
        while part := sock.recv(4096):
            found += part
    return found


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (FaultKind.RATE_LIMITED, 429, '{"detail":"Rate limit exceeded"}'),
        (FaultKind.FORBIDDEN, 403, "Team suspended or insufficient credits"),
        (FaultKind.ERROR_JSON, 500, '{"detail":"Internal server error"}'),
        (FaultKind.ERROR_TEXT, 500, "Internal Server Error"),
        (FaultKind.UNAVAILABLE_JSON, 503, "Service temporarily unavailable"),
        (FaultKind.UNAVAILABLE_HTML, 503, "<html>"),
        (FaultKind.WRONG_SHAPE, 200, "["),
        (FaultKind.TEAM_SUSPENDED, 403, "Team access is suspended."),
        (FaultKind.TEAM_PAUSED, 403, "Team access is paused."),
    ],
)
def test_a_fault_answers_and_ends_when_cleared(
    gateway: RunningGateway, http: httpx.Client, kind: FaultKind, status: int, body: str
) -> None:
    gateway.set_fault(Fault(kind, team="acme"))
    answer = http.get(BALANCE, headers=OWN)
    assert answer.status_code == status
    assert body in answer.text

    gateway.clear_faults()
    assert http.get(BALANCE, headers=OWN).status_code == 200


def test_a_rate_limit_says_when_to_come_back(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.RATE_LIMITED, retry_after_s=7))

    assert http.get("/health").headers["retry-after"] == "7"


def test_malformed_json_comes_in_a_200(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.MALFORMED_JSON))

    answer = http.get("/health")

    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        answer.json()


def test_a_credit_check_says_no_though_there_are_credits(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.ERROR_IN_200))

    answer = http.post("/api/credits/teams/acme/check", headers=OWN)

    assert answer.status_code == 200
    assert answer.json()["has_credits"] is False


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.RESET, httpx.ReadError),
        (FaultKind.RESET_IN_BODY, httpx.ReadError),
        (FaultKind.TRUNCATED, httpx.RemoteProtocolError),
        (FaultKind.REFUSE, httpx.ConnectError),
        (FaultKind.HANG, httpx.ReadTimeout),
    ],
)
def test_a_connection_breaks_and_the_next_is_well(
    gateway: RunningGateway, kind: FaultKind, error: type[Exception]
) -> None:
    gateway.set_fault(Fault(kind))
    with pytest.raises(error):
        httpx.get(f"{gateway.base_url}/health", timeout=0.2, trust_env=False)

    gateway.clear_faults()
    answer = httpx.get(f"{gateway.base_url}/health", timeout=2, trust_env=False)
    assert answer.status_code == 200


def test_a_reset_comes_before_any_byte(gateway: RunningGateway) -> None:
    gateway.set_fault(Fault(FaultKind.RESET))

    with pytest.raises(ConnectionResetError):
        raw(gateway, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")


def test_a_truncated_body_is_half_of_what_was_announced(
    gateway: RunningGateway,
) -> None:
    gateway.set_fault(Fault(FaultKind.TRUNCATED))

    found = raw(gateway, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")

    head, _, body = found.partition(b"\r\n\r\n")
    assert b"content-length: 45" in head.lower()
    assert len(body) == 22


def test_a_drip_feed_sends_byte_by_byte(gateway: RunningGateway) -> None:
    # The pause outlasts the test: what comes is the first byte, however slow we read.
    gateway.set_fault(Fault(FaultKind.DRIP_FEED, delay_s=60))
    address = ("127.0.0.1", gateway.port)

    with socket.create_connection(address, timeout=5) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        first = sock.recv(4096)
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(4096)

    assert first == b"H"


def test_a_drip_feed_sends_the_whole_answer(gateway: RunningGateway) -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    _, _, body = raw(gateway, ask).partition(b"\r\n\r\n")
    gateway.set_fault(Fault(FaultKind.DRIP_FEED, delay_s=0.001))

    assert raw(gateway, ask).endswith(b"\r\n\r\n" + body)


def test_bytes_that_are_no_http_get_a_400(gateway: RunningGateway) -> None:
    found = raw(gateway, b"nonsense\r\n\r\n")

    assert found.startswith(b"HTTP/1.1 400")
    assert found.endswith(b"Invalid HTTP request received.")


def test_a_text_500_ends_the_connection_unannounced(gateway: RunningGateway) -> None:
    gateway.set_fault(Fault(FaultKind.ERROR_TEXT))

    found = raw(gateway, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")

    assert found.endswith(b"Internal Server Error")
    assert b"connection: close" not in found.lower()


def test_slowness_is_waited_for(gateway: RunningGateway, http: httpx.Client) -> None:
    gateway.set_fault(Fault(FaultKind.SLOW, delay_s=0.1))

    began = time.perf_counter()
    http.get("/health")

    assert time.perf_counter() - began >= 0.1


def test_the_scope_is_a_route_and_a_team(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    route = "GET /api/teams/{team_id}"
    gateway.set_fault(Fault(FaultKind.ERROR_JSON, route=route, team="acme"))

    assert http.get("/api/teams/acme").status_code == 500
    assert http.get("/api/teams/initech").status_code == 200
    assert http.get(BALANCE, headers=OWN).status_code == 200


def test_a_fault_hits_so_many_times(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.ERROR_JSON, times=2))

    statuses = [http.get("/health").status_code for _ in range(4)]

    assert statuses == [500, 500, 200, 200]
    assert gateway.faults()[0].hits == 2


def test_the_same_seed_draws_the_same_faults() -> None:
    def statuses() -> list[int]:
        with (
            running_gateway(seed=5) as gateway,
            httpx.Client(base_url=gateway.base_url, trust_env=False) as http,
        ):
            gateway.set_fault(Fault(FaultKind.ERROR_JSON, probability=0.5))
            return [http.get("/health").status_code for _ in range(40)]

    first = statuses()

    assert first == statuses()
    assert 8 <= first.count(500) <= 32


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_fault_ends_by_itself_and_gives_the_status_back() -> None:
    clock = Clock()
    with running_gateway(monotonic=clock) as gateway:
        gateway.set_fault(Fault(FaultKind.TEAM_SUSPENDED, lasts_s=10))
        assert gateway.team("acme").status == "suspended"

        clock.now_s += 10
        assert gateway.team("acme").status == "active"
        assert gateway.faults() == []


def test_credits_drain_by_the_second_and_are_refilled() -> None:
    clock = Clock()
    with running_gateway([Team("acme", credits_remaining=30)], monotonic=clock) as gw:
        gw.set_fault(Fault(FaultKind.DRAIN, credits_per_s=0.5))
        clock.now_s += 21
        assert gw.team("acme").credits_remaining == 20

        clock.now_s += 1000
        assert gw.team("acme").credits_remaining == 0

        gw.clear_faults()
        gw.set_fault(Fault(FaultKind.REFILL, team="acme"))
        assert gw.team("acme").credits_remaining == 1000
        assert gw.faults() == []


def test_credits_drain_by_the_request(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.DRAIN, team="acme", credits=3))

    remaining = [
        http.get(BALANCE, headers=OWN).json()["credits_remaining"] for _ in range(3)
    ]

    assert remaining == [997, 994, 991]
    charged_at = gateway.team("acme").updated_at
    assert charged_at is not None
    month = charged_at.strftime("%Y-%m")
    told = http.get(f"/api/teams/acme/usage?period={month}", headers=OWN).json()
    assert told["summary"]["total_jobs"] == 4, "what is charged is a job's"


def test_requests_are_noted_without_keys(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    http.get(BALANCE, headers={**OWN, "X-Request-ID": "r1"})

    (seen,) = gateway.requests
    assert (seen.method, seen.path, seen.key_team) == ("GET", BALANCE, "acme")
    assert seen.headers["x-request-id"] == "r1"
    assert "sk-sim" not in repr(seen)


def test_a_connection_serves_several_requests(gateway: RunningGateway) -> None:
    with httpx.Client(base_url=gateway.base_url, trust_env=False) as http:
        http.get("/health")
        http.post("/api/jobs/create", json={})
        http.get("/health")
    httpx.get(f"{gateway.base_url}/health", trust_env=False)

    assert [one.connection for one in gateway.requests] == [1, 1, 1, 2]


def test_the_switches_work_over_http(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    fault = {"kind": "error_json", "name": "mine", "probability": 1.0}
    set_ = http.post("/_simulator/faults", json=fault)
    assert set_.json()[0]["name"] == "mine"
    assert http.get("/health").status_code == 500

    assert http.delete("/_simulator/faults/mine").json() == []
    assert http.get("/health").status_code == 200

    http.patch("/_simulator/teams/acme", json={"credits_remaining": 5})
    state = http.get("/_simulator/state").json()
    assert state["teams"][0]["credits_remaining"] == 5


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "nope"}, "kind='nope' is not one of: slow"),
        ({"kind": "slow", "colour": 1}, "Unknown: colour. Known: credits"),
        ({"kind": "slow", "probability": 2}, "is not within 0..1"),
        ({"kind": "slow", "route": 5}, "Expected `str`"),
        ({"kind": "refuse"}, "refuse needs lasts_s"),
        ([], "A fault is an object"),
    ],
)
def test_a_wrong_switch_is_explained(
    http: httpx.Client, fault: object, said: str
) -> None:
    answer = http.post("/_simulator/faults", json=fault)

    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_a_page_in_a_browser_cannot_switch(http: httpx.Client) -> None:
    answer = http.post("/_simulator/faults", content=b'{"kind":"slow"}')

    assert answer.status_code == 415


def test_nothing_is_left_after_a_stop() -> None:
    before = threading.active_count()
    with running_gateway() as gateway:
        gateway.set_fault(Fault(FaultKind.HANG))
        sock = socket.create_connection(("127.0.0.1", gateway.port))
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        port = gateway.port
    sock.close()

    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_gateway_that_refused_comes_back_on_its_port() -> None:
    with (
        running_gateway() as gateway,
        httpx.Client(base_url=gateway.base_url, trust_env=False) as http,
    ):
        http.post("/_simulator/faults", json={"kind": "refuse", "lasts_s": 0.3})
        deadline_s = time.monotonic() + 5
        seen: list[bool] = []
        while seen[-2:] != [False, True] and time.monotonic() < deadline_s:
            try:
                answered = http.get("/health").status_code == 200
            except httpx.TransportError:
                answered = False
            seen = [*seen, answered]

    assert seen[-2:] == [False, True]


def test_an_idle_connection_is_dropped() -> None:
    with running_gateway(keep_alive_s=0.05) as gateway:
        found = raw(gateway, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")

    assert found.count(b"HTTP/1.1 200") == 1


def test_a_client_that_leaves_a_stream_is_charged(gateway: RunningGateway) -> None:
    body = (
        b'{"team_id":"acme","job_type":"t","model":"chat-fast",'
        b'"messages":[{"role":"user","content":"x"}]}'
    )
    head = (
        b"POST /api/jobs/create-and-call-stream HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer sk-sim-acme\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", gateway.port), timeout=2) as sock:
        sock.sendall(head + body)
        sock.recv(10)

    assert gateway.team("acme").credits_remaining == 999
