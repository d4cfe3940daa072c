"""The file's shape, and one sentence for what is wrong in it.

A field that a file leaves out keeps its stored value, or the default of a new row.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from dashboard.management.config.lines import line_of
from dashboard.management.edge import UsageError
from dashboard.probes.models import LONGEST_PERIOD_S

# No database keeps a NUL, nor is one searched for.
Text = Annotated[str, Meta(pattern=r"^[^\0]*\Z")]
Rate = Annotated[float, Meta(ge=0, le=1)]
Limit = Annotated[float, Meta(ge=0)]
# How much is too much the models say: what a page has taken is exported, and must load.
Count = Annotated[int, Meta(ge=0)]
Period = Annotated[int, Meta(ge=5, le=LONGEST_PERIOD_S)]


class ProbeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Text
    period_s: Period | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    daily_credit_cap: Count | UnsetType = UNSET


class TeamEntry(Struct, frozen=True, forbid_unknown_fields=True):
    team_id: Text
    name: Text | UnsetType = UNSET
    daily_credit_cap: Count | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    probes: list[ProbeEntry] = []


class GatewayEntry(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    base_url: Text
    allow_private: bool | UnsetType = UNSET
    probes: list[ProbeEntry] = []
    teams: list[TeamEntry] = []


class RuleEntry(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    kind: Text
    enabled: bool | UnsetType = UNSET
    gateway: Text = ""
    team: Text = ""
    probe: Text = ""
    # Rates for most kinds; hours, days, milliseconds or times for the others.
    warn_at: Limit | UnsetType = UNSET
    critical_at: Limit | UnsetType = UNSET
    floor: float | UnsetType = UNSET
    objective: Rate | UnsetType = UNSET
    window_s: Count | UnsetType = UNSET
    long_window_s: Count | UnsetType = UNSET
    against_baseline: bool | UnsetType = UNSET
    of_last: Count | UnsetType = UNSET
    min_samples: Count | UnsetType = UNSET
    min_bad: Count | UnsetType = UNSET
    for_s: Count | UnsetType = UNSET
    clear_after: Count | UnsetType = UNSET
    keep_s: Count | UnsetType = UNSET


class RecipientEntry(Struct, frozen=True, forbid_unknown_fields=True):
    email: Text
    gateway: Text = ""
    team: Text = ""


class Entries(Struct, frozen=True, forbid_unknown_fields=True):
    gateways: list[GatewayEntry] = []
    rules: list[RuleEntry] = []
    recipients: list[RecipientEntry] = []


class Document:
    """A read file: its entries, and where in its text each stands."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        try:
            told = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{name} is not TOML: {error}.") from None
        try:
            self.entries = msgspec.convert(told, Entries)
        except msgspec.ValidationError as error:
            raise self._refused(str(error)) from None

    @classmethod
    def read(cls, path: Path) -> "Document":
        try:
            return cls(str(path), path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise UsageError(f"{path} is not text in UTF-8.") from None

    def wrong(self, place: str, why: str) -> UsageError:
        """Return the refusal of what stands at `place`, with its line where found."""
        line = line_of(self._text, place)
        where = f"{self._name}, line {line}" if line else self._name
        return UsageError(f"{where}: {place}: {why}.")

    def _refused(self, message: str) -> UsageError:
        """Put msgspec's message in our words: `place: what is wrong`."""
        why, _, place = message.partition(" - at ")
        place = place.strip("`").removeprefix("$").lstrip(".")
        unknown = re.search(r"unknown field `(.*)`", why)
        if unknown:
            place = f"{place}.{unknown[1]}".lstrip(".")
            known = ", ".join(_known_fields(place))
            return self.wrong(place, f"an unknown key; known here: {known}")
        missing = re.search(r"missing required field `(.*)`", why)
        if missing:
            return self.wrong(place, f"the key {missing[1]} is missing")
        if "matching regex" in why:
            return self.wrong(place, "a NUL is in this text")
        return self.wrong(
            place or "the file", why[0].lower() + why[1:].replace("`", "")
        )


_SHAPES: dict[str, type[Struct]] = {
    "": Entries,
    "gateways": GatewayEntry,
    "gateways.probes": ProbeEntry,
    "gateways.teams": TeamEntry,
    "gateways.teams.probes": ProbeEntry,
    "rules": RuleEntry,
    "recipients": RecipientEntry,
}


def _known_fields(place: str) -> tuple[str, ...]:
    parent = re.sub(r"\[\d+\]", "", place).rpartition(".")[0]
    return _SHAPES[parent].__struct_fields__
