"""The documents' blocks run as they are printed, and print what they should."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from apiclient import Client
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, example_key

pytestmark = pytest.mark.hostile

DOCS = Path(__file__).parents[2] / "docs"
COOKBOOK = DOCS / "cookbook.md"
BLOCKS = re.findall(
    r"((?:<!-- \w+: [^>]+ -->\n)*)```python\n(.*?)```", COOKBOOK.read_text(), re.DOTALL
)


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway([Team("acme")]) as running:
        yield running


@pytest.mark.parametrize(("notes", "code"), BLOCKS[1:])
def test_a_block_does_what_it_says(
    notes: str,
    code: str,
    gateway: RunningGateway,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """S-133: also in the guide's own formats."""
    defaults = Client.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "sleep", lambda seconds: None)
    told = dict(re.findall(r"<!-- (\w+): (.+?) -->", notes))
    names: dict[str, object] = {
        "API_URL": gateway.base_url,
        "VIRTUAL_KEY": example_key("acme"),
    }
    exec(BLOCKS[0][1] + IMPORTED, names)  # noqa: S102  # the document's own code
    client = names["client"]
    assert isinstance(client, Client)
    if "fault" in told:
        gateway.set_fault(Fault(FaultKind(told["fault"])))
    with closing(client):
        exec(compile(code, str(COOKBOOK), "exec"), names)  # noqa: S102

    printed = capsys.readouterr().out
    if "prints" in told:
        assert told["prints"] in printed


# What earlier blocks of the document import, for those that do not again.
IMPORTED = "\nfrom apiclient import ServerError, StreamError\n"


def test_the_quick_start_runs(
    gateway: RunningGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(
        r"```python\n(.*?)```", (DOCS / "client.md").read_text(), re.DOTALL
    )
    code = code.replace("https://gw.example/api", gateway.base_url)

    exec(code, {"key": example_key("acme")})  # noqa: S102  # the document's own code

    first, reply = capsys.readouterr().out.splitlines()
    assert first == "True 1000.0"
    assert reply.startswith("The gateway relays")


def test_the_document_has_a_block_for_each_of_the_guides_situations() -> None:
    headings = re.findall(r"^## (.+)", COOKBOOK.read_text(), re.MULTILINE)

    for word in ("400", "401", "403", "404", "422", "429", "500", "503"):
        assert any(word in heading for heading in headings), word
    assert len(BLOCKS) > 15
