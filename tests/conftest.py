"""What every test shares: the gates for what a machine may lack, and one `now`.

Imports no Django, so that the client's tests run without it (`-p no:django`).
"""

import gc
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
ON_POSTGRESQL = os.environ.get("DATABASE_URL", "").startswith("postgres")
# What these prove takes its time; all else is the inner loop.
_UNHURRIED = {"browser", "processes", "hostile", "slow"}
_DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup"}
# No test is to fail because the machine has other things to do.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


def pytest_unconfigure(config: pytest.Config) -> None:
    # With more workers than one, it is that of all.
    is_worker = hasattr(config, "workerinput")
    var = Path(os.environ.get("GATEWATCH_VAR", ""))
    if var.name.startswith("gatewatch-test-") and not is_worker:
        shutil.rmtree(var, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what touches the database, for PostgreSQL, and what is the inner loop."""
    for item in items:
        fixtures = _DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if fixtures or item.get_closest_marker("django_db"):
            item.add_marker("database")
        if not _UNHURRIED.intersection(mark.name for mark in item.iter_markers()):
            item.add_marker("quick")


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what all tests share.

    Walking it all again and again took a seventh of the suite's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what the machine lacks; with CI=true that is a failure."""
    if item.get_closest_marker("browser") and not Path(CHROMIUM).is_file():
        _missing("Chromium is missing: install it, or name it in CHROMIUM")
    if item.get_closest_marker("postgresql") and not ON_POSTGRESQL:
        _missing("PostgreSQL is missing: name a server in DATABASE_URL")


def _missing(what: str) -> None:
    if ON_CI:
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of the browser that the tests drive."""
    return CHROMIUM


@pytest.fixture
def now() -> datetime:
    """Return the moment at which the factories' objects live."""
    return datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
