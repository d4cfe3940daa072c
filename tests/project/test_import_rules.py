"""Each import rule holds, and a deliberate violation of it is found."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

# The rule's id, a module of ours, and the import that breaks the rule there.
VIOLATIONS = {
    "framework-free": ("apiclient/retry.py", "import django"),
    "pure-policy": ("apiclient/breaker.py", "import threading"),
    "apiclient-layers": ("apiclient/report.py", "import apiclient.flow"),
    "dashboard-layers": ("dashboard/teams/models.py", "import dashboard.alerts.models"),
    "independent-simulator": (
        "dashboard/simulator/__init__.py",
        "import apiclient.report",
    ),
    "who-knows-the-client": (
        "dashboard/alerts/models/rules.py",
        "import apiclient.report",
    ),
    "settings-through-conf": ("dashboard/web/context.py", "import dashboard.settings"),
    "pure-lib": ("dashboard/lib/logs.py", "import django.conf"),
}


def contracts() -> dict[str, str]:
    """Return the name of each contract by its id."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return {rule["id"]: rule["name"] for rule in tools["importlinter"]["contracts"]}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the rules are about."""
    folder = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("apiclient", "dashboard"):
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The cache makes each run after the first one quick.
    command = [str(LINT), "--cache-dir", str(folder / ".cache"), *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_contract_has_its_violation() -> None:
    assert set(VIOLATIONS) == set(contracts())


def test_the_tree_keeps_all_rules(tree: Path) -> None:
    told = lint(tree)

    assert told.returncode == 0, told.stdout
    assert f"{len(VIOLATIONS)} kept, 0 broken" in told.stdout


@pytest.mark.parametrize("rule", VIOLATIONS)
def test_a_violation_breaks_its_rule(rule: str, tree: Path) -> None:
    name, statement = VIOLATIONS[rule]
    module = tree / name
    sound = module.read_text(encoding="utf-8")
    module.write_text(f"{sound}\n{statement}\n", encoding="utf-8")

    told = lint(tree, "--contract", rule)

    module.write_text(sound, encoding="utf-8")
    assert told.returncode == 1
    assert f"{contracts()[rule]} BROKEN" in told.stdout


def test_a_package_that_nobody_placed_breaks_the_build(tree: Path) -> None:
    stray = tree / "dashboard" / "stray.py"
    stray.write_text('"""Nobody placed it."""\n', encoding="utf-8")

    told = lint(tree, "--contract", "dashboard-layers")

    stray.unlink()
    assert told.returncode == 1
