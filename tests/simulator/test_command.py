"""`manage.py simulate_gateway`: its bad input, and one real start."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.core.management import call_command

from dashboard.management.commands.simulate_gateway import Command
from dashboard.management.edge import UsageError
from dashboard.simulator.control import PREFIX
from dashboard.simulator.faults import EFFECTS, FaultKind

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("text", ["8790", "127.0.0.1:x", "127.0.0.1:70000"])
def test_a_wrong_address_is_one_clear_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=f"--bind '{text}'"):
        call_command("simulate_gateway", bind=text)


@pytest.mark.parametrize("text", ["0.0.0.0:0", "[::]:0", "host:80"])
def test_an_address_for_others_needs_a_word(text: str) -> None:
    with pytest.raises(UsageError, match="--allow-remote"):
        call_command("simulate_gateway", bind=text)


def test_its_help_names_every_fault_and_what_it_does() -> None:
    told = Command().create_parser("manage.py", "simulate_gateway").format_help()

    assert set(EFFECTS) == set(FaultKind)
    assert all(f"  {kind} " in told for kind in FaultKind)
    assert f"POST {PREFIX}faults" in told


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(UsageError, match="cannot listen there"):
            call_command("simulate_gateway", bind=bind)


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
