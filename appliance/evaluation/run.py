"""One policy in one world on virtual time: a heap of events. The rule: what an attempt does is drawn before, who is
asked is the policy's affair, and it learns only when it would.

Costs are in units of a default answer. What starts and wins costs its whole price; what is cancelled while silent
`billed` of it; what is refused or fails nothing; a loser that is left running its whole price.
"""

from heapq import heappop, heappush
from math import inf
from typing import Literal

import msgspec

from appliance.evaluation.policy import DEFAULT, FLEX, Policy, Way
from appliance.evaluation.setting import Setting
from appliance.evaluation.world import Draw
from appliance.policy.histogram import Cause
from appliance.policy.latency import Flight
from appliance.policy.looks import next_look

Kind = Literal["arrives", "timer", "ends", "stop"]


class Served(msgspec.Struct):
    """What became of one request: seconds to the start (inf: never), cost, whether default was asked, flex answered."""

    start_s: float
    cost: float
    dear: bool
    flex: bool = False


class _Attempt:
    __slots__ = ("began_s", "flight", "running")

    def __init__(self, flight: Flight | None, began_s: float) -> None:
        self.flight, self.began_s, self.running = flight, began_s, True

    def end(self, cause: Cause, now_s: float) -> None:
        self.running = False
        if self.flight is not None:
            self.flight.end(cause, now_s)


class _Request:
    __slots__ = ("attempts", "cost", "draw", "flex", "launch_s", "look_s", "looking", "start_s", "way")

    way: Way

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.attempts: list[_Attempt | None] = [None, None]
        self.start_s: float | None = None
        self.cost = 0.0
        self.launch_s = self.look_s = inf  # since it came
        self.looking = self.flex = False


class Run:
    """Plays all requests of `draws`; `play` returns what became of each, in their order."""

    def __init__(self, draws: list[Draw], policy: Policy, setting: Setting) -> None:
        self.policy, self.setting = policy, setting
        self.costs = (setting.price, 1.0)
        self.requests = [_Request(draw) for draw in draws]
        self.heap: list[tuple[float, int, Kind, int, int]] = []
        self.pushed = 0

    def play(self) -> list[Served]:
        """Run to the end."""
        for nth, request in enumerate(self.requests):
            self._push(request.draw.at_s, "arrives", nth)
        while self.heap:
            now_s, _, kind, nth, tier = heappop(self.heap)
            request = self.requests[nth]
            if kind == "arrives":
                self._arrives(request, nth, now_s)
            elif kind == "timer":
                self._timer(request, nth, now_s)
            elif kind == "ends":
                self._ends(request, nth, tier, now_s)
            elif (left := request.attempts[FLEX]) is not None and left.running:
                self._cut(request, FLEX, now_s)
                self.policy.spared(self.costs[FLEX] * (1.0 - self.setting.billed))
        return [
            Served(
                inf if one.start_s is None else one.start_s - one.draw.at_s,
                one.cost,
                one.attempts[DEFAULT] is not None,
                one.flex,
            )
            for one in self.requests
        ]

    def _push(self, at_s: float, kind: Kind, nth: int, tier: int = 0) -> None:
        self.pushed += 1
        heappush(self.heap, (at_s, self.pushed, kind, nth, tier))

    def _arrives(self, request: _Request, nth: int, now_s: float) -> None:
        way = request.way = self.policy.plan(request.draw, now_s)
        self._start(request, nth, way.first, now_s)
        if way.beside:
            self._start(request, nth, FLEX, now_s)
        elif way.launch_s is not None:
            request.launch_s = way.launch_s
            self._wait(request, nth, 0.0)

    def _wait(self, request: _Request, nth: int, since_s: float) -> None:
        """Until the launch, or the next look at it."""
        check_s, look_s = request.way.check_s, None
        if check_s is not None:
            look_s = next_look(self.setting.window_s, check_s, since_s)
        request.look_s = inf if look_s is None else look_s
        self._push(request.draw.at_s + min(request.look_s, request.launch_s), "timer", nth)

    def _start(self, request: _Request, nth: int, tier: int, now_s: float) -> None:
        flex = request.attempts[FLEX]
        behind = tier == DEFAULT and flex is not None and flex.running and now_s > request.draw.at_s
        request.attempts[tier] = _Attempt(self.policy.began(tier, behind, now_s), now_s)
        tiers = request.draw.tiers
        self._push(now_s + (tiers.flex_s if tier == FLEX else tiers.default_s), "ends", nth, tier)

    def _timer(self, request: _Request, nth: int, now_s: float) -> None:
        if request.start_s is not None or request.attempts[DEFAULT] is not None:
            return
        if request.look_s <= request.launch_s:
            since_s = request.look_s
            request.launch_s = self.policy.again(request.launch_s, now_s)
            if request.launch_s > since_s:
                self._wait(request, nth, since_s)
                return
        self._start(request, nth, DEFAULT, now_s)
        flex = request.attempts[FLEX]
        if request.way.switch and flex is not None and flex.running:
            self._cut(request, FLEX, now_s)

    def _cut(self, request: _Request, tier: int, now_s: float) -> None:
        attempt = request.attempts[tier]
        if attempt is not None and attempt.running:
            attempt.end("censored", now_s)
            request.cost += self.setting.billed * self.costs[tier]

    def _ends(self, request: _Request, nth: int, tier: int, now_s: float) -> None:
        attempt = request.attempts[tier]
        if attempt is None or not attempt.running:
            return
        tiers = request.draw.tiers
        if tiers.flex_lost if tier == FLEX else tiers.default_lost:
            attempt.end("lost", now_s)
            other = DEFAULT if tier == FLEX else FLEX
            if request.start_s is None and request.attempts[other] is None and self.policy.fallback:
                self._start(request, nth, other, now_s)
            elif tier == FLEX and request.looking:
                beside = 1.0 if request.way.beside else 1.0 - self.setting.billed
                self.policy.spared(self.costs[FLEX] * beside)
            return
        attempt.end("started", now_s)
        request.cost += self.costs[tier]
        if request.start_s is not None:
            return  # a loser that was left running
        request.start_s, request.flex = now_s, tier == FLEX
        if tier == FLEX:
            self._cut(request, DEFAULT, now_s)
            if request.way.beside:  # it won, so default's price is spared
                self.policy.spared(min(self.costs[FLEX], self.costs[DEFAULT] - self.setting.billed))
        else:
            self._flex_lost_the_race(request, nth, now_s)
        self.policy.won(tier, now_s - attempt.began_s, request.cost)

    def _flex_lost_the_race(self, request: _Request, nth: int, now_s: float) -> None:
        flex = request.attempts[FLEX]
        if flex is None or not flex.running:
            return
        deadline_s = request.draw.at_s + self.setting.window_s
        if request.way.beside or (now_s < deadline_s and self.policy.leave_running()):
            request.looking = True
            self._push(max(deadline_s, now_s), "stop", nth)
        else:
            self._cut(request, FLEX, now_s)
