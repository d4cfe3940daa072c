"""C-24: the bill of materials names what the lock has, and the scripts of the pages."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ON_CI
from tests.project.test_locks import ROOT, canonical

LOCK = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[.*?\])?==([^ ;\\]+)", re.MULTILINE)


@pytest.mark.skipif(
    find_spec("cyclonedx") is None and not ON_CI,
    reason="cyclonedx-python-lib is missing: install requirements-dev.txt",
)
def test_it_lists_the_lock_and_the_vendored_scripts() -> None:
    told = subprocess.run(
        [sys.executable, ROOT / ".ci/sbom.py"], capture_output=True, check=True
    )
    bom = json.loads(told.stdout)
    listed = {each["purl"]: each for each in bom["components"]}

    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    packages = {f"pkg:pypi/{canonical(n)}@{v}" for n, v in LOCK.findall(lock)}
    sums = (ROOT / "static/vendor/checksums.txt").read_text(encoding="utf-8")
    scripts = {line.split()[0] for line in sums.splitlines()}
    assert "pkg:pypi/django@" in " ".join(packages)
    assert {purl for purl in listed if purl.startswith("pkg:pypi/")} == packages
    assert {
        each["hashes"][0]["content"] for each in listed.values() if "hashes" in each
    } == scripts
    assert len(listed) == len(packages) + len(scripts)
    assert b"://" not in told.stdout.replace(bom["$schema"].encode(), b"")
