"""The deadline engine serves recorded requests again, on virtual time. The rule: it learns what it would have seen.

The plans are the engine's own (policy/launch.py, policy/exploration.py, by what policy/latency.py learns), made anew
for each score of requests instead of for each. What each rung does is as it was recorded; what was not seen is drawn,
once a round.
"""

from bisect import bisect_right
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

import msgspec

from appliance.policy.backtest.cases import Case, Cases, Times
from appliance.policy.backtest.imputation import Draws, Mood, Uniform, weights
from appliance.policy.exploration import Exploration, need
from appliance.policy.histogram import Cause
from appliance.policy.latency import Flight, Tier
from appliance.policy.launch import Candidate, Decision, decide
from appliance.policy.looks import move, next_look
from appliance.policy.recorded import SAME_MOMENT_S

PLANNED_FOR = 25
"""A plan is made anew for so many requests, or a hundredth of those that came before, whichever is more; in the
beginning, when all is new, after an eighth of them."""

Z = 1.0
"""How many standard errors a bound is above its estimate, as for `decide`."""

GIVE_UP = 10.0
"""An attempt that never starts is watched for so many windows."""


class Wish(msgspec.Struct, frozen=True):
    """The other policy; None: as each request asked."""

    window_s: float | None = None
    target: float | None = None


class Played(msgspec.Struct):
    """Sums of one round over the judged requests."""

    met: int = 0
    launched: int = 0
    cost: float = 0.0
    drawn: int = 0
    beyond: int = 0


Known = tuple[Decision, tuple[Candidate, ...]]
Key = tuple[int, float, float]
"""Group, window, target."""


