"""What who knows the true distributions would do: the best single launch at a fixed delay, and SingleR.

By a large sample of a world at one phase and all delays of a grid. Source of SingleR: Kaler, He, Elnikety, SPAA 2017:
reissue after d with probability q.
"""

from bisect import bisect_left
from math import inf
from random import Random

import msgspec

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import Tiers, World

SAMPLE = 6000
"""Draws of a phase that stand for its distribution."""

STEPS = 100
"""Delays that are tried, as parts of the deadline."""

PHASES = 20
"""How often who knows all of a drifting world looks again."""


class Known(msgspec.Struct, frozen=True):
    """Launch default `launch_s` after flex, with probability `share`; `launch_s` None: flex is not started at all.

    `feasible`: the target is met. `start` and `cost` are what is expected.
    """

    launch_s: float | None
    share: float
    start: float
    cost: float
    feasible: bool


def truths(world: World, setting: Setting, sample: int = SAMPLE) -> tuple[tuple[Known, ...], tuple[Known, ...]]:
    """The best deterministic launch and the best SingleR, in each of the phases (one for a world that stands still)."""
    phases = PHASES if world.kind == "drifting" else 1
    both = [_at(world, setting, (nth + 0.5) / phases, sample) for nth in range(phases)]
    return tuple(fixed for fixed, _ in both), tuple(single for _, single in both)


def at_phase(known: tuple[Known, ...], phase: float) -> Known:
    """The one that holds then."""
    return known[min(int(phase * len(known)), len(known) - 1)]


def outcome(tiers: Tiers, launch_s: float, setting: Setting) -> tuple[float, float]:
    """When a race would start (inf: never) and what it would cost; a refused flex has default launched at once."""
    flex_s, flex_lost, default_s, default_lost = tiers
    if flex_s <= launch_s:
        if not flex_lost:
            return flex_s, setting.price
        return (inf, 0.0) if default_lost else (flex_s + default_s, 1.0)
    late_s = inf if default_lost else launch_s + default_s
    early_s = inf if flex_lost else flex_s
    if early_s <= late_s:
        # What failed before flex started cost nothing.
        beside = 0.0 if default_lost and launch_s + default_s < early_s else setting.billed
        return early_s, (setting.price + beside if early_s < inf else 0.0)
    return late_s, 1.0 + (0.0 if flex_lost and flex_s < late_s else setting.billed * setting.price)


def _at(world: World, setting: Setting, phase: float, size: int) -> tuple[Known, Known]:
    random = Random(f"truth {world.name} {phase}")
    sample = [world.sample(random, phase) for _ in range(size)]
    window_s, target = setting.window_s, setting.target
    alone_s = sorted(inf if one.default_lost else one.default_s for one in sample)
    start = bisect_left(alone_s, window_s) / size
    skip = Known(None, 1.0, start, 1.0 - sum(s == inf for s in alone_s) / size, start >= target)
    never = _race(sample, inf, setting)
    fixed, single = [skip], [skip]
    for step in range(STEPS + 1):
        launch_s = window_s * step / STEPS
        start, cost = _race(sample, launch_s, setting)
        fixed.append(Known(launch_s, 1.0, start, cost, start >= target))
        share = min(max((target - never[0]) / (start - never[0]), 0.0), 1.0) if start > never[0] else 1.0
        single.append(
            Known(
                launch_s,
                share,
                never[0] + share * (start - never[0]),
                never[1] + share * (cost - never[1]),
                start >= target,
            )
        )
    return _choose(fixed), _choose(single)


def _race(sample: list[Tiers], launch_s: float, setting: Setting) -> tuple[float, float]:
    started, paid = 0, 0.0
    for tiers in sample:
        start_s, cost = outcome(tiers, launch_s, setting)
        started += start_s <= setting.window_s
        paid += cost
    return started / len(sample), paid / len(sample)


def _choose(ways: list[Known]) -> Known:
    serving = [way for way in ways if way.feasible]
    if serving:
        return min(serving, key=lambda way: way.cost)
    return max(ways, key=lambda way: (way.start, -way.cost))
