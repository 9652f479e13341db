"""What who knows the true distributions would do: the best single launch at a fixed delay, and SingleR.

By a large sample of a world at one phase and all delays of a grid. Source of SingleR: Kaler, He, Elnikety, SPAA 2017:
reissue after d with probability q.
"""

from itertools import accumulate
from math import ceil, floor, inf
from random import Random

import msgspec

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import Tiers, World

SAMPLE = 40_000
"""Draws of a phase that stand for its distribution; five times as many where there is only one phase. A target of 0.999
is then known to a fifteenth of what it lets miss, or, in drifting worlds, to a sixth."""

STEPS = 500
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
    size = sample if phases > 1 else 5 * sample
    both = [_at(world, setting, (nth + 0.5) / phases, size) for nth in range(phases)]
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
    tally = _Tally(setting)
    for _ in range(size):
        tally.add(world.sample(random, phase))
    skip, *raced, never = tally.known(size)
    single = [skip]
    for way in raced:
        gained = way.start - never.start
        share = min(max((setting.target - never.start) / gained, 0.0), 1.0) if gained > 0.0 else 1.0
        start, cost = never.start + share * gained, never.cost + share * (way.cost - never.cost)
        single.append(Known(way.launch_s, share, start, cost, way.feasible))
    return _choose([skip, *raced]), _choose(single)


class _Tally:
    """Sums `outcome` over draws for all launches of the grid at once: as the launch moves later a draw's start and
    cost change at few places, so only those are noted, as differences.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.started, self.paid = [0.0] * (STEPS + 2), [0.0] * (STEPS + 2)
        self.alone_started = self.alone_paid = 0

    def add(self, tiers: Tiers) -> None:
        """Count one draw."""
        flex_s, flex_lost, default_s, default_lost = tiers
        setting, started, paid = self.setting, self.started, self.paid
        window_s = setting.window_s
        self.alone_started += not default_lost and default_s <= window_s
        self.alone_paid += not default_lost
        # Launches before `overtaken` let default win, those before `silent` are made at all.
        overtaken, silent = self._step(flex_s - default_s), self._step(flex_s)
        if flex_lost:
            won = other = 0.0 if default_lost else 1.0
            dear = 0.0 if default_lost else 1.0 + setting.billed * setting.price
        else:
            won, other = setting.price, setting.price + setting.billed
            dear = setting.price if default_lost else 1.0 + setting.billed * setting.price
        paid[0] += dear
        paid[overtaken] += other - dear
        paid[silent] += won - other
        if not flex_lost and flex_s <= window_s:
            started[0] += 1.0
        elif not default_lost and default_s <= window_s:
            started[0] += 1.0
            # A launch after a flex that was lost is made when that was.
            if not (flex_lost and flex_s + default_s <= window_s):
                started[self._step(window_s - default_s, beyond=True)] -= 1.0

    def known(self, size: int) -> list[Known]:
        """Default alone, each launch of the grid, and flex with default only after a loss."""
        setting = self.setting

        def way(launch_s: float | None, started: float, paid: float) -> Known:
            return Known(launch_s, 1.0, started / size, paid / size, started / size >= setting.target)

        found = [way(None, self.alone_started, self.alone_paid)]
        sums = zip(accumulate(self.started), accumulate(self.paid), strict=True)
        for step, (started, paid) in enumerate(sums):
            found.append(way(setting.window_s * step / STEPS if step <= STEPS else inf, started, paid))
        return found

    def _step(self, seconds: float, beyond: bool = False) -> int:
        """The first launch of the grid that is not before `seconds` (`beyond`: that is after it)."""
        place = seconds / self.setting.window_s * STEPS
        first = floor(place + 1e-9) + 1 if beyond else ceil(place - 1e-9)
        return min(max(first, 0), STEPS + 1)


def _choose(ways: list[Known]) -> Known:
    serving = [way for way in ways if way.feasible]
    if serving:
        return min(serving, key=lambda way: way.cost)
    return max(ways, key=lambda way: (way.start, -way.cost))
