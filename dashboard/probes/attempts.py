"""The attempts and the stream of one outcome: packed to be stored, unpacked to be shown.

An attempt is kept as [error class, status, wait s, latency s, connect s, tls s,
first byte s, body s], and only where a call failed or was retried; the one attempt of
every other call is told by the outcome's own columns.
"""

from dataclasses import dataclass

from dashboard.probes.models import Outcome


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One HTTP exchange, in seconds; a phase is None where it was not reached.

    `wait_s` is how long was waited before it. Plain http has no `tls_s`.
    """

    error_class: str
    status_code: int | None
    wait_s: float
    latency_s: float
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    body_s: float | None = None

    def packed(self) -> list[object]:
        phases = (self.connect_s, self.tls_s, self.first_byte_s, self.body_s)
        return [
            self.error_class,
            self.status_code,
            round(self.wait_s, 3),
            round(self.latency_s, 6),
            *(None if seconds is None else round(seconds, 6) for seconds in phases),
        ]


@dataclass(frozen=True, slots=True)
class PastStream:
    """What came of a streamed reply; None is what was never reached.

    `skipped` counts unreadable events. How it ended is in `finish_reason` where the
    reply said so, else in the outcome's error class.
    """

    ttft_s: float | None
    chunks: int
    longest_gap_s: float | None
    finish_reason: str
    skipped: int

    def packed(self) -> list[object]:
        """Return all but the time to the first token, which has a column of its own."""
        gap_s = self.longest_gap_s
        gap_s = None if gap_s is None else round(gap_s, 3)
        return [self.chunks, gap_s, self.finish_reason, self.skipped]


def attempts_of(outcome: Outcome) -> tuple[PastAttempt, ...]:
    """Return the outcome's attempts in order; none where nothing was sent."""
    if outcome.attempt_log:
        return tuple(PastAttempt(*packed) for packed in outcome.attempt_log)
    if not outcome.attempts:
        return ()
    return (
        PastAttempt(
            error_class=outcome.error_class,
            status_code=outcome.status_code,
            wait_s=0.0,
            latency_s=outcome.latency_us / 1e6,
            connect_s=_seconds(outcome.connect_us),
            tls_s=_seconds(outcome.tls_us),
            first_byte_s=_seconds(outcome.first_byte_us),
            body_s=_seconds(body_us(outcome)),
        ),
    )


def body_us(outcome: Outcome) -> int | None:
    """Return what the other phases leave of the latency, None where none came."""
    if outcome.first_byte_us is None:
        return None
    before = (outcome.connect_us or 0) + (outcome.tls_us or 0) + outcome.first_byte_us
    return max(0, outcome.latency_us - before)


def stream_of(outcome: Outcome) -> PastStream | None:
    """Return what came of the streamed reply, None where the call had no stream."""
    if outcome.stream is None:
        return None
    chunks, longest_gap_s, finish_reason, skipped = outcome.stream
    return PastStream(
        _seconds(outcome.ttft_us), chunks, longest_gap_s, finish_reason, skipped
    )


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6
