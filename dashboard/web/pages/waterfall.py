"""The attempts of one result as a waterfall: when each phase began, and how long it took."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.probes.attempts import PastAttempt
from dashboard.probes.kinds import Kind
from dashboard.probes.taxonomy import in_a_sentence, meaning
from dashboard.web import words
from dashboard.web.pages.outcomes import outcome_badge
from dashboard.web.pages.parts import Badge

WIDTH = 1000.0
# A phase of microseconds is still a line that can be seen.
_THINNEST = 3.0
PHASES = {
    "connect": "connect",
    "tls": "TLS",
    "first": "first byte",
    "body": "body",
    "wire": "on the wire",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A box of the waterfall, in parts of WIDTH."""

    phase: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    word: str
    took: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    number: int
    badge: Badge
    status: str
    wait: str
    latency: str
    phases: list[Phase]
    pieces: list[Piece]
    summary: str
    verdict: str


def waterfall(
    attempts: Sequence[PastAttempt], kind: Kind, *, first: int = 1
) -> list[AttemptRow]:
    """Return a row for each attempt, all on one scale; the first has number `first`."""
    total_s = sum(each.wait_s + each.latency_s for each in attempts) or 1.0
    rows, begun_s = [], 0.0
    for place, each in enumerate(attempts):
        after = attempts[place + 1] if place + 1 < len(attempts) else None
        rows.append(
            AttemptRow(
                number=first + place,
                badge=outcome_badge(each.error_class),
                status=str(each.status_code or ""),
                wait=words.milliseconds(each.wait_s * 1000) if each.wait_s else "",
                latency=words.milliseconds(each.latency_s * 1000),
                phases=[
                    Phase(name, PHASES[name], words.milliseconds(seconds * 1000))
                    for name, seconds in phases(each)
                ],
                pieces=_pieces(each, begun_s, total_s),
                summary=_summary(each, begun_s),
                verdict=why(each, after, first + place, kind),
            )
        )
        begun_s += each.wait_s + each.latency_s
    return rows


def phases(each: PastAttempt) -> list[tuple[str, float]]:
    """Return the phases that were reached, in order; "wire" where none is known."""
    told = (
        ("connect", each.connect_s),
        ("tls", each.tls_s),
        ("first", each.first_byte_s),
        ("body", each.body_s),
    )
    found = [(name, seconds) for name, seconds in told if seconds is not None]
    rest_s = each.latency_s - sum(seconds for _, seconds in found)
    # What broke off in the middle of a phase is told by no phase.
    if not found or rest_s > 0.02 * each.latency_s:
        found.append(("wire", max(0.0, rest_s)))
    return found


def why(each: PastAttempt, after: PastAttempt | None, number: int, kind: Kind) -> str:
    """Say why there was, or was not, another attempt."""
    if not each.error_class:
        return "Succeeded." if number == 1 else f"Succeeded at attempt {number}."
    row = meaning(each.error_class)
    title = in_a_sentence(row.title)
    if after is not None:
        waited = words.milliseconds(after.wait_s * 1000)
        return f"Retried after {waited}: {title} may pass by itself."
    if not row.retried:
        return f"Not retried: {title} does not pass by itself."
    if number > kind.retries:
        most = words.count(kind.retries + 1, "attempt")
        return f"Not retried: this probe makes {most} at most, so as to hide nothing."
    return (
        "Not retried: no time was left for another attempt, or the breaker was open "
        "and this was its trial."
    )


def _pieces(each: PastAttempt, begun_s: float, total_s: float) -> list[Piece]:
    x, found = begun_s, []
    for name, seconds in [("wait", each.wait_s), *phases(each)]:
        if seconds > 0:
            width = max(_THINNEST, seconds / total_s * WIDTH)
            left = min(x / total_s * WIDTH, WIDTH - width)
            found.append(Piece(name, round(left, 1), round(width, 1)))
        x += seconds
    return found


def _summary(each: PastAttempt, begun_s: float) -> str:
    start = words.milliseconds((begun_s + each.wait_s) * 1000)
    parts = [
        f"{PHASES[name]} {words.milliseconds(seconds * 1000)}"
        for name, seconds in phases(each)
    ]
    return f"Sent after {start}: {', '.join(parts)}"
