"""The documents name what there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def variables() -> list[str]:
    """Return the environment variables that the settings read."""
    found = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', read("dashboard/settings.py"))
    # Switches of the demo and of development; no installation sets them.
    return sorted(set(found) - {"GATEWATCH_DEMO", "DEBUG"})


@pytest.mark.parametrize("name", variables())
def test_each_variable_is_described(name: str) -> None:
    assert f"`{name}`" in read("docs/configuration.md")


@pytest.mark.parametrize(
    "name", ["up", "demo", "load_config", "export_config", "probe", "status"]
)
def test_each_command_is_described(name: str) -> None:
    assert (ROOT / f"dashboard/management/commands/{name}.py").is_file()
    assert f"`{name}" in read("README.md")


def test_the_first_screen_has_the_two_commands() -> None:
    first_screen = read("README.md").splitlines()[:28]
    start = "python3 -m venv .venv && .venv/bin/pip install -r "

    assert f"{start}requirements.txt && .venv/bin/python manage.py demo" in first_screen
    assert f"{start}requirements-dev.txt && .venv/bin/pytest" in first_screen


@pytest.mark.parametrize("name", ["README.md", "docs/install.md", "docs/pages.md"])
def test_links_between_documents_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([\w./-]+\.md)\)", read(name)):
        assert (folder / target).is_file(), target


def test_the_proxy_of_the_documents_believes_no_visitor() -> None:
    """C-11: nginx hands on what it does not set itself, and the last word is believed."""
    (block,) = re.findall(r"```nginx\n(.*?)```", read("docs/install.md"), re.DOTALL)

    assert "proxy_set_header X-Forwarded-For $remote_addr;" in block
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in block
