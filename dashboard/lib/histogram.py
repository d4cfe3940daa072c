"""A log histogram of latencies that merges exactly: any quantile within one per cent.

Buckets are runs of whole microseconds from 0.1 ms to 300 s, each so narrow that one value
stands for all of it with a relative error of at most `ALPHA`; values outside count in the
first or last bucket. A histogram is stored as bytes, little-endian:

    version u8 | offset u16 | count u32 | one u32 lane for each bucket from `offset` on

and no bytes at all when it is empty. Lanes cost bytes against a sparse form, and merge by
adding the whole row of them as one big integer: 30 days of 100 probes in some 8 ms.
"""

import struct
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

ALPHA = 0.01
LEAST_US = 100
MOST_US = 300_000_000

_VERSION = 1
_HEADER = struct.Struct("<BHI")
_LANE_BITS = 32
_LANE_BYTES = 4
_FULL = (1 << _LANE_BITS) - 1
_SHARES = 10_000


def _lower_bounds() -> list[int]:
    """Return the least value of each bucket, as wide as ALPHA lets it be.

    The value 2ab / (a + b) is off by (b - a) / (b + a) at both ends of [a, b], so the
    last value that belongs to a bucket from `a` is floor(a * (1 + ALPHA) / (1 - ALPHA)).
    """
    bounds = [LEAST_US]
    while True:
        above = bounds[-1] * 101 // 99 + 1
        if above > MOST_US:
            return bounds
        bounds.append(above)


_BOUNDS = _lower_bounds()
_INNER = _BOUNDS[1:]
_LAST_VALUES = [bound - 1 for bound in _INNER] + [MOST_US]


def of(values_us: Iterable[int]) -> bytes:
    """Return the histogram of some latencies in microseconds."""
    counts = Counter(bisect_right(_INNER, value) for value in values_us)
    if not counts:
        return b""
    offset = min(counts)
    lanes = [0] * (max(counts) - offset + 1)
    for bucket, number in counts.items():
        lanes[bucket - offset] = number
    header = _HEADER.pack(_VERSION, offset, _fitting(sum(lanes)))
    return header + struct.pack(f"<{len(lanes)}I", *lanes)


def merge(blobs: Iterable[bytes]) -> bytes:
    """Return the histogram of everything that is in `blobs`; order does not matter.

    Raise OverflowError when a count would not fit its lane, instead of carrying into the
    next one, and ValueError for bytes that are no histogram.
    """
    filled = [blob for blob in blobs if blob]
    if not filled:
        return b""
    if len(filled) == 1:
        return filled[0]
    versions, offsets, totals = zip(*map(_HEADER.unpack_from, filled), strict=True)
    for version in set(versions):
        _known(version)
    offset = min(offsets)
    lanes = 0
    for blob, first in zip(filled, offsets, strict=True):
        row = int.from_bytes(blob[_HEADER.size :], "little")
        lanes += row << (_LANE_BITS * (first - offset))
    # No lane holds more than the total, so a total that fits proves that none carried.
    total = _fitting(sum(totals))
    header = _HEADER.pack(_VERSION, offset, total)
    length = -(-lanes.bit_length() // _LANE_BITS)
    return header + lanes.to_bytes(length * _LANE_BYTES, "little")


def count(blob: bytes) -> int:
    """Return how many latencies are in the histogram."""
    return _header(blob)[1] if blob else 0


def above(blob: bytes, value_us: float) -> int:
    """Return how many latencies are longer than `value_us`, to within its own bucket.

    Those in the bucket that `value_us` is in do not count: within ALPHA of it they are
    not longer for sure.
    """
    if not blob:
        return 0
    offset, _ = _header(blob)
    first = max(0, bisect_right(_INNER, value_us) + 1 - offset)
    lanes = memoryview(blob)[_HEADER.size + first * _LANE_BYTES :]
    return sum(number for (number,) in struct.iter_unpack("<I", lanes))


def quantile(blob: bytes, q: float) -> float | None:
    """Return one nearest-rank quantile; see `quantiles`."""
    found = quantiles(blob, (q,))
    return found[0] if found else None


def quantiles(blob: bytes, shares: Sequence[float]) -> list[float] | None:
    """Return nearest-rank quantiles in microseconds, or None for an empty histogram.

    Each is the value number ceil(q * n) of n in order, like SQL's percentile_disc, within
    a relative error of ALPHA. `q` is taken to four decimals and the rank is computed in
    integers: 0.95 of 20 is number 19, never 20 by a rounding error.
    """
    if not blob:
        return None
    offset, total = _header(blob)
    lanes = memoryview(blob)[_HEADER.size :]
    seen = list(accumulate(struct.unpack(f"<{len(lanes) // _LANE_BYTES}I", lanes)))
    if not seen or seen[-1] != total:
        raise ValueError(f"the histogram does not hold the {total} values it names")
    ranks = [max(1, -(-round(q * _SHARES) * total // _SHARES)) for q in shares]
    return [_value_us(offset + bisect_left(seen, rank)) for rank in ranks]


def _value_us(bucket: int) -> float:
    least, most = _BOUNDS[bucket], _LAST_VALUES[bucket]
    return 2 * least * most / (least + most)


def _header(blob: bytes) -> tuple[int, int]:
    version, offset, number = _HEADER.unpack_from(blob)
    _known(version)
    return offset, number


def _known(version: int) -> None:
    if version != _VERSION:
        raise ValueError(f"histogram version {version} is not {_VERSION}")


def _fitting(total: int) -> int:
    if total > _FULL:
        raise OverflowError(f"{total} values do not fit a histogram of {_FULL}")
    return total
