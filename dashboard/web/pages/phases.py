"""Where the time of a call goes: connect, TLS, first byte, body; first token of streams."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dashboard.probes.attempts import body_us
from dashboard.probes.models import Outcome, Probe
from dashboard.web import words
from dashboard.web.ranges import Range

# The median of so many is steady, and they are read in some milliseconds.
MOST = 500
_COLUMNS = ("latency_us", "connect_us", "tls_us", "first_byte_us", "ttft_us")


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One phase; `share` is its part of the bar, 0..100."""

    name: str
    word: str
    median: str
    share: float
    x: float


@dataclass(frozen=True, slots=True)
class Phases:
    rows: list[PhaseRow]
    basis: str
    first_token: str


_WORDS: dict[str, tuple[str, Callable[[Outcome], int | None]]] = {
    "connect": ("Connect", lambda each: each.connect_us),
    "tls": ("TLS", lambda each: each.tls_us),
    "first": ("First byte", lambda each: each.first_byte_us),
    "body": ("Body", body_us),
}


def phases(probe: Probe, chosen: Range) -> Phases | None:
    """Return the medians of the latest successes in the range; None without any."""
    found = list(
        Outcome.objects.filter(
            probe=probe,
            error_class="",
            first_byte_us__isnull=False,
            started_at__gte=chosen.start,
            started_at__lt=chosen.end,
        )
        .only(*_COLUMNS)
        .order_by("-started_at")[:MOST]
    )
    if not found:
        return None
    medians = {name: _median(found, value) for name, (_, value) in _WORDS.items()}
    known = {name: value for name, value in medians.items() if value is not None}
    total = sum(known.values()) or 1.0
    rows, x = [], 0.0
    for name, value in known.items():
        share = value / total * 100
        rows.append(
            PhaseRow(
                name=name,
                word=_WORDS[name][0],
                median=words.milliseconds(value),
                share=round(share, 1),
                x=round(x, 1),
            )
        )
        x += share
    token = _median(found, lambda each: each.ttft_us)
    return Phases(
        rows=rows,
        basis=f"medians of the latest {words.count(len(found), 'success', 'successes')}",
        first_token="" if token is None else words.milliseconds(token),
    )


def _median(
    found: Sequence[Outcome], value: Callable[[Outcome], int | None]
) -> float | None:
    """Return the median in milliseconds of those that have the phase."""
    known = [each for each in map(value, found) if each is not None]
    return median(known) / 1000 if known else None
