import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import apiclient
from apiclient import TABLE, Client, ErrorClass, MemoryBreakerStore, operations
from apiclient.breaker import BreakerStore

ROOT = Path(apiclient.__file__).parent.parent


def test_everything_public_exists_once() -> None:
    assert len(apiclient.__all__) == len(set(apiclient.__all__))
    assert all(hasattr(apiclient, name) for name in apiclient.__all__)


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert apiclient.__version__ == project["version"]


def test_the_table_has_a_row_for_every_class() -> None:
    """S-04."""
    assert set(TABLE) == set(ErrorClass)


@pytest.mark.parametrize("error", ErrorClass)
def test_a_title_is_a_few_plain_words(error: ErrorClass) -> None:
    first, *others = TABLE[error].title.split()

    assert first in {"TLS", first.capitalize()}
    assert all(word == word.lower() or word == "HTTP" for word in others)


@pytest.mark.slow
def test_the_client_imports_neither_django_nor_the_dashboard() -> None:
    code = (
        "import sys, apiclient;"
        "print([m for m in sys.modules if m.split('.')[0] in ('django', 'dashboard')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_client_takes_keywords_only() -> None:
    """X-29: by position the key went where the team id belongs."""
    store: BreakerStore = MemoryBreakerStore()
    client = Client(base_url="https://gw.example", team_id="acme", breakers=store)

    assert repr(client) == "Client('https://gw.example', team_id='acme', without a key)"
    assert operations.health().name == "health"
