"""Times as log-spaced buckets, 1 ms to 1 h 40 min. The rule: one mapping for all histograms, so that any two add up.

The mapping is DDSketch's (Masson, Rim, Lee, VLDB 2019): bucket i holds the times in (upper(i-1), upper(i)], so a time
read back as its bucket's upper end is at most 5 % too long, never too short.
"""

from math import ceil, log

GROWTH = 1.05
LEAST_S = 0.001
COUNT = 320

_LOG_GROWTH = log(GROWTH)

UPPER_S: tuple[float, ...] = tuple(LEAST_S * GROWTH**place for place in range(COUNT))
"""The upper end of each bucket, in seconds. The last one takes whatever is longer, too."""


def bucket(seconds: float) -> int:
    """The bucket of a time. Times below the first and beyond the last bucket fall into those."""
    if seconds <= LEAST_S:
        return 0
    return min(ceil(log(seconds / LEAST_S) / _LOG_GROWTH - 1e-9), COUNT - 1)


def whole_bucket(seconds: float) -> int:
    """The last bucket that has ended by then, -1 if none has: what is known to have happened within that time."""
    if seconds < LEAST_S:
        return -1
    return min(int(log(seconds / LEAST_S) / _LOG_GROWTH + 1e-9), COUNT - 1)
