"""Where the time of a call goes: connect, TLS, first byte, body; first token of streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from dashboard.probes.models import Outcome
from dashboard.rollups.numbers import PhaseMeans
from dashboard.web import words


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One phase; `x` and `share` are its place in a bar of 100."""

    name: str
    word: str
    mean: str
    share: float
    x: float


@dataclass(frozen=True, slots=True)
class Phases:
    rows: list[PhaseRow]
    basis: str
    first_token: str


def phases(means: PhaseMeans | None, latest: Sequence[Outcome]) -> Phases | None:
    """Return the means of a range's successes; None where no phases are known.

    The time to the first token is the median of the `latest` results that streamed.
    """
    if means is None:
        return None
    told = (
        ("connect", "Connect", means.connect_ms),
        ("tls", "TLS", means.tls_ms),
        ("first", "First byte", means.first_byte_ms),
        ("body", "Body", means.body_ms),
    )
    total = sum(value for _, _, value in told) or 1.0
    rows, x = [], 0.0
    for name, word, value in told:
        # Plain http has no TLS, and a row of zeros would say that it was quick.
        if value > 0:
            share = value / total * 100
            mean = words.milliseconds(value)
            rows.append(PhaseRow(name, word, mean, round(share, 1), round(x, 1)))
            x += share
    counted = [each for each in latest if not (each.maintenance or each.misdated)]
    tokens = [each.ttft_us for each in counted if each.ttft_us is not None]
    return Phases(
        rows=rows,
        basis=f"means of {words.count(means.samples, 'success', 'successes')}",
        first_token=words.milliseconds(median(tokens) / 1000) if tokens else "",
    )
