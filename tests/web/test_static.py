"""The static files: what was vendored, what styles and scripts may not do."""

import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings

STATIC = Path(settings.BASE_DIR) / "static"
VENDOR = STATIC / "vendor"
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").glob("**/*.html"))
PAGES = [path for path in TEMPLATES if "email" not in path.parts]


# Never served: what the browser tests run in each page.
TOOLS = Path(settings.BASE_DIR) / "tests/browser/vendor"


@pytest.mark.parametrize("folder", [VENDOR, TOOLS], ids=lambda path: path.parent.name)
def test_vendored_files_are_the_ones_that_were_checked(folder: Path) -> None:
    """C-24."""
    lines = (folder / "checksums.txt").read_text(encoding="utf-8").splitlines()
    expected = {name: checksum for checksum, name in map(str.split, lines)}

    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.js")
    }

    assert found == expected


def test_vendored_files_name_no_source_map() -> None:
    assert not [p for p in VENDOR.glob("*.js") if b"sourceMappingURL" in p.read_bytes()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_templates_hold_no_inline_script_style_or_handler(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    assert "|safe" not in text.replace("field.help_text|safe", "")


def test_scripts_write_text_and_never_markup() -> None:
    scripts = [p.read_text(encoding="utf-8") for p in (STATIC / "js").glob("*.js")]

    assert scripts
    assert not any("innerHTML" in s or "insertAdjacentHTML" in s for s in scripts)
    assert all(len(script.splitlines()) <= 180 for script in scripts)


def test_every_token_that_a_style_uses_exists() -> None:
    styles = {
        path.name: path.read_text(encoding="utf-8")
        for path in (STATIC / "css").glob("*.css")
    }
    defined = set(re.findall(r"(--[\w-]+):", "".join(styles.values())))

    used = set(re.findall(r"var\((--[\w-]+)\)", "".join(styles.values())))

    assert used <= defined