class Round:
    """One round: all that is not known is drawn, and the engine serves the requests by what it then learns, or by the
    plans of an earlier round.
    """

    def __init__(self, cases: Cases, wish: Wish, mood: Mood, uniform: Uniform, teacher: "Round | None" = None) -> None:
        self.cases = cases
        self.wish = wish
        self.teacher = teacher
        self.tiers = [tuple(Tier(rung.tier, cases.all[0].at_s) for rung in group.names[:2]) for group in cases.groups]
        self.purse = Exploration(1.0) if cases.explores else Exploration(1.0, 0.0)
        self.sums = Played()
        weight = weights(len(cases.all), uniform)
        self.draws = [
            [
                [Draws(curve, pool.support_s, "prior" if role else mood, uniform) for curve in pool.curves(weight)]
                for role, pool in enumerate(group.pools)
            ]
            for group in cases.groups
        ]
        self.plans: dict[Key, list[tuple[int, Known]]] = {}
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._pushed = self._came = self._block = self._planned = 0

    def play(self) -> Played:
        """Serve all requests."""
        for case in self.cases.all:
            self._until(case.at_s)
            if self._came - self._planned >= max(min(2 + self._came // 8, PLANNED_FOR), self._came // 100):
                self._block, self._planned = self._block + 1, self._came
            self._came += 1
            _Request(self, case).begin()
        self._until(inf)
        return self.sums

    def decision(self, case: Case, window_s: float, target: float, now_s: float) -> Known:
        """The engine's decision by what is known now, or was lately."""
        key = case.group, window_s, target
        if self.teacher is not None:
            taught = self.teacher.plans[key]
            place = bisect_right(taught, self._block, key=lambda pair: pair[0])
            return taught[max(place - 1, 0)][1]
        plans = self.plans.setdefault(key, [])
        if not plans or plans[-1][0] < self._block:
            group = self.cases.groups[case.group]
            x, y, behind = (self.tiers[case.group][role > 0].curve(now_s, behind=role > 1) for role in range(3))
            rungs = (
                Candidate(x, x, group.ratio, group.abandoned[0]),
                Candidate(y, behind, 1.0, group.abandoned[1]),
            )
            plans.append((self._block, (decide(rungs, window_s, target, Z), rungs)))
        return plans[-1][1]

    def begin(self, case: Case, role: int, now_s: float) -> Flight | None:
        """An attempt is launched; None where nobody learns."""
        return None if self.teacher is not None else self.tiers[case.group][role > 0].begin(now_s, behind=role > 1)

    def end(self, flight: Flight | None, cause: Cause, at_s: float) -> None:
        """It ends so, then."""
        if flight is not None:
            self.at(at_s, lambda now_s: flight.end(cause, now_s))

    def at(self, at_s: float, act: Callable[[float], None]) -> None:
        """Do this then."""
        self._pushed += 1
        heappush(self._heap, (at_s, self._pushed, act))

    def _until(self, now_s: float) -> None:
        while self._heap and self._heap[0][0] <= now_s:
            at_s, _, act = heappop(self._heap)
            act(at_s)


class _Request:
    """One request as it is served again."""

    __slots__ = ("case", "cheap", "decided", "group", "launch_s", "round", "rungs", "target", "window_s")

    def __init__(self, played: Round, case: Case) -> None:
        self.round, self.case = played, case
        self.window_s = played.wish.window_s or case.window_s
        self.target = played.wish.target or case.target
        self.group = played.cases.groups[case.group]

    def begin(self) -> None:
        case, played = self.case, self.round
        now_s = case.at_s
        self.decided, self.rungs = played.decision(case, self.window_s, self.target, now_s)
        if self.decided.first == 1:
            beside = played.purse.try_beside(self.decided, self.rungs) is not None
            self._alone(now_s, beside)
            return
        self.cheap = self._time(0, case.cheap)
        flight = played.begin(case, 0, now_s)
        self.launch_s = self.decided.launch_s if self.decided.second is not None else inf
        self._wait(flight, 0.0)

    def _wait(self, flight: Flight | None, since_s: float) -> None:
        """Until the cheap rung's end, the launch, or the next look at it."""
        case, launch_s = self.case, self.launch_s
        look_s = next_look(self.window_s, self.decided.check_s, since_s) if launch_s < inf else None
        cheap_s, lost = self.cheap
        if cheap_s <= min(launch_s, inf if look_s is None else look_s):
            if cheap_s == inf:
                self._give_up(flight)
                self._done(inf, 0.0, launched=False)
                return
            self._end(flight, case.at_s + cheap_s, lost)
            if lost:
                self._dear_after(cheap_s)
            else:
                self._done(cheap_s, case.cheap_cost, launched=False)
        elif look_s is None or launch_s < look_s:
            self.round.at(case.at_s + launch_s, lambda _: self._race(flight, launch_s))
        else:
            self.round.at(case.at_s + look_s, lambda now_s: self._look(flight, look_s, now_s))

    def _look(self, flight: Flight | None, since_s: float, now_s: float) -> None:
        """The cheap rung is silent: by what is known now, when is the dear one launched?"""
        decided, rungs = self.round.decision(self.case, self.window_s, self.target, now_s)
        moved = move(decided, rungs, 0, (1, self.launch_s), self.window_s, 1.0 - self.target, Z)
        if moved is not None:
            self.launch_s = moved[1]
        if self.launch_s > since_s:
            self._wait(flight, since_s)
        else:
            self._race(flight, since_s)

    def _race(self, flight: Flight | None, launch_s: float) -> None:
        case, played = self.case, self.round
        cheap_s, lost = self.cheap
        behind = 2 if launch_s > SAME_MOMENT_S else 1
        took_s, dear_lost = self._time(behind, case.dear)
        dear = played.begin(case, behind, case.at_s + launch_s)
        dear_s = launch_s + took_s
        cheap_start_s, dear_start_s = inf if lost else cheap_s, inf if dear_lost else dear_s
        if cheap_start_s <= dear_start_s:
            if cheap_start_s == inf:
                self._end(flight, case.at_s + cheap_s, lost)
                self._end(dear, case.at_s + dear_s, dear_lost)
                self._done(inf, 0.0, launched=True)
                return
            self._end(flight, case.at_s + cheap_s, lost=False)
            if dear_lost and dear_s < cheap_s:
                self._end(dear, case.at_s + dear_s, lost=True)
                cost = 0.0
            else:
                played.end(dear, "censored", case.at_s + cheap_s)
                cost = self.group.abandoned[1] * case.dear_cost
            self._done(cheap_s, case.cheap_cost + cost, launched=True)
            return
        self._end(dear, case.at_s + dear_s, lost=False)
        cost = 0.0
        if lost and cheap_s < dear_s:
            self._end(flight, case.at_s + cheap_s, lost=True)
        elif dear_s < self.window_s and played.purse.leave_running(self.rungs[0]):
            cost = self._watch(flight, self.rungs[0].cost * (1.0 - self.group.abandoned[0]))
        else:
            played.end(flight, "censored", case.at_s + dear_s)
            cost = self.group.abandoned[0] * case.cheap_cost
        self._done(dear_s, case.dear_cost + cost, launched=True)

    def _alone(self, now_s: float, beside: bool) -> None:
        """The dear rung at once; the cheap one beside it, to learn, or when that is lost."""
        case, played = self.case, self.round
        took_s, dear_lost = self._time(1, case.dear)
        self._end(played.begin(case, 1, now_s), now_s + took_s, dear_lost)
        cost, start_s = (case.dear_cost, took_s) if not dear_lost else (0.0, inf)
        if beside or dear_lost:
            cheap_s, lost = self.cheap = self._time(0, case.cheap)
            after_s = 0.0 if beside else took_s
            flight = played.begin(case, 0, now_s + after_s)
            if not lost and after_s + cheap_s < start_s:
                self._end(flight, now_s + after_s + cheap_s, lost=False)
                left = self.group.abandoned[1]
                if beside:
                    played.purse.refund(min(self.rungs[0].cost, 1.0 - left))
                cost = case.cheap_cost + (left * case.dear_cost if start_s < inf else 0.0)
                start_s = after_s + cheap_s
            elif beside:
                cost += self._watch(flight, self.rungs[0].cost)
            else:
                self._end(flight, now_s + after_s + cheap_s, lost)
        self._done(start_s, cost, launched=True)

    def _dear_after(self, after_s: float) -> None:
        """The cheap rung was lost: the dear one is launched at once, behind nobody."""
        case, played = self.case, self.round
        took_s, lost = self._time(1, case.dear)
        begin_s = case.at_s + after_s
        if played.teacher is None:
            played.at(begin_s, lambda at_s: self._end(played.begin(case, 1, at_s), at_s + took_s, lost))
        self._done(inf if lost else after_s + took_s, 0.0 if lost else case.dear_cost, launched=True)

    def _time(self, pool: int, times: Times) -> tuple[float, bool]:
        played = self.round
        if times.known:
            return times.age_s, times.lost
        epochs = played.draws[self.case.group][pool]
        draws = epochs[self.case.place * len(epochs) // len(played.cases.all)]
        before = draws.beyond
        found = draws.after(times.age_s)
        if self.case.judged:
            played.sums.drawn += 1
            played.sums.beyond += draws.beyond - before if pool == 0 else 0
        return found

    def _end(self, flight: Flight | None, at_s: float, lost: bool) -> None:
        if at_s == inf:
            self._give_up(flight)
        else:
            self.round.end(flight, "lost" if lost else "started", at_s)

    def _watch(self, flight: Flight | None, charged: float) -> float:
        """A cheap rung that runs on to the deadline, to learn of it: what that costs. What was charged and is not spent
        comes back: refused, it costs nothing, silent to the deadline, what an abandoned attempt costs.
        """
        case, played = self.case, self.round
        cheap_s, lost = self.cheap
        if cheap_s <= self.window_s:
            self._end(flight, case.at_s + cheap_s, lost)
            if not lost:
                return case.cheap_cost
            played.purse.refund(charged)
            return 0.0
        played.end(flight, "censored", case.at_s + self.window_s)
        share = self.group.abandoned[0]
        spared = self.rungs[0].cost * (1.0 - share)
        played.at(case.at_s + self.window_s, lambda _: played.purse.refund(spared))
        return share * case.cheap_cost

    def _give_up(self, flight: Flight | None) -> None:
        self.round.end(flight, "censored", self.case.at_s + GIVE_UP * self.window_s)

    def _done(self, start_s: float, cost: float, *, launched: bool) -> None:
        case, played = self.case, self.round
        if start_s < inf:
            share = need(self.rungs[0].alone, self.window_s, self.decided.first == 1)
            played.purse.paid(cost, share)
        if not case.judged:
            return
        sums = played.sums
        sums.met += start_s <= self.window_s
        sums.launched += launched
        if case.priced:
            sums.cost += cost
