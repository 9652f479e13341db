"""The policies that are compared. The rule: each sees only what it caused, but for those that are called oracles.

Fixed windows are set before a world is seen: half of the deadline for the switch, 10 s or half of it for the hedge.
"""

from random import Random
from typing import Protocol

import msgspec

from appliance.evaluation.setting import Setting
from appliance.evaluation.truth import Known, at_phase
from appliance.evaluation.world import Draw
from appliance.policy.buckets import COUNT, UPPER_S, bucket
from appliance.policy.exploration import Exploration, need
from appliance.policy.latency import Flight, LatencyModel, Series
from appliance.policy.launch import Candidate, Decision, decide
from appliance.policy.looks import move
from appliance.policy.survival import Curve

FLEX, DEFAULT = 0, 1


class Way(msgspec.Struct, frozen=True):
    """`first` at once, default after `launch_s` if flex is silent then (None: not by time). `check_s`: the launch is
    looked at again, then and as `next_look` says. `switch`: flex is cancelled by the launch; `beside`: both at once,
    flex for the sake of knowing it.
    """

    first: int
    launch_s: float | None = None
    check_s: float | None = None
    switch: bool = False
    beside: bool = False


class Policy(Protocol):
    """What the run asks and tells. `fallback`: a lost attempt is followed by the other tier."""

    fallback: bool

    def plan(self, draw: Draw, now_s: float) -> Way:
        """What to do with a request that has come."""
        ...

    def again(self, launch_s: float, now_s: float) -> float:
        """Flex is silent, and default waits to be launched `launch_s` after the request came: when it is to be now."""
        ...

    def began(self, tier: int, behind: bool, now_s: float) -> Flight | None:
        """An attempt was launched; `behind` a silent flex or not."""
        ...

    def won(self, tier: int, took_s: float, cost: float) -> None:
        """A request started so long after its attempt's launch, and cost so much in all."""
        ...

    def leave_running(self) -> bool:
        """Whether a silent flex that has lost runs on to the deadline."""
        ...

    def spared(self, cost: float) -> None:
        """So much less than an attempt could cost that was made or left running to learn of it."""
        ...


class Plain:
    """A policy that learns nothing: the same way for every request."""

    def __init__(self, way: Way, fallback: bool = True) -> None:
        self.way = way
        self.fallback = fallback

    def plan(self, draw: Draw, now_s: float) -> Way:
        """The way."""
        return self.way

    def again(self, launch_s: float, now_s: float) -> float:
        """As planned."""
        return launch_s

    def began(self, tier: int, behind: bool, now_s: float) -> Flight | None:
        """Nothing is counted."""
        return None

    def won(self, tier: int, took_s: float, cost: float) -> None:
        """Nothing is learned."""

    def leave_running(self) -> bool:
        """Losers are cut off."""
        return False

    def spared(self, cost: float) -> None:
        """No such attempts are made."""


class Percentile(Plain):
    """The hedge at the 95th percentile of winners: what is usually built after The Tail at Scale.

    It counts only who won, so attempts that were hedged away never lengthen what it believes.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(Way(FLEX))
        self.window_s = setting.window_s
        self.winners = [0] * COUNT

    def plan(self, draw: Draw, now_s: float) -> Way:
        """Launch at the percentile; half of the deadline while there are fewer than twenty."""
        total = sum(self.winners)
        if total < 20:
            return Way(FLEX, self.window_s / 2)
        seen = 0
        for place, count in enumerate(self.winners):
            seen += count
            if seen >= 0.95 * total:
                return Way(FLEX, min(UPPER_S[place], self.window_s))
        raise AssertionError("the sum is reached")

    def won(self, tier: int, took_s: float, cost: float) -> None:
        """Flex won after so long."""
        if tier == FLEX:
            self.winners[bucket(took_s)] += 1


class Knowing(Plain):
    """Knows the true distributions of each phase: the best fixed launch, or SingleR's coin."""

    def __init__(self, known: tuple[Known, ...], setting: Setting, seed: int) -> None:
        super().__init__(Way(FLEX))
        self.known, self.random = known, Random(f"coin {setting.name} {seed}")

    def plan(self, draw: Draw, now_s: float) -> Way:
        """The best way of this phase."""
        best = at_phase(self.known, draw.phase)
        if best.launch_s is None:
            return Way(DEFAULT)
        return Way(FLEX, best.launch_s if best.share >= 1.0 or self.random.random() < best.share else None)


class Clairvoyant(Plain):
    """Knows each draw: flex where it starts in time, else default where that does, else the cheaper that starts."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(Way(FLEX))
        self.window_s = setting.window_s

    def plan(self, draw: Draw, now_s: float) -> Way:
        """The one attempt that serves."""
        tiers = draw.tiers
        if not tiers.flex_lost and tiers.flex_s <= self.window_s:
            return Way(FLEX)
        if not tiers.default_lost and tiers.default_s <= self.window_s:
            return Way(DEFAULT)
        return Way(DEFAULT if tiers.flex_lost else FLEX)


class Ours:
    """The deadline engine as it serves requests: learned curves, the latest launch by their bounds, a purse to look."""

    def __init__(self, setting: Setting) -> None:
        self.fallback = True
        self.setting = setting
        self.model = LatencyModel()
        self.purse = Exploration(1.0)
        self.flex, self.default = Series("p", "m", "flex"), Series("p", "m", "default")
        self.behind = Series("p", "m", "default", 0, True)
        self.curves: tuple[Curve, ...] = ()
        self.rungs: tuple[Candidate, ...] = ()
        self.decision: Decision | None = None

    def decide(self, now_s: float) -> Decision:
        """The decision by what is known now; made anew only if a curve has changed."""
        curves = tuple(self.model.curve(series, now_s) for series in (self.flex, self.default, self.behind))
        if self.decision is None or any(a is not b for a, b in zip(curves, self.curves, strict=True)):
            x, y, behind = self.curves = curves
            setting = self.setting
            self.rungs = Candidate(x, x, setting.price, setting.billed), Candidate(y, behind, 1.0, setting.billed)
            self.decision = decide(self.rungs, setting.window_s, setting.target)
        return self.decision

    def plan(self, draw: Draw, now_s: float) -> Way:
        """The decision, or beside it a flex that would have been skipped."""
        found = self.decide(now_s)
        if self.purse.try_beside(found, self.rungs) is not None:
            return Way(DEFAULT, beside=True)
        return Way(found.first, found.launch_s, found.check_s) if found.second is not None else Way(found.first)

    def again(self, launch_s: float, now_s: float) -> float:
        """Sooner or later, by what is known now."""
        found, setting = self.decide(now_s), self.setting
        moved = move(found, self.rungs, FLEX, (DEFAULT, launch_s), setting.window_s, 1.0 - setting.target, 1.0)
        return launch_s if moved is None else moved[1]

    def began(self, tier: int, behind: bool, now_s: float) -> Flight | None:
        """An attempt in flight, which is censored at its present age."""
        series = self.flex if tier == FLEX else self.behind if behind else self.default
        return self.model.begin(series, now_s)

    def won(self, tier: int, took_s: float, cost: float) -> None:
        """What was paid fills the purse."""
        skipped = self.decision is not None and self.decision.first == DEFAULT
        self.purse.paid(cost, need(self.rungs[FLEX].alone, self.setting.window_s, skipped))

    def leave_running(self) -> bool:
        """If the purse allows."""
        return self.purse.leave_running(self.rungs[FLEX])

    def spared(self, cost: float) -> None:
        """Back into the purse."""
        self.purse.refund(cost)
