"""When each rung of a ladder is launched. The rule: rungs keep the order of their ladder, from cheap to dear.

Times are seconds after the clock start, which is the moment when the last byte of the request body was read. A plan is
made before the first attempt; what is learned while it runs comes as `Replanned` to the race that runs it.
"""

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.record import Forecast
from appliance.policy.launch import Decision
from appliance.policy.looks import next_look

MOST_RESERVE = 0.5
"""The share of the window that a reserve may take at most, so that the cheap rung keeps its chance."""


class RungPlan(msgspec.Struct, frozen=True):
    """A rung and when it is launched; `launch_s` None: never by time, only when others were lost."""

    rung: Rung
    launch_s: float | None


class Plan(msgspec.Struct, frozen=True):
    """The rungs of one request, cheapest first, and the times that bind them.

    Those with a time are launched in order, the first at 0. Cheap ones without a time before it were skipped, and are
    asked when nothing else is left.

    `window_s` None: the caller set no deadline. `give_up_s`: until then an answer must have started. `reason_hint`:
    the word of domain.record.REASONS that holds if what is launched at 0 serves (`tier_direct`, `flex_slots_full`,
    `not_raced`, `flex_skipped`), None in a race. `target`: the probability with which the answer should start in time.
    `check_s`: once when it is to be looked at again; None: it stays as it is. `forecast`: what is expected. `linger`:
    places of rungs that, if another one wins, are left running to the end of the window, so that their tail is seen.
    Raises ValueError if the times are out of order, or none is 0.
    """

    rungs: tuple[RungPlan, ...]
    window_s: float | None
    give_up_s: float
    reason_hint: str | None = None
    target: float | None = None
    check_s: float | None = None
    forecast: Forecast | None = None
    linger: frozenset[int] = frozenset()

    @property
    def races(self) -> bool:
        """Whether two rungs may run at the same time."""
        return len(self.rungs) > 1 and sum(planned.launch_s is not None for planned in self.rungs) > 1

    @property
    def streams(self) -> bool:
        """Whether the provider is to be asked for a stream whatever the client wants: so that the start is seen."""
        return self.forecast is not None or self.races

    @property
    def first(self) -> int:
        """The place of the rung that is launched first."""
        return next(place for place, planned in enumerate(self.rungs) if planned.launch_s is not None)

    def next_look(self, since_s: float) -> float | None:
        """When the plan is to be looked at again by what is known then, after this time; None: no more."""
        look = self.check_s is not None and self.window_s is not None
        return next_look(self.window_s, self.check_s, since_s) if look else None  # type: ignore[arg-type]

    def launches(self) -> list[int]:
        """The places in the order of their launches: by time, then those dearer, then those that were skipped."""
        timed = [place for place, planned in enumerate(self.rungs) if planned.launch_s is not None]
        others = [place for place, planned in enumerate(self.rungs) if planned.launch_s is None]
        dearest = timed[-1]
        return [*timed, *(one for one in others if one > dearest), *(one for one in others[::-1] if one < dearest)]

    def then(self, rungs: tuple[Rung, ...]) -> "Plan":
        """This plan, and further rungs that are launched only when those before them were lost."""
        later = [RungPlan(rung, None) for rung in rungs]
        return msgspec.structs.replace(self, rungs=(*self.rungs, *later))

    def without(self, rungs: tuple[Rung, ...]) -> "Plan":
        """This plan without some of its rungs, which cannot be asked; what was to follow them is launched at 0.

        Places are others then, so none of them is left running.
        """
        kept = [planned for planned in self.rungs if planned.rung not in rungs]
        if any(planned.launch_s == 0.0 for planned in kept):
            return msgspec.structs.replace(self, rungs=tuple(kept), check_s=None, linger=frozenset())
        first = next((place for place, planned in enumerate(kept) if planned.launch_s is not None), 0)
        kept[first] = RungPlan(kept[first].rung, 0.0)
        return msgspec.structs.replace(
            self, rungs=tuple(kept), reason_hint="chain_advanced", check_s=None, linger=frozenset()
        )

    def __post_init__(self) -> None:
        before: float | None = None
        for planned in self.rungs:
            at = planned.launch_s
            if at is None:
                continue
            if before is None and at != 0.0:
                break
            if before is not None and at < before:
                raise ValueError("a plan launches its rungs in order")
            before = at
        if before is None:
            raise ValueError("a plan launches its first rung at 0")


def plan_direct(
    rung: Rung, give_up_s: float, reason: str, window_s: float | None = None, target: float | None = None
) -> Plan:
    """One rung, no race: a tier word, full race slots or a request that cannot be raced, as `reason` says.

    `window_s` is the deadline that the caller set all the same; whether it was met is still reported.
    """
    return Plan((RungPlan(rung, 0.0),), window_s, give_up_s, reason, target)


def plan_chain(ladder: tuple[Rung, ...], give_up_s: float) -> Plan:
    """A chain without a deadline: each rung is launched only when those before it were lost."""
    later = tuple(RungPlan(rung, None) for rung in ladder[1:])
    return Plan((RungPlan(ladder[0], 0.0), *later), None, give_up_s)


def plan_reserve(ladder: tuple[Rung, ...], window_s: float, reserve_s: float, give_up_s: float) -> Plan:
    """A race by the operator's word alone.

    The first rung is launched at once, the second `reserve_s` seconds before the deadline (at most half of the
    window), the third at the deadline, further ones only when the cheaper ones were lost.
    """
    launch_s = window_s - min(max(reserve_s, 0.0), window_s * MOST_RESERVE)
    times = (0.0, launch_s, window_s)
    planned = [RungPlan(rung, times[place] if place < len(times) else None) for place, rung in enumerate(ladder)]
    return Plan(tuple(planned), window_s, give_up_s)


def plan_decided(ladder: tuple[Rung, ...], decision: Decision, window_s: float, give_up_s: float) -> Plan:
    """What was decided as a plan: the first rung at 0, the second at its time, the next dearer one at the deadline.

    That last one can no longer save the deadline, but it bounds how late a late answer is; it is in the ladder only
    where the caller's key allows it. All others are launched when those before them were lost.
    """
    times: dict[int, float] = {decision.first: 0.0}
    if decision.second is not None:
        times[decision.second] = decision.launch_s
        times.setdefault(decision.second + 1, window_s)
    planned = tuple([RungPlan(rung, times.get(place)) for place, rung in enumerate(ladder)])
    skipped = "flex_skipped" if decision.first > 0 else None
    check_s = decision.check_s if decision.second is not None and decision.launch_s > 0.0 else None
    return Plan(planned, window_s, give_up_s, skipped, check_s=check_s)


class Reserves(msgspec.Struct, frozen=True):
    """The reserves that an operator has set, in seconds: by `model/tier`, else `*/tier`, else `default`."""

    by_rung: dict[str, float] = {}

    def __call__(self, rung: Rung) -> float | None:
        """Seconds in reserve for this rung; None: none is set."""
        by_rung = self.by_rung
        if not by_rung:
            return None
        keys = (f"{rung.model}/{rung.tier}", f"*/{rung.tier}", "default")
        return next((by_rung[key] for key in keys if key in by_rung), None)
