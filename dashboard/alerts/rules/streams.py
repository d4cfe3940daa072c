"""Streamed replies that break: what else fails says nothing of streams."""

from collections.abc import Sequence
from datetime import datetime

from dashboard.alerts.rules.error_rate import error_rate
from dashboard.alerts.rules.verdict import Limits, Sample, Verdict
from dashboard.probes.taxonomy import Category, meaning


def stream_failures(
    samples: Sequence[Sample], limits: Limits, window_s: int, now: datetime
) -> Verdict:
    """Judge one probe's streams as its error rate is judged, by those that began."""
    streams = [each for each in samples if not each.bad or _broke(each.error_class)]
    return error_rate(streams, limits, window_s, now)


def _broke(error_class: str) -> bool:
    return meaning(error_class).category is Category.STREAMING
