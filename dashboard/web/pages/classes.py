"""The error classes of some failures, the most frequent first."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.alerts.blame import beside_class
from dashboard.probes.taxonomy import counted, meaning


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often an error class occurred, and what it means."""

    title: str
    name: str
    number: str
    fault: str
    advice: str
    is_counted: bool
    url: str = ""


def class_counts(counts: Mapping[str, int], list_url: str = "") -> list[ClassCount]:
    """Return the error classes, most frequent first; `list_url` has their results."""
    return [
        ClassCount(
            title=meaning(name).title,
            name=name,
            number=f"{number:,}",
            fault=str(beside_class(name)),
            advice=meaning(name).advice,
            is_counted=counted(name),
            url=f"{list_url}&class={name}" if list_url else "",
        )
        for name, number in sorted(counts.items(), key=lambda item: -item[1])
    ]
