"""Wrong input, by the real commands: one sentence, exit 2, nothing half written."""

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.commands.stack import MANAGE, manage, plain

SECRET = "secret-word"
POSTGRESQL = f"postgres://me:{SECRET}@127.0.0.1:1/gatewatch"


@dataclass(frozen=True, slots=True)
class Case:
    """A command, what is wrong around it, and what it must say."""

    name: str
    command: str
    says: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    file: str = ""
    mistakes: int = 1


PRODUCTION = {"SECRET_KEY": "x" * 50, "FIELD_KEYS": "A" * 43 + "="}
CASES = [
    Case("bind", "up --bind nonsense", ("--bind 'nonsense'", "write 127.0.0.1:8000")),
    Case("port", "up --bind 127.0.0.1:99999", ("--bind", "at most 65535")),
    Case(
        "host", "up --bind 192.0.2.1:8000", ("--bind 192.0.2.1:8000", "cannot listen")
    ),
    Case("port in use", "up --bind 127.0.0.1:{port}", ("the port is in use",)),
    Case("demo's port in use", "demo --bind 127.0.0.1:{port}", ("the port is in use",)),
    Case("nothing to run", "up --no-web --no-jobs", ("--no-web with --no-jobs",)),
    Case("workers", "up --workers 0", ("--workers 0", "at least one")),
    Case(
        "no secrets: all that is missing is told at once",
        "up",
        ("Set SECRET_KEY", "Set FIELD_KEYS"),
        {"DATABASE_URL": POSTGRESQL},
        mistakes=2,
    ),
    Case(
        "malformed field keys",
        "up",
        ("FIELD_KEYS: key 1 is not a Fernet key",),
        {"FIELD_KEYS": SECRET},
    ),
    *(
        Case(
            f"database away from {command.split()[0]}",
            command,
            ("The database 127.0.0.1:1/gatewatch cannot be used", "check DATABASE_URL"),
            {"DATABASE_URL": POSTGRESQL, **PRODUCTION},
        )
        for command in ("up --bind 127.0.0.1:0", "status", "probe", "export_config")
    ),
    Case(
        "database address",
        "status",
        ("DATABASE_URL is not an address", "write postgres://"),
        {"DATABASE_URL": f"postgres://me:{SECRET}/x@host/db"},
    ),
    Case(
        "mail server",
        "up",
        ("EMAIL_URL is not a mail server's address", "write submission://"),
        {"EMAIL_URL": f"smtps://me:{SECRET}@mail.example"},
    ),
    Case(
        "public url",
        "up",
        ("PUBLIC_URL is not a web address", "write https://HOST"),
        {"PUBLIC_URL": f"https://me:{SECRET}@watch.example"},
    ),
    Case(
        "number",
        "up",
        ("GATEWATCH_WORKERS='many' is not a whole number",),
        {"GATEWATCH_WORKERS": "many"},
    ),
    Case("no tables", "status", ("has not all of Gatewatch's tables", "manage.py up")),
    Case("no file", "load_config missing.toml", ("missing.toml cannot be read",)),
    Case("no toml", "load_config {file}", ("is not TOML", "line 2"), file="a = 1\nb c"),
]


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.processes
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_with_a_sentence_for_each_mistake(
    case: Case, taken_port: int, tmp_path: Path
) -> None:
    file = tmp_path / "gatewatch.toml"
    file.write_text(case.file, encoding="utf-8")
    command = case.command.format(port=taken_port, file=file)

    told = manage({**plain(tmp_path), **case.environment}, *command.split())

    said = told.stdout + told.stderr
    assert told.returncode == 2, said
    assert len(said.splitlines()) == case.mistakes, said
    assert all(part in said for part in case.says), said
    assert SECRET not in said
    assert not list(tmp_path.glob("var/*.sqlite3")) or case.name == "no tables"


@pytest.mark.processes
def test_mistakes_in_a_set_up_installation(tmp_path: Path) -> None:
    environment = plain(tmp_path)
    assert manage(environment, "migrate", "--verbosity", "0").returncode == 0

    def refused(*command: str) -> str:
        told = manage(environment, *command)
        assert told.returncode == 2, told
        assert len((told.stdout + told.stderr).splitlines()) == 1, told
        return told.stderr

    assert "--team 'nobody' is unknown; known: none" in refused(
        "probe", "--team", "nobody"
    )
    assert "--probe 'magic' is unknown; known: health" in refused(
        "probe", "--probe", "magic"
    )
    assert "There is nothing to probe" in refused("probe")

    file = tmp_path / "gatewatch.toml"
    file.write_text(
        f'[[gateways]]\nname = "x"\nbase_url = "https://me:{SECRET}@host"\n', "utf-8"
    )
    said = refused("load_config", str(file))
    assert "line 3: gateways[0].base_url: " in said
    assert SECRET not in said

    environment["BROKEN_KEY"] = f"sk-{SECRET}\nX-Injected: 1"
    file.write_text(
        '[[gateways]]\nname = "x"\nbase_url = "https://host"\n'
        '[[gateways.teams]]\nteam_id = "acme"\nkey = "env:BROKEN_KEY"\n',
        "utf-8",
    )
    said = refused("load_config", str(file))
    assert "line 6: gateways[0].teams[0].key: env:BROKEN_KEY: " in said
    assert SECRET not in said
    assert manage(environment, "export_config").stdout == ""


@pytest.mark.processes
def test_a_disk_without_room_is_said_in_a_sentence(tmp_path: Path) -> None:
    """The largest file that the process may write stands in for the disk's end."""
    told = subprocess.run(
        [sys.executable, MANAGE, "up", "--no-web"],
        env=plain(tmp_path),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert told.returncode == 2, told
    assert "check that its disk has room" in told.stderr
    assert len((told.stdout + told.stderr).splitlines()) == 1, told
