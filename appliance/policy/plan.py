"""When each rung of a ladder is launched. The rule: a plan is made once, before the first attempt, and never changed.

Times are seconds after the clock start, which is the moment when the last byte of the request body was read.
"""

from collections.abc import Callable, Mapping

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.money import Rates

DEFAULT_RESERVE_S = 5.0
"""How long before the deadline the dearer rung is launched, where nothing else is set."""

MOST_RESERVE = 0.5
"""The share of the window that a reserve may take at most, so that the cheap rung keeps its chance."""

Latency = Callable[[Rung], float] | Mapping[Rung, float]
"""What is known of how long a rung takes to start: the seconds to keep in reserve for it before the deadline."""

Prices = Callable[[Rung], Rates | None]
"""What a rung costs; None: not known."""


class RungPlan(msgspec.Struct, frozen=True):
    """A rung and when it is launched; `launch_s` None: never by time, only when the cheaper rungs were lost."""

    rung: Rung
    launch_s: float | None


class Plan(msgspec.Struct, frozen=True):
    """The rungs of one request, cheapest first, and the times that bind them.

    `window_s` None: the caller set no deadline. `give_up_s`: until then an answer must have started. `reason_hint`:
    the word of domain.record.REASONS that holds if the first rung serves (`tier_direct`, `flex_slots_full`,
    `not_raced`, `flex_skipped`), None in a race. Raises ValueError unless the first rung is launched at 0, later
    ones in order, those without a time last.
    """

    rungs: tuple[RungPlan, ...]
    window_s: float | None
    give_up_s: float
    reason_hint: str | None = None

    @property
    def races(self) -> bool:
        """Whether two rungs may run at the same time."""
        return len(self.rungs) > 1 and any(planned.launch_s is not None for planned in self.rungs[1:])

    def then(self, rungs: tuple[Rung, ...]) -> "Plan":
        """This plan, and further rungs that are launched only when those before them were lost."""
        later = [RungPlan(rung, None) for rung in rungs]
        return Plan((*self.rungs, *later), self.window_s, self.give_up_s, self.reason_hint)

    def __post_init__(self) -> None:
        if not self.rungs or self.rungs[0].launch_s != 0.0:
            raise ValueError("a plan launches its first rung at 0")
        before: float | None = 0.0
        for planned in self.rungs:
            at = planned.launch_s
            if at is not None and (before is None or at < before):
                raise ValueError("a plan launches its rungs in order, those without a time last")
            before = at


def plan_direct(rung: Rung, give_up_s: float, reason: str, window_s: float | None = None) -> Plan:
    """One rung, no race: a tier word, full race slots or a request that cannot be raced, as `reason` says.

    `window_s` is the deadline that the caller set all the same; whether it was met is still reported.
    """
    return Plan((RungPlan(rung, 0.0),), window_s, give_up_s, reason)


def plan_chain(ladder: tuple[Rung, ...], give_up_s: float) -> Plan:
    """A chain without a deadline: each rung is launched only when those before it were lost."""
    later = tuple(RungPlan(rung, None) for rung in ladder[1:])
    return Plan((RungPlan(ladder[0], 0.0), *later), None, give_up_s)


def plan_race(
    ladder: tuple[Rung, ...], window_s: float, reserves: Latency, give_up_s: float, prices: Prices | None = None
) -> Plan:
    """A race for a start within `window_s` seconds, over a ladder ordered from cheap to dear.

    The first rung is launched at once, the second `reserve` seconds before the deadline, the third at the deadline,
    further ones only when the cheaper ones were lost. A rung missing from a mapping has the default reserve.

    This is the place of the learned plan: from survival curves it will take the latest launch that meets the target,
    `d* = D - Q_Y(1 - eps / S_X(D))` (Kaler, He, Elnikety, SPAA 2017, for the single delayed reissue), and from
    `prices` whether the cheap rung is worth starting (else one rung and `flex_skipped`). The facts come in as
    `reserves`, so that the signature stays; fixed reserves know no prices and do not look at them.
    """
    planned = [RungPlan(ladder[0], 0.0)]
    for place, rung in enumerate(ladder[1:], 1):
        if place == 1:
            launch_s: float | None = window_s - _reserve_s(rung, window_s, reserves)
        else:
            launch_s = window_s if place == 2 else None
        planned.append(RungPlan(rung, launch_s))
    return Plan(tuple(planned), window_s, give_up_s)


def _reserve_s(rung: Rung, window_s: float, reserves: Latency) -> float:
    asked = reserves(rung) if callable(reserves) else reserves.get(rung, DEFAULT_RESERVE_S)
    return min(max(asked, 0.0), window_s * MOST_RESERVE)


class Reserves(msgspec.Struct, frozen=True):
    """The reserves that are set, in seconds: by `model/tier`, else `*/tier`, else `default` (settings' `reserve_s`).

    Callable, so that it serves as the `reserves` of `plan_race`.
    """

    by_rung: dict[str, float] = {}

    def __call__(self, rung: Rung) -> float:
        """Seconds in reserve for this rung."""
        for key in (f"{rung.model}/{rung.tier}", f"*/{rung.tier}", "default"):
            if (found := self.by_rung.get(key)) is not None:
                return found
        return DEFAULT_RESERVE_S
