"""Each promise of a document is named by a test, and no test names one that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where promises are stated, and the letters of their numbers.
DOCUMENTS = [
    ("docs/client.md", "SBX"),
    ("docs/alerting.md", "A"),
    ("docs/security.md", "C"),
]


def promised(document: str, letters: str) -> set[str]:
    rows = re.findall(
        rf"^\| ([{letters}]-\d{{2,3}}) \|", (ROOT / document).read_text(), re.MULTILINE
    )
    assert len(rows) == len(set(rows)), "an id stands twice"
    return set(rows)


def texts() -> list[str]:
    paths = (ROOT / "tests").rglob("*.py")
    return [path.read_text() for path in paths if path != Path(__file__)]


def mentioned(letters: str) -> set[str]:
    found = [re.findall(rf"\b[{letters}]-\d{{2,3}}\b", text) for text in texts()]
    return {each for ids in found for each in ids}


def named(letters: str) -> set[str]:
    """Return the ids in the tests, with those that "S-85 to S-89" stands for."""
    found = mentioned(letters)
    spans = rf"\b([{letters}])-(\d+) to \1-(\d+)\b"
    for text in texts():
        for letter, first, last in re.findall(spans, text):
            numbers = range(int(first), int(last) + 1)
            found |= {f"{letter}-{number:02}" for number in numbers}
    return found


@pytest.mark.parametrize(("document", "letters"), DOCUMENTS)
def test_each_promise_is_named_by_a_test(document: str, letters: str) -> None:
    assert promised(document, letters) - named(letters) == set()


@pytest.mark.parametrize(("document", "letters"), DOCUMENTS)
def test_no_test_names_what_is_not_promised(document: str, letters: str) -> None:
    assert mentioned(letters) - promised(document, letters) == set()
