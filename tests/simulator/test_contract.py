"""What the stand-in promises of the measured contract, one row a statement."""

import httpx
import pytest

from dashboard.simulator.running import RunningGateway
from dashboard.simulator.world import TeamShape, example_key
from tests.simulator.conftest import ADMIN, ASK, OWN

EXPECTED = "Expected: 'Authorization: Bearer sk-xxx...'"
MISSING = f"Missing Authorization header. {EXPECTED}"
BAD_FORM = f"Invalid Authorization header format. {EXPECTED}"
SUSPENDED = "Team access is suspended. Please contact support."
GLOBEX = {"Authorization": f"Bearer {example_key('globex')}"}
BALANCE = "/api/credits/teams/acme/balance"
CREATE = "/api/jobs/create"
NO_JOB = "7f2c8c1e-52cb-4a34-8f6a-0d3c9f1b6a55"


@pytest.mark.parametrize(
    ("header", "status", "detail"),
    [
        (None, 401, MISSING),
        ("", 401, MISSING),
        ("Basic abc", 401, BAD_FORM),
        ("sk-sim-acme", 401, BAD_FORM),
        ("Bearer sk sim", 401, BAD_FORM),
        ("Bearer sk-unknown", 401, "Invalid API key"),
        (GLOBEX["Authorization"], 403, SUSPENDED),
    ],
)
def test_a_key_is_refused_with_the_measured_text(
    http: httpx.Client, header: str | None, status: int, detail: str
) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = http.get(BALANCE, headers=headers)

    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert "www-authenticate" not in answer.headers


def test_the_scheme_may_be_in_any_case(http: httpx.Client) -> None:
    headers = {"Authorization": f"bEARER {example_key('acme')}"}

    assert http.get(BALANCE, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/jobs/create", b"{", {}, 404),
        ("PUT", "/api/jobs/create", b"{", {}, 405),
        ("POST", CREATE, b"{", {}, 422),
        ("POST", CREATE, b"{}", {}, 401),
        ("POST", CREATE, b"{}", GLOBEX, 403),
        ("POST", CREATE, b"{}", OWN, 422),
        ("POST", f"/api/jobs/{NO_JOB}/complete", b"{}", OWN, 422),
        (
            "POST",
            f"/api/jobs/{NO_JOB}/complete",
            b'{"status":"failed"}',
            OWN,
            404,
        ),
        ("POST", CREATE, b'{"team_id":"globex","job_type":"t"}', OWN, 403),
        ("HEAD", "/health", b"", {}, 405),
        ("GET", "/api/health", b"", {}, 404),
        ("PUT", "/api/teams/acme/pause", b"", {}, 404),
        ("POST", "/api/teams/acme/suspend", b"", {}, 405),
        ("GET", "/api/credits/teams/acme/check", b"", OWN, 405),
        ("POST", "/api/credits/teams/acme/add", b'{"credits":1}', OWN, 401),
        ("GET", BALANCE, b"", ADMIN, 401),
    ],
)
def test_checks_run_in_the_measured_order(
    *,
    http: httpx.Client,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    typed = {"Content-Type": "application/json", **headers}

    assert http.request(method, path, content=body, headers=typed).status_code == status


def test_health_is_healthy_without_a_key(http: httpx.Client) -> None:
    answer = http.get("/health", headers={"Authorization": "junk"})

    assert answer.json() == {"status": "healthy", "service": "saas-llm-api"}
    assert answer.headers["server"] == "uvicorn"
    assert answer.headers["content-type"] == "application/json"


def test_a_trailing_slash_redirects(http: httpx.Client) -> None:
    answer = http.get("/api/teams/acme/")

    assert answer.status_code == 307
    assert answer.headers["location"] == f"{http.base_url}/api/teams/acme".replace(
        "//api", "/api"
    )


def test_a_team_is_nested_and_shows_its_key(http: httpx.Client) -> None:
    team = http.get("/api/teams/globex").json()

    assert "status" not in team
    assert team["credits"]["status"] == "suspended"
    assert team["credits_remaining"] == team["credits"]["credits_remaining"] == 1000
    assert team["virtual_key"] == example_key("globex")
    assert team["credits"]["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("shape", "status", "remaining"),
    [
        (TeamShape.FLAT, "active", 1000),
        (TeamShape.DOCS, None, None),
        (TeamShape.HOSTILE, "ACTIVE", "1000"),
    ],
)
def test_a_team_may_take_other_shapes(
    *,
    gateway: RunningGateway,
    http: httpx.Client,
    shape: TeamShape,
    status: str | None,
    remaining: object,
) -> None:
    gateway.team("acme").shape = shape

    team = http.get("/api/teams/acme").json()

    assert (team.get("status"), team.get("credits_remaining")) == (status, remaining)


def test_the_list_of_teams_is_flat(http: httpx.Client) -> None:
    teams = http.get("/api/teams").json()

    assert [(one["team_id"], one["status"]) for one in teams] == [
        ("acme", "active"),
        ("globex", "suspended"),
        ("initech", "active"),
    ]
    assert "." in teams[0]["created_at"]
    assert not teams[0]["created_at"].endswith("Z")


def test_suspend_and_resume_act_at_once(http: httpx.Client) -> None:
    done = http.put("/api/teams/acme/suspend").json()
    assert done["message"] == "Team 'acme' has been suspended"
    assert http.get(BALANCE, headers=OWN).status_code == 403

    http.put("/api/teams/acme/resume")
    assert http.get(BALANCE, headers=OWN).status_code == 200


def test_resume_ends_a_pause(gateway: RunningGateway, http: httpx.Client) -> None:
    gateway.team("acme").status = "paused"
    refused = http.get(BALANCE, headers=OWN).json()["detail"]
    assert refused == "Team access is paused. Please contact support."

    http.put("/api/teams/acme/resume")
    assert gateway.team("acme").status == "active"


def test_a_team_is_created_and_updated(http: httpx.Client) -> None:
    wanted = {
        "organization_id": "org",
        "team_id": "new",
        "access_groups": ["basic-chat"],
        "credits_allocated": 7,
    }

    made = http.post("/api/teams/create", json=wanted)
    again = http.post("/api/teams/create", json=wanted)
    changed = http.put("/api/teams/new", json={"credits_allocated": 9})

    assert made.json()["credits_remaining"] == 7
    assert again.status_code == 400
    assert again.json() == {"detail": "Team 'new' already exists"}
    assert changed.json()["credits_remaining"] == 9


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/api/credits/teams/{}/balance", "access credit balance"),
        ("POST", "/api/credits/teams/{}/check", "check credits"),
        ("GET", "/api/credits/teams/{}/transactions", "access credit transactions"),
        ("GET", "/api/teams/{}/usage?period=2026-11", "access usage data"),
        ("GET", "/api/teams/{}/jobs", "access jobs"),
    ],
)
@pytest.mark.parametrize("team", ["globex", "unknown"])
def test_another_team_is_forbidden_known_or_not(
    http: httpx.Client, method: str, path: str, detail: str, team: str
) -> None:
    answer = http.request(method, path.format(team), headers=OWN)

    assert answer.status_code == 403
    assert answer.json() == {"detail": f"Cannot {detail} for a different team"}


