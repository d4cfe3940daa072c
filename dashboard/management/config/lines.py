"""Find the line of a place such as `gateways[0].teams[1].key` in a TOML text."""

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\- ]+?)\s*\]\]?\s*(#.*)?$")


def line_of(text: str, place: str) -> int | None:
    """Return the 1-based line of `place`, else of the table that holds it, else None.

    It reads headers and `key = value` lines, not TOML: a value in an inline table is
    found at the line of its table.
    """
    best, found = "", None
    table, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = here = _opened(header[2], counts, array=header[1] == "[[")
        else:
            key = line.partition("=")[0].strip().strip("\"'")
            here = f"{table}.{key}".lstrip(".") if "=" in line else ""
        if here and len(here) > len(best) and _leads_to(here, place):
            best, found = here, number
    return found


def _leads_to(here: str, place: str) -> bool:
    # `rule[0]`: where the unknown table `rule` first stands.
    return here in {place, f"{place}[0]"} or place.startswith((f"{here}.", f"{here}["))


def _opened(name: str, counts: dict[str, int], *, array: bool) -> str:
    """Return the place that a header opens, and count it."""
    place = ""
    *parents, last = [part.strip() for part in name.split(".")]
    for part in parents:
        place = f"{place}.{part}".lstrip(".")
        if place in counts:
            place = f"{place}[{counts[place]}]"
    place = f"{place}.{last}".lstrip(".")
    if not array:
        return place
    counts[place] = counts.get(place, -1) + 1
    return f"{place}[{counts[place]}]"
