"""What a share of so many cases tells of the probability behind it. The rule: no share is shown without its bounds."""

from math import sqrt

import msgspec

Z_95 = 1.959964
"""Standard errors of a two-sided interval of 95 %."""


class Share(msgspec.Struct, frozen=True):
    """`hits` of `count`: the share, and between what bounds the probability lies (95 %)."""

    hits: int
    count: int
    share: float
    low: float
    high: float

    def holds(self, probability: float) -> bool:
        """Whether the cases could well have come of this probability."""
        return self.low <= probability <= self.high


def share_of(hits: int, count: int, z: float = Z_95) -> Share:
    """The share with Wilson's bounds (1927), which are right near 0 and 1, too. Of nothing nothing is known."""
    if count == 0:
        return Share(0, 0, 0.0, 0.0, 1.0)
    share, square = hits / count, z * z
    middle = (share + square / (2 * count)) / (1.0 + square / count)
    half = z * sqrt(share * (1.0 - share) / count + square / (4.0 * count * count)) / (1.0 + square / count)
    # At the ends the bound is the end itself; floats miss it by a hair.
    low = 0.0 if hits == 0 else max(middle - half, 0.0)
    high = 1.0 if hits == count else min(middle + half, 1.0)
    return Share(hits, count, share, low, high)
