"""Quantiles, medians and verdicts of the bench. The rule: pure arithmetic, so that it can be tested without a clock."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["aim met", "floor met", "NOT MET", "not judged", "not run"]


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile: the least value that at least `share` of the values do not exceed.

    Raises ValueError when there are no values or `share` is not within 0..1.
    """
    if not values:
        raise ValueError("no values")
    if not 0.0 <= share <= 1.0:
        raise ValueError("a share is within 0..1")
    # The small amount keeps 0.99 * 100 (98.99999...) from becoming a rank too high.
    rank = math.ceil(share * len(values) - 1e-9)
    return sorted(values)[max(rank - 1, 0)]


def median(values: Iterable[float]) -> float:
    """The median of the rounds. Raises statistics.StatisticsError when there are none."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """How far the rounds lie apart: (largest - smallest) / median; 0 for one round."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the largest, in the unit of the values, with their number."""
    return {
        "p50": quantile(values, 0.5),
        "p99": quantile(values, 0.99),
        "p99.9": quantile(values, 0.999),
        "max": max(values),
        "number": len(values),
    }


@dataclass(frozen=True)
class Budget:
    """A floor, which must be met, and an aim. `more_is_better` says on which side of them a figure should lie."""

    floor: float
    aim: float
    more_is_better: bool = False

    def verdict(self, figure: float | None) -> Verdict:
        """How the figure compares; None (the scenario did not run) is never a success."""
        if figure is None:
            return "not run"
        sign = 1.0 if self.more_is_better else -1.0
        if sign * figure >= sign * self.aim:
            return "aim met"
        if sign * figure >= sign * self.floor:
            return "floor met"
        return "NOT MET"
