"""One policy in one world on virtual time: a heap of events. The rule: what an attempt does is drawn before, who is
asked is the policy's affair, and it learns only when it would.

Costs are in units of a default answer. What starts and wins costs its whole price; what is cancelled while silent
`billed` of it; what is refused or fails nothing; a loser that is left running its whole price.
"""

from heapq import heappop, heappush
from math import inf
from typing import Literal

import msgspec

from appliance.evaluation.policy import DEFAULT, FLEX, Policy
from appliance.evaluation.setting import Setting
from appliance.evaluation.world import Draw
from appliance.policy.histogram import Cause
from appliance.policy.latency import Flight

LAUNCH_SLACK_S = 0.05
"""A launch that is planned anew is put off only by more than this."""

Kind = Literal["arrives", "launch", "ends", "stop"]


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
    __slots__ = ("attempts", "beside", "cost", "draw", "flex", "looking", "put_off", "start_s", "switch")

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.attempts: list[_Attempt | None] = [None, None]
        self.start_s: float | None = None
        self.cost = 0.0
        self.switch = self.beside = self.put_off = self.looking = self.flex = False


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
            elif kind == "launch":
                self._launches(request, nth, now_s)
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
        way = self.policy.plan(request.draw, now_s)
        request.switch, request.beside = way.switch, way.beside
        self._start(request, nth, way.first, now_s)
        if way.beside:
            self._start(request, nth, FLEX, now_s)
        elif way.launch_s is not None:
            self._push(now_s + way.launch_s, "launch", nth)

    def _start(self, request: _Request, nth: int, tier: int, now_s: float) -> None:
        flex = request.attempts[FLEX]
        behind = tier == DEFAULT and flex is not None and flex.running and now_s > request.draw.at_s
        request.attempts[tier] = _Attempt(self.policy.began(tier, behind, now_s), now_s)
        tiers = request.draw.tiers
        self._push(now_s + (tiers.flex_s if tier == FLEX else tiers.default_s), "ends", nth, tier)

    def _launches(self, request: _Request, nth: int, now_s: float) -> None:
        if request.start_s is not None or request.attempts[DEFAULT] is not None:
            return
        flex = request.attempts[FLEX]
        launch_s = request.draw.at_s + self.policy.again(now_s - request.draw.at_s, now_s)
        if not request.put_off and flex is not None and flex.running and launch_s > now_s + LAUNCH_SLACK_S:
            request.put_off = True
            self._push(launch_s, "launch", nth)
            return
        self._start(request, nth, DEFAULT, now_s)
        if request.switch and flex is not None and flex.running:
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
                beside = 1.0 if request.beside else 1.0 - self.setting.billed
                self.policy.spared(self.costs[FLEX] * beside)
            return
        attempt.end("started", now_s)
        request.cost += self.costs[tier]
        if request.start_s is not None:
            return  # a loser that was left running
        request.start_s, request.flex = now_s, tier == FLEX
        if tier == FLEX:
            self._cut(request, DEFAULT, now_s)
            if request.beside:  # it won, so default's price is spared
                self.policy.spared(min(self.costs[FLEX], self.costs[DEFAULT] - self.setting.billed))
        else:
            self._flex_lost_the_race(request, nth, now_s)
        self.policy.won(tier, now_s - attempt.began_s, request.cost)

    def _flex_lost_the_race(self, request: _Request, nth: int, now_s: float) -> None:
        flex = request.attempts[FLEX]
        if flex is None or not flex.running:
            return
        deadline_s = request.draw.at_s + self.setting.window_s
        if request.beside or (now_s < deadline_s and self.policy.leave_running()):
            request.looking = True
            self._push(max(deadline_s, now_s), "stop", nth)
        else:
            self._cut(request, FLEX, now_s)
