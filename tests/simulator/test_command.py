"""`manage.py simulate_gateway`: its bad input, and one real start."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from dashboard.simulator.serving import Bind, parse_bind

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:0", Bind("127.0.0.1", 0)),
        ("localhost:80", Bind("127.0.0.1", 80)),
        ("[::1]:8790", Bind("::1", 8790)),
    ],
)
def test_an_address_is_read(text: str, bind: Bind) -> None:
    assert parse_bind(text) == bind


@pytest.mark.parametrize("text", ["8790", "host:80", "127.0.0.1:x", "127.0.0.1:70000"])
def test_a_wrong_address_is_one_clear_sentence(text: str) -> None:
    with pytest.raises(CommandError, match="is not HOST:PORT such as") as caught:
        call_command("simulate_gateway", bind=text)

    assert caught.value.returncode == 2


def test_an_address_for_others_needs_a_word() -> None:
    with pytest.raises(CommandError, match="--allow-remote") as caught:
        call_command("simulate_gateway", bind="0.0.0.0:0")

    assert caught.value.returncode == 2


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(CommandError, match="cannot listen there") as caught:
            call_command("simulate_gateway", bind=bind)

    assert caught.value.returncode == 2


def test_it_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-W", "error", "manage.py", "simulate_gateway"]
    options = ["--bind", "127.0.0.1:0", "--teams", "one,two", "--script", "demo"]
    with subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        line = child.stdout.readline()
        teams = httpx.get(f"{line.split()[-1]}/api/teams", trust_env=False).json()
        child.send_signal(signal.SIGTERM)
        errors = child.stderr.read()

    assert [one["team_id"] for one in teams] == ["one", "two"]
    assert child.returncode == 0
    assert "Traceback" not in errors
    assert "Warning" not in errors
