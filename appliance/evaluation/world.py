"""The worlds that policies are judged in: how long two tiers take to start, and how that changes. The rule: seeded.

A world draws, for a request at `phase` (0 at the first request, 1 at the last), what both tiers would do if they were
asked: so all policies of a seed see the same draws (common random numbers), and their differences are their own.
"""

from collections.abc import Callable
from math import exp, log, pi, sin
from random import Random
from typing import Literal, NamedTuple

import msgspec

FLEX_S, FLEX_SIGMA = 8.0, 1.1
DEFAULT_S, DEFAULT_SIGMA = 1.2, 0.5
RATE_PER_S = 4.0


class Tiers(NamedTuple):
    """After how many seconds each tier starts or, if `lost`, refuses or fails."""

    flex_s: float
    flex_lost: bool
    default_s: float
    default_lost: bool


class Draw(NamedTuple):
    """One request: when it comes, at what share of the run, and what each tier would do."""

    at_s: float
    phase: float
    tiers: Tiers


class World(msgspec.Struct, frozen=True):
    """`sample` draws both tiers at a phase, `rate` is the arrivals per second then. `warm`: whether the first requests,
    while nothing is known, are left out of what is judged.
    """

    name: str
    about: str
    kind: Literal["stationary", "drifting"]
    sample: Callable[[Random, float], Tiers]
    rate: Callable[[float], float] = lambda _: RATE_PER_S
    warm: bool = True


def draws(world: World, seed: int, count: int) -> list[Draw]:
    """The requests of one run; Poisson arrivals."""
    random = Random(f"{world.name} {seed}")
    at_s, found = 0.0, []
    for nth in range(count):
        phase = nth / count
        at_s += random.expovariate(world.rate(phase))
        found.append(Draw(at_s, phase, world.sample(random, phase)))
    return found


def _flex(random: Random, times: float = 1.0) -> float:
    return random.lognormvariate(log(FLEX_S * times), FLEX_SIGMA)


def _default(random: Random, times: float = 1.0) -> float:
    return random.lognormvariate(log(DEFAULT_S * times), DEFAULT_SIGMA)


def _stationary(random: Random, phase: float) -> Tiers:
    return Tiers(_flex(random), False, _default(random), False)


def _heavy(random: Random, phase: float) -> Tiers:
    flex_s = random.lognormvariate(log(6.0), 1.9)
    default_s = _default(random) if random.random() < 0.98 else 3.0 * random.paretovariate(1.5)
    return Tiers(flex_s, False, default_s, random.random() < 0.0005)


def _queueing(random: Random, phase: float) -> Tiers:
    if random.random() < 0.1:
        return Tiers(random.uniform(0.1, 1.0), True, _default(random), False)
    median_s, sigma = (3.0, 0.4) if random.random() < 0.7 else (40.0, 0.5)
    return Tiers(random.lognormvariate(log(median_s), sigma), False, _default(random), False)


def _load(phase: float) -> float:
    return 1.0 + 0.6 * sin(4.0 * pi * phase)


def _diurnal(random: Random, phase: float) -> Tiers:
    load = _load(phase)
    return Tiers(_flex(random, 0.4 * exp(load)), False, _default(random, 0.7 + 0.3 * load), False)


def _collapse(random: Random, phase: float) -> Tiers:
    return Tiers(_flex(random, 40.0 if 0.4 <= phase < 0.6 else 1.0), False, _default(random), False)


def _drift(random: Random, phase: float) -> Tiers:
    return Tiers(_flex(random), False, _default(random, 1.0 + 2.0 * phase), False)


def _correlated(random: Random, phase: float) -> Tiers:
    shared = random.gauss(0.0, 1.0)

    def tier(median_s: float, sigma: float) -> float:
        return median_s * exp(sigma * (0.7 * shared + 0.714 * random.gauss(0.0, 1.0)))

    return Tiers(tier(FLEX_S, FLEX_SIGMA), False, tier(DEFAULT_S, 0.7), False)


def _outage(random: Random, phase: float) -> Tiers:
    down = 0.5 <= phase < 0.55
    return Tiers(
        random.uniform(0.1, 0.5) if (lost := down and random.random() < 0.8) else _flex(random),
        lost,
        random.uniform(0.1, 0.5) if (failed := down and random.random() < 0.8) else _default(random),
        failed,
    )


WORLDS: tuple[World, ...] = (
    World("lognormal", "both tiers log-normal: 8 s and 1.2 s in the median", "stationary", _stationary),
    World("heavy", "flex with a sigma of 1.9, two of a hundred of default from a Pareto tail", "stationary", _heavy),
    World("queueing", "flex is quick or queues, 3 or 40 s, and refuses one in ten", "stationary", _queueing),
    World("diurnal", "two days: load, and with it both tiers, rises and falls", "drifting", _diurnal,
          lambda phase: RATE_PER_S * _load(phase)),
    World("collapse", "flex is forty times as slow, suddenly, for a fifth of the run", "drifting", _collapse),
    World("drift", "default slows down to a third of its speed", "drifting", _drift),
    World("correlated", "half of what makes a tier slow is shared by both", "stationary", _correlated),
    World("cold", "log-normal, judged from the first request on", "stationary", _stationary, warm=False),
    World("outage", "both tiers refuse four of five for a twentieth of the run", "drifting", _outage),
)  # fmt: skip
