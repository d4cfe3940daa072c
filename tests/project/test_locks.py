"""C-24: the lock files match pyproject.toml and name no index."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = {
    "requirements.txt": ("dashboard",),
    "requirements-dev.txt": ("dashboard", "dev"),
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, tuple[int, ...]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*?\])?==([0-9.]+)", text, re.MULTILINE)
    return {canonical(package): _version(version) for package, version in found}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip(".").split("."))


def declared(extras: tuple[str, ...]) -> list[tuple[str, str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = list(project["project"]["dependencies"])
    for extra in extras:
        lines += project["project"]["optional-dependencies"][extra]
    parsed = [
        re.match(r"([A-Za-z0-9_.-]+?)(?:\[.*?\])?([<>=].*)$", one) for one in lines
    ]
    return [(canonical(one[1]), one[2]) for one in parsed if one]


def allows(limits: str, version: tuple[int, ...]) -> bool:
    for limit in limits.split(","):
        sign, text = re.match(r"(>=|<|==)(.*)", limit.strip()).groups()  # type: ignore[union-attr]
        edge = _version(text)
        width = max(len(edge), len(version))
        left, right = (one + (0,) * (width - len(one)) for one in (version, edge))
        if not {">=": left >= right, "<": left < right, "==": left == right}[sign]:
            return False
    return True


@pytest.mark.parametrize("name", LOCKS)
def test_each_declared_package_is_locked_within_its_range(name: str) -> None:
    versions = locked(name)

    for package, limits in declared(LOCKS[name]):
        assert package in versions, f"{package} is not in {name}: run .ci/lock"
        assert allows(limits, versions[package]), f"{package}{limits}: run .ci/lock"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_hashes_everything(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]

    assert not re.search(r"https?://|file://|--(extra-)?index-url|--find-links", text)
    assert all("--hash=sha256:" in block for block in blocks)


def test_both_locks_agree() -> None:
    run, dev = locked("requirements.txt"), locked("requirements-dev.txt")

    assert {name: dev.get(name) for name in run} == run
