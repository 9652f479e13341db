"""Which policies meet in which worlds and settings, how often, and what came of it. The rule: a cell is done or not.

A cell is a world and a setting with all policies and seeds. It is one JSON file, so a run that was stopped goes on
where it was, and two runs with halves of the cells side by side use two cores.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance.evaluation.policy import DEFAULT, FLEX, Clairvoyant, Knowing, Ours, Percentile, Plain, Policy, Way
from appliance.evaluation.run import Run, Served
from appliance.evaluation.setting import SETTINGS, Setting
from appliance.evaluation.truth import Known, truths
from appliance.evaluation.world import WORLDS, World, draws

WARM_UP = 500
"""Requests that are not judged, but in the world that is about them; of a short run a third."""

WINDOW = 2000
"""Requests over which a drifting world's start rate is judged, each such row of them."""

ORACLES = frozenset({"best_launch", "single_r", "clairvoyant"})
HEDGE_S = 10.0


class Size(msgspec.Struct, frozen=True):
    """How much is run. `settings`: of the 24, for each world; `sample`: draws for the truth."""

    settings: int
    seeds: int
    requests: int
    sample: int


SIZES = {
    "smoke": Size(1, 2, 1500, 4000),
    "standard": Size(3, 20, 5000, 40_000),
    "full": Size(24, 20, 5000, 40_000),
}


class Figures(msgspec.Struct, frozen=True):
    """One policy, one seed: the share that started in time (in the worst row of WINDOW requests too), the mean cost in
    default answers, the share for which default was asked.
    """

    start: float
    worst: float
    cost: float
    dear: float


class Cell(msgspec.Struct, frozen=True):
    """`attainable`: the share of the run in which some single launch meets the target. `explored`: ours, by seed, of
    all that it spent.
    """

    world: str
    kind: str
    setting: Setting
    requests: int
    attainable: float
    figures: dict[str, list[Figures]]
    explored: list[float]

    @property
    def name(self) -> str:
        """For file names and tables."""
        return f"{self.world}-{self.setting.name}"


def cells(size: Size) -> list[tuple[World, Setting]]:
    """Which settings each world is judged in; from three on each of the 24 is used."""
    stride = 7  # prime to 24, so neighbours differ in every factor
    return [
        (world, SETTINGS[(place * 3 + nth) * stride % len(SETTINGS)])
        for place, world in enumerate(WORLDS)
        for nth in range(size.settings)
    ]


def policies(setting: Setting, known: tuple[tuple[Known, ...], tuple[Known, ...]], seed: int) -> dict[str, Policy]:
    """All that are compared, new."""
    fixed, single = known
    half_s = setting.window_s / 2
    return {
        "always_default": Plain(Way(DEFAULT), fallback=False),
        "always_flex": Plain(Way(FLEX)),
        "switch": Plain(Way(FLEX, half_s, switch=True)),
        "fixed_hedge": Plain(Way(FLEX, min(HEDGE_S, half_s))),
        "p95_hedge": Percentile(setting),
        "ours": Ours(setting),
        "best_launch": Knowing(fixed, setting, seed),
        "single_r": Knowing(single, setting, seed),
        "clairvoyant": Clairvoyant(setting),
    }


def play(world: World, setting: Setting, size: Size, step: Callable[[], None]) -> Cell:
    """Run one cell; `step` is called after each seed."""
    known = truths(world, setting, size.sample)
    figures: dict[str, list[Figures]] = {}
    explored = []
    for seed in range(size.seeds):
        requests = draws(world, seed, size.requests)
        for name, policy in policies(setting, known, seed).items():
            served = Run(requests, policy, setting).play()
            judged = served[min(WARM_UP, size.requests // 3) if world.warm else 0 :]
            figures.setdefault(name, []).append(_figures(judged, setting.window_s))
            if isinstance(policy, Ours):
                explored.append(policy.purse.used / max(policy.purse.spent, 1e-9))
        step()
    attainable = sum(one.feasible for one in known[0]) / len(known[0])
    return Cell(world.name, world.kind, setting, size.requests, attainable, figures, explored)


def study(size: Size, folder: Path | None, part: tuple[int, int], step: Callable[[], None]) -> Iterator[Cell]:
    """All cells of one part (1 of 2, 2 of 2); those that lie in the folder are read."""
    for nth, (world, setting) in enumerate(cells(size)):
        if nth % part[1] != part[0] - 1:
            continue
        file = folder / f"{world.name}-{setting.name}.json" if folder is not None else None
        if file is not None and file.exists():
            cell = msgspec.json.decode(file.read_bytes(), type=Cell)
            if cell.requests == size.requests and len(cell.figures["ours"]) == size.seeds:
                for _ in range(size.seeds):
                    step()
                yield cell
                continue
        cell = play(world, setting, size, step)
        if file is not None:
            unfinished = file.with_suffix(".part")
            unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(cell), indent=1))
            unfinished.replace(file)
        yield cell


def _figures(served: list[Served], window_s: float) -> Figures:
    count = len(served)
    met = [one.start_s <= window_s for one in served]
    running = sum(met[:WINDOW])
    worst = running
    for nth in range(WINDOW, count):
        running += met[nth] - met[nth - WINDOW]
        worst = min(worst, running)
    return Figures(
        sum(met) / count,
        worst / min(WINDOW, count),
        sum(one.cost for one in served) / count,
        sum(one.dear for one in served) / count,
    )
