"""The command line against the stand-in gateway."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from apiclient.cli import main
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, example_key
from tests.apiclient.rogue import rogue, sends

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway([Team("acme"), Team("hooli", status="paused")]) as running:
        yield running


def run(
    gateway: RunningGateway,
    *arguments: str,
    team: str = "acme",
    key: str = "",
    out: io.StringIO | None = None,
) -> tuple[int, str]:
    environment = {
        "SAAS_LLM_URL": gateway.base_url,
        "SAAS_LLM_TEAM": team,
        "SAAS_LLM_KEY": key or example_key(team),
    }
    out = out or io.StringIO()
    status = main(arguments, environment, out)
    return status, out.getvalue()


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["health"], "status: healthy"),
        (["team"], "status: active"),
        (["balance"], "remaining: 1000"),
        (["credits", "--needed", "3"], "has_credits: True"),
        (["chat", "Say hello", "--model", "chat-fast"], "response.content: "),
        (["chat", "Say hello", "--model", "chat-fast", "--stream"], "chunk_count: "),
    ],
)
def test_each_command_shows_what_the_gateway_says(
    gateway: RunningGateway, command: list[str], shown: str
) -> None:
    status, text = run(gateway, *command)

    assert status == 0, text
    assert shown in text
    assert "ms" in text.splitlines()[0] or "ms" in text


def test_chat_ends_its_job(gateway: RunningGateway) -> None:
    """S-144: completed when it worked, failed when it did not."""
    run(gateway, "chat", "Hi", "--model", "chat-fast")
    run(gateway, "chat", "Hi", "--model", "nobody-has-this")

    states = [job.state for job in gateway.gateway.world.jobs.values()][-2:]
    assert [state.value for state in states] == ["COMPLETED", "FAILED"]


def test_a_failure_says_what_to_do_and_what_was_tried(gateway: RunningGateway) -> None:
    gateway.set_fault(Fault(FaultKind.UNAVAILABLE_JSON))
    try:
        status, text = run(gateway, "balance", "--retries", "0")
    finally:
        gateway.clear_fault(FaultKind.UNAVAILABLE_JSON)

    assert status == 1
    assert text.startswith("balance: Unavailable (HTTP 503)")
    assert "  advice   Wait:" in text
    assert "  attempt  1: unavailable HTTP 503" in text


def test_json_holds_everything(gateway: RunningGateway) -> None:
    status, text = run(gateway, "balance", "--json", team="hooli")
    document = json.loads(text)

    assert status == 1
    assert document["error"] == "team_paused"
    assert document["advice"]
    assert document["attempts"][0]["status_code"] == 403
    assert document["attempts"][0]["phases"]["first_byte_s"] >= 0


class Terminal(io.StringIO):
    """Keeps what had been shown at each flush: a terminal shows nothing before."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def flush(self) -> None:
        self.shown.append(self.getvalue())


def test_a_stream_is_shown_as_it_comes_and_once(gateway: RunningGateway) -> None:
    terminal = Terminal()
    run(gateway, "chat", "Hi", "--model", "chat-fast", "--stream", out=terminal)
    reply = terminal.getvalue().splitlines()[0]

    assert len([each for each in terminal.shown if "\n" not in each]) > 3
    assert reply
    assert terminal.getvalue().count(reply.strip()) == 1


def test_json_of_a_stream_is_one_document(gateway: RunningGateway) -> None:
    _, text = run(gateway, "chat", "Hi", "--model", "chat-fast", "--stream", "--json")

    assert json.loads(text)["value"]["text"]


def test_no_output_holds_the_key(gateway: RunningGateway) -> None:
    """B-80."""
    key = "sk-canary-from-a-terminal"
    for more in ([], ["--json"]):
        status, text = run(gateway, "balance", *more, key=key)
        assert status == 1
        assert "canary" not in text
    _, text = run(gateway, "team", "--json")
    assert example_key("acme") not in text


def test_the_key_may_come_from_a_file(gateway: RunningGateway, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(example_key("acme") + "\n")

    status, text = run(gateway, "balance", "--key-file", str(path), key="sk-wrong")

    assert status == 0, text


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["health"], {}, "name the gateway"),
        (["health", "--url", "ftp://x"], {}, "http"),
        (["job", "not-a-uuid", "--url", "http://127.0.0.1:9"], {}, "UUID"),
        (["team", "--url", "http://127.0.0.1:9"], {}, "team_id"),
        (
            ["balance", "--url", "http://x", "--key-file", "/no/such"],
            {},
            "No such file",
        ),
        (["balance", "--url", "http://x"], {"SAAS_LLM_KEY": "a b\n"}, "key"),
        (["frobnicate"], {}, "invalid choice"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    arguments: list[str],
    environment: dict[str, str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, environment, io.StringIO())

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert told in said
    assert "a b" not in said


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_gateway_steers_the_terminal(form: list[str]) -> None:
    told = b'{"status": "healthy\\u001b]52;c;ZXZpbA\\u0007\\u202e\\r\\u009b2J"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told)
    out = io.StringIO()
    with rogue(sends(head + told)) as server:
        status = main(["health", *form], {"SAAS_LLM_URL": server.url}, out)

    shown = out.getvalue().replace("\n", "")
    assert status == 0
    assert "healthy" in shown
    assert shown.isprintable()
