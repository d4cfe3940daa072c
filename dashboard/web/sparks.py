"""The small line of a tile: how a number went, without axes; the tile has the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 120, 24
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Spark:
    """An SVG path in a box of WIDTH and HEIGHT, and the same in words."""

    path: str
    summary: str
    width: int = WIDTH
    height: int = HEIGHT


def spark(values: Sequence[float | None], summary: str) -> Spark | None:
    """Return the line of some values, from zero up; what is None is a hole in it.

    A value between two holes is a short stroke, so that it is seen. None for no values.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    top = max(known) or 1.0
    step = WIDTH / max(1, len(values) - 1)
    path: list[str] = []
    for place, value in enumerate(values):
        if value is None:
            continue
        x = min(place * step, WIDTH - _MARGIN)
        y = HEIGHT - _MARGIN - value / top * (HEIGHT - 2 * _MARGIN)
        begins = place == 0 or values[place - 1] is None
        ends = place + 1 == len(values) or values[place + 1] is None
        path.append(f"{'M' if begins else 'L'}{x:.1f} {y:.1f}")
        if begins and ends:
            path.append(f"h{_MARGIN}")
    return Spark("".join(path), summary)
