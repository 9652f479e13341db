"""What a cell shows: means over seeds with their errors, and whether each promise holds. The rule: a miss is named.

Intervals are of 95 %, by Student's t over the seeds. A promise is broken only where the interval says so.
"""

from math import sqrt
from statistics import fmean, stdev

import msgspec

from appliance.evaluation.study import ORACLES, WINDOW, Cell

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

    `broken`: the promises that do not hold, in words; `attainable` False: no promise was made.
    """

    world: str
    setting: str
    target: float
    attainable: bool
    start: Mean
    worst: Mean
    cost: Mean
    ratio: Mean
    explored: float
    broken: tuple[str, ...]


def judge(cell: Cell) -> Verdict:
    """Compare ours with the promises and with the other policies, on the same draws."""
    ours, setting = cell.figures["ours"], cell.setting
    best, default = cell.figures["best_launch"], cell.figures["always_default"]
    start, worst = Mean.of([one.start for one in ours]), Mean.of([one.worst for one in ours])
    ratio = Mean.of([mine.cost / theirs.cost for mine, theirs in zip(ours, best, strict=True)])
    over = Mean.of([mine.cost / max(theirs.cost, 1e-9) for mine, theirs in zip(ours, default, strict=True)])
    attainable = cell.attainable >= 1.0
    broken = []
    if attainable:
        if cell.kind == "stationary":
            least = setting.target - START_SLACK
            if start.value + start.margin < least:
                broken.append(f"start {start.value:.4f} < {least:.3f}")
            most = RATIO_OF_THREE_NINES if setting.target > 0.99 else RATIO
        else:
            margin = 2.0 * sqrt(setting.target * (1.0 - setting.target) / min(WINDOW, cell.requests))
            least = setting.target - WINDOW_SLACK
            if worst.value + margin < least:
                broken.append(f"worst window {worst.value:.4f} < {least:.3f}")
            most = RATIO_DRIFTING
        if ratio.value - ratio.margin > most:
            broken.append(f"cost {ratio.value:.3f} of the best launch > {most:.2f}")
        if over.value - over.margin > OVER_DEFAULT and fmean(one.start for one in default) >= setting.target:
            broken.append(f"cost {over.value:.3f} of always default")
        broken += _beaten(cell)
    return Verdict(
        cell.world, setting.name, setting.target, attainable, start, worst,
        Mean.of([one.cost for one in ours]), ratio, fmean(cell.explored), tuple(broken),
    )  # fmt: skip


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
