"""The slope of a series with a confidence interval. The rule: pure arithmetic, so that no clock is in its tests.

Samples that follow each other closely are alike, so that a line through all of them would claim too much: the line goes
through the means of equal parts of the time, and the interval is Student's for their number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T_95_MORE = ((20, 2.086), (30, 2.042), (60, 2.000), (math.inf, 1.960))


def student(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's distribution, of the next smaller number of degrees in the table."""
    if freedom <= len(_T_95):
        return _T_95[freedom - 1]
    known = _T_95[-1]
    for least, value in _T_95_MORE:
        if freedom < least:
            break
        known = value
    return known


@dataclass(frozen=True)
class Slope:
    """So much more with each unit of `x`; with 95 % confidence between `low` and `high`."""

    each: float
    low: float
    high: float

    def grows(self, over: float, tolerance: float) -> bool:
        """Whether it surely grows, and by more than `tolerance` over so many units of `x`."""
        return self.low > 0 and self.each * over > tolerance


def slope(x: Sequence[float], y: Sequence[float], parts: int = 12) -> Slope:
    """The slope of `y` over `x` (rising). Raises ValueError with fewer than three parts that have samples."""
    first, width = x[0], (x[-1] - x[0]) / parts or 1.0
    means: list[tuple[float, float]] = []
    for part in range(parts):
        inside = [(a, b) for a, b in zip(x, y, strict=True) if min(int((a - first) / width), parts - 1) == part]
        if inside:
            means.append((fmean(a for a, _ in inside), fmean(b for _, b in inside)))
    if len(means) < 3:
        raise ValueError("too few samples for a slope")
    middle_x, middle_y = fmean(a for a, _ in means), fmean(b for _, b in means)
    spread = sum((a - middle_x) ** 2 for a, _ in means)
    each = sum((a - middle_x) * (b - middle_y) for a, b in means) / spread
    rest = sum((b - middle_y - each * (a - middle_x)) ** 2 for a, b in means)
    error = math.sqrt(rest / (len(means) - 2) / spread) * student(len(means) - 2)
    return Slope(each, each - error, each + error)
