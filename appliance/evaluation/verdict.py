"""What a cell shows: means over seeds with their errors, and whether each promise holds. The rule: a miss is named.

Intervals are of 95 %, by Student's t over the seeds. A promise is broken only where the interval says so.
"""

from collections.abc import Callable
from math import sqrt
from statistics import fmean, stdev

import msgspec

from appliance.evaluation.study import ORACLES, WINDOW, Cell, Figures

START_SLACK = 0.002
WINDOW_SLACK = 0.01
RATIO, RATIO_OF_THREE_NINES, RATIO_DRIFTING = 1.03, 1.06, 1.10
OVER_DEFAULT = 1.01
EXPLORING = 0.01
"""What knowing may cost: a baseline that happens to be right needs not look."""

_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 7: 2.36, 9: 2.26, 14: 2.14, 19: 2.09}


class Mean(msgspec.Struct, frozen=True):
    """A mean and half of its interval of 95 %."""

    value: float
    margin: float

    @classmethod
    def of(cls, values: list[float]) -> "Mean":
        """Over seeds; one seed has no interval."""
        count = len(values)
        if count < 2:
            return cls(values[0], 0.0)
        t = _T[max(known for known in _T if known <= count - 1)]
        return cls(fmean(values), t * stdev(values) / sqrt(count))


class Verdict(msgspec.Struct, frozen=True):
    """Ours in one cell: start rate, cost in default answers, cost by the best single launch's, the costs beside it.

    `broken`: the promises that do not hold, in words. `attainable`: the share of the run in which a launch can meet the
    target; where that is 0 only the comparison with always default is made.
    """

    world: str
    setting: str
    target: float
    attainable: float
    start: Mean
    worst: Mean
    cost: Mean
    ratio: Mean
    explored: float
    broken: tuple[str, ...]


def judge(cell: Cell) -> Verdict:
    """Compare ours with the promises and with the other policies, on the same draws."""
    ours = cell.figures["ours"]
    start, worst = Mean.of([one.start for one in ours]), Mean.of([one.worst for one in ours])
    ratio = _paired(cell, "best_launch", lambda mine, theirs: mine.cost / theirs.cost)
    broken = []
    if cell.attainable > 0.0:
        broken += _late(cell) if cell.attainable >= 1.0 else _later(cell)
        if cell.kind == "drifting":
            most = RATIO_DRIFTING
        else:
            most = RATIO_OF_THREE_NINES if cell.setting.target > 0.99 else RATIO
        if ratio.value - ratio.margin > most:
            broken.append(f"cost {ratio.value:.3f} of the best launch > {most:.2f}")
        broken += _beaten(cell)
    default = Mean.of([one.start for one in cell.figures["always_default"]])
    if default.value - default.margin >= cell.setting.target:
        over = _paired(cell, "always_default", lambda mine, theirs: mine.cost / max(theirs.cost, 1e-9))
        if over.value - over.margin > OVER_DEFAULT:
            broken.append(f"cost {over.value:.3f} of always default")
    return Verdict(
        cell.world, cell.setting.name, cell.setting.target, cell.attainable, start, worst,
        Mean.of([one.cost for one in ours]), ratio, fmean(cell.explored), tuple(broken),
    )  # fmt: skip


def _paired(cell: Cell, name: str, measure: Callable[[Figures, Figures], float]) -> Mean:
    """Ours beside another policy, seed by seed."""
    return Mean.of([measure(*both) for both in zip(cell.figures["ours"], cell.figures[name], strict=True)])


def _late(cell: Cell) -> list[str]:
    """Where a launch can meet the target throughout: whether it is met."""
    ours, target = cell.figures["ours"], cell.setting.target
    if cell.kind == "stationary":
        start, least = Mean.of([one.start for one in ours]), target - START_SLACK
        return [f"start {start.value:.4f} < {least:.3f}"] if start.value + start.margin < least else []
    worst, least = Mean.of([one.worst for one in ours]), target - WINDOW_SLACK
    # The margin of one window, which is one of many: its binomial error twice.
    margin = 2.0 * sqrt(target * (1.0 - target) / min(WINDOW, cell.requests))
    return [f"worst window {worst.value:.4f} < {least:.3f}"] if worst.value + margin < least else []


def _later(cell: Cell) -> list[str]:
    """Where no launch can meet it all the time: whether ours is as near as the best one."""
    fewer = _paired(cell, "best_launch", lambda mine, theirs: theirs.worst - mine.worst)
    lost = fewer.value - fewer.margin > WINDOW_SLACK
    return [f"worst window {fewer.value:.4f} below the best launch's"] if lost else []


def _beaten(cell: Cell) -> list[str]:
    """Baselines that start as often and cost less."""
    ours, found = cell.figures["ours"], []
    for name, theirs in cell.figures.items():
        if name == "ours" or name in ORACLES:
            continue
        starts = Mean.of([a.start - b.start for a, b in zip(theirs, ours, strict=True)])
        saves = Mean.of([b.cost - a.cost for a, b in zip(theirs, ours, strict=True)])
        if starts.value - starts.margin >= 0.0 and saves.value - saves.margin > EXPLORING * fmean(
            one.cost for one in ours
        ):
            found.append(f"{name} starts as often for {saves.value:.3f} less")
    return found
