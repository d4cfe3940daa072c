"""Write what Gatewatch is made of, as CycloneDX: python .ci/sbom.py > gatewatch.cdx.json.

The Python packages are those of requirements.txt, which installations use; the scripts
are those of static/vendor. It reads files only, and names no place to get them from.
"""  # noqa: INP001 (a script)

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

ROOT = Path(__file__).parents[1]
LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[.*?\])?==([^\s;\\]+)", re.MULTILINE)
VENDORED = re.compile(r"^\| `([^`]+)` \| (\S+) ([0-9.]+),", re.MULTILINE)


def component(kind: str, name: str, version: str, sha256: str = "") -> Component:
    address = PackageURL(kind, None, name, version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=address,
        bom_ref=str(address),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
    )


def packages() -> Iterator[Component]:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name, version in LOCKED.findall(lock):
        yield component("pypi", name, version)


def scripts() -> Iterator[Component]:
    folder = ROOT / "static/vendor"
    sums = dict(
        reversed(line.split())
        for line in (folder / "checksums.txt").read_text(encoding="utf-8").splitlines()
    )
    for file, name, version in VENDORED.findall(
        (folder / "README.md").read_text(encoding="utf-8")
    ):
        yield component("npm", name, version, sums[file])


def bill() -> str:
    """Return the whole bill of materials as JSON."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    whole = Component(
        type=ComponentType.APPLICATION,
        name="gatewatch",
        version=project["project"]["version"],
    )
    parts = [*packages(), *scripts()]
    bom = Bom(components=parts)
    bom.metadata.component = whole
    bom.register_dependency(whole, parts)
    written: str = make_outputter(
        bom, OutputFormat.JSON, SchemaVersion.V1_6
    ).output_as_string(indent=2)
    return written


if __name__ == "__main__":
    sys.stdout.write(bill() + "\n")