def test_an_unknown_team_is_not_found(http: httpx.Client) -> None:
    answer = http.get("/api/teams/nope")

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Team 'nope' not found"}


def test_the_credit_check_says_no_inside_a_200(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.team("acme").credits_remaining = -4

    answer = http.post("/api/credits/teams/acme/check?credits_needed=2", headers=OWN)

    assert answer.status_code == 200
    assert answer.json()["has_credits"] is False
    assert answer.json()["error"] == (
        "Insufficient credits. Team has -4 credits remaining, but 2 required. "
        "Allocated: 1000, Used: 1004"
    )


def test_an_admin_adds_credits_and_makes_unknown_teams(http: httpx.Client) -> None:
    added = http.post(
        "/api/credits/teams/ghost/add", json={"credits": 5}, headers=ADMIN
    )
    paid = http.post(
        "/api/credits/teams/acme/replenish",
        json={"credits": 10, "payment_type": "one_time"},
        headers=ADMIN,
    )
    huge = http.post(
        "/api/credits/teams/acme/add", json={"credits": 2**40}, headers=ADMIN
    )

    assert added.json()["transaction"]["credits_after"] == 5
    assert (paid.json()["credits_before"], paid.json()["credits_after"]) == (1000, 1010)
    assert huge.status_code == 400
    assert "[SQL: UPDATE" in huge.json()["detail"]


def test_a_422_echoes_what_was_sent(http: httpx.Client) -> None:
    answer = http.post(CREATE, json={"team_id": "acme"}, headers=OWN)

    assert answer.json() == {
        "detail": [
            {
                "type": "missing",
                "loc": ["body", "job_type"],
                "msg": "Field required",
                "input": {"team_id": "acme"},
            }
        ]
    }


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        (b"{x", "json_invalid", ["body", 1]),
        (b"", "missing", ["body"]),
        (b"[]", "model_attributes_type", ["body"]),
        (b'{"team_id":1,"job_type":"t"}', "string_type", ["body", "team_id"]),
        (
            b'{"team_id":"acme","job_type":"t","metadata":[]}',
            "dict_type",
            ["body", "metadata"],
        ),
    ],
)
def test_each_kind_of_422_has_its_type_and_place(
    http: httpx.Client, body: bytes, kind: str, loc: list[object]
) -> None:
    headers = {**OWN, "Content-Type": "application/json"}

    item = http.post(CREATE, content=body, headers=headers).json()["detail"][0]

    assert (item["type"], item["loc"]) == (kind, loc)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/jobs/create", None),
        ("GET", "/api/jobs/not-a-uuid", None),
        ("POST", CREATE, {"team_id": "acme", "job_type": "x" * 101}),
        ("POST", CREATE, {"team_id": "acme", "job_type": "a\0b"}),
        ("GET", "/api/teams/acme/jobs?status=completed", None),
        ("GET", "/api/teams/acme/jobs?limit=-1", None),
    ],
)
def test_an_unhandled_error_is_text_and_closes_without_a_word(
    http: httpx.Client, method: str, path: str, body: object
) -> None:
    answer = http.request(method, path, json=body, headers=OWN)

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "connection" not in answer.headers


def test_the_models_are_listed(http: httpx.Client) -> None:
    models = http.get("/api/models").json()

    assert {"chat-fast", "chat-smart"} <= {one["model_alias"] for one in models}
    assert models[0]["created_at"].endswith("+00:00")


def test_a_model_may_be_unknown_or_not_allowed(http: httpx.Client, job_id: str) -> None:
    def refusal(model: str) -> str:
        answer = http.post(
            f"/api/jobs/{job_id}/llm-call",
            json={"model": model, "messages": ASK},
            headers=OWN,
        )
        assert answer.status_code == 403
        return str(answer.json()["detail"])

    start = "Team 'acme' does not have access to"
    assert refusal("nope") == f"{start} model group 'nope'"
    assert refusal("chat-smart") == f"{start} model alias 'chat-smart'"


def test_half_a_surrogate_pair_is_survived(http: httpx.Client) -> None:
    body = b'{"team_id":"\\ud800","job_type":"t"}'
    headers = {**OWN, "Content-Type": "application/json"}

    assert http.post(CREATE, content=body, headers=headers).status_code == 500
    assert http.get("/health").status_code == 200
