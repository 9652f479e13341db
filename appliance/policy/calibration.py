"""What was promised beside what came: chances, deadlines, money. The rule: a share is judged by its binomial bounds.

A forecast is right when, of the requests that were given about the same chance of starting in time, about that share
did. It is called wrong only where the mean of what was predicted lies outside of the bounds of what was achieved.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean

import msgspec

from appliance.policy.binomial import Share, share_of
from appliance.policy.recorded import Raced

EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 1.0)
"""Where the buckets of predicted chances meet; finer where targets are."""

SLICES = 24
"""Into so many parts of about as many requests each the period is cut, to see whether it changed."""

EXPLORED = "explored"
"""The word of domain.record.PLAN_WORDS for a plan that is dearer than it need be, to learn."""


class Bucket(msgspec.Struct, frozen=True):
    """Requests whose predicted chance lay in (low, high]. `predicted`: its mean, `least`: that of the bound that
    planning used; `right`: the achieved share may well have come of `predicted`.
    """

    low: float
    high: float
    predicted: float
    least: float
    achieved: Share
    right: bool


class Line(msgspec.Struct, frozen=True):
    """A row of requests, named: how many started in time, for what mean target, and what they cost."""

    name: str
    requests: int
    met: Share
    target: float
    kept: bool
    nanos: int
    default_nanos: int


class Money(msgspec.Struct, frozen=True):
    """In nanodollars. `nanos` and `default_nanos` add the requests that have both, `unknown` those that have not.

    `losers_nanos`: what attempts cost that did not answer, `explored_nanos` what was paid to learn; both are in `nanos`
    where their requests are.
    """

    nanos: int
    default_nanos: int
    losers_nanos: int
    explored_nanos: int
    unknown: int

    @property
    def saved_nanos(self) -> int:
        """What always-default would have cost more."""
        return self.default_nanos - self.nanos


class Report(msgspec.Struct, frozen=True):
    """What became of the raced requests of a period; times are Unix seconds.

    `left_early` were ended by their callers before the deadline, and are judged by nobody. `ended`: of those with a
    deadline of the last byte, whose came in time; `all` and the other lines tell of starts. `flex`: answers of the
    cheap rung among those of races that had one, `launched`: races in which the dear one was asked too.
    """

    since_unix_s: float
    until_unix_s: float
    all: Line
    left_early: int
    ended: Share
    buckets: tuple[Bucket, ...]
    unpredicted: int
    targets: tuple[Line, ...]
    models: tuple[Line, ...]
    slices: tuple[Line, ...]
    flex: Share
    launched: Share
    reasons: tuple[tuple[str, int], ...]
    plans: tuple[tuple[str, int], ...]
    money: Money


def report(races: Sequence[Raced]) -> Report:
    """The report of these races, in the order in which they came. Raises ValueError if there are none."""
    if not races:
        raise ValueError("there are no raced requests")
    judged = [race for race in races if race.met is not None]
    bound = [race.ended_in_time for race in races if race.finish_s is not None and race.ended_in_time is not None]
    by_target: dict[str, list[Raced]] = {}
    by_model: dict[str, list[Raced]] = {}
    for race in races:
        by_target.setdefault(f"{race.target:g}", []).append(race)
        by_model.setdefault(f"{race.provider}/{race.model}", []).append(race)
    paired = [race for race in races if race.cheap is not None and race.winner is not None]
    asked = [race for race in races if race.cheap is not None and any(one.rung == race.cheap for one in race.tries)]
    return Report(
        since_unix_s=races[0].at_unix_s,
        until_unix_s=races[-1].at_unix_s,
        all=_line("all", races),
        left_early=len(races) - len(judged),
        ended=share_of(sum(bound), len(bound)),
        buckets=_buckets([race for race in races if race.kept is not None]),
        unpredicted=sum(race.chance is None for race in races),
        targets=tuple(_line(name, rows) for name, rows in sorted(by_target.items())),
        models=tuple(_line(name, rows) for name, rows in sorted(by_model.items(), key=lambda pair: -len(pair[1]))),
        slices=tuple(_slices(races)),
        flex=share_of(sum(race.winner is not None and race.winner.rung == race.cheap for race in paired), len(paired)),
        launched=share_of(sum(any(one.rung != race.cheap for one in race.tries) for race in asked), len(asked)),
        reasons=_counted(race.reason or "no answer" for race in races),
        plans=_counted(race.why for race in races if race.why is not None),
        money=_money(races),
    )


def _counted(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))


def _line(name: str, races: Sequence[Raced]) -> Line:
    judged = [race for race in races if race.met is not None]
    met = share_of(sum(race.met is True for race in judged), len(judged))
    target = fmean(race.target for race in races)
    nanos, default_nanos = _sums(races)
    return Line(name, len(races), met, target, met.high >= target, nanos, default_nanos)


def _sums(races: Iterable[Raced]) -> tuple[int, int]:
    """Paid, and what always-default costs, over the requests of which both are known."""
    nanos = default_nanos = 0
    for race in races:
        if race.nanos is not None and race.default_nanos is not None:
            nanos += race.nanos
            default_nanos += race.default_nanos
    return nanos, default_nanos


def _buckets(judged: Sequence[Raced]) -> tuple[Bucket, ...]:
    found = []
    for low, high in pairwise(EDGES):
        within = [
            race
            for race in judged
            if race.chance is not None and (low < race.chance <= high or (low == 0.0 and race.chance <= 0.0))
        ]
        if not within:
            continue
        predicted = fmean(race.chance for race in within if race.chance is not None)
        least = fmean(race.chance_least for race in within if race.chance_least is not None)
        achieved = share_of(sum(race.kept is True for race in within), len(within))
        found.append(Bucket(low, high, predicted, least, achieved, achieved.holds(predicted)))
    return tuple(found)


def _slices(races: Sequence[Raced]) -> Iterable[Line]:
    count = min(SLICES, len(races))
    for nth in range(count):
        part = races[len(races) * nth // count : len(races) * (nth + 1) // count]
        yield _line(f"{part[0].at_unix_s:.0f}", part)


def _money(races: Sequence[Raced]) -> Money:
    losers_nanos = explored_nanos = 0
    for race in races:
        for one in race.tries:
            if one.end == "won" or not one.nanos:
                continue
            if one.end == "left_running" or race.why == EXPLORED:
                explored_nanos += one.nanos
            else:
                losers_nanos += one.nanos
    unknown = sum(race.nanos is None or race.default_nanos is None for race in races)
    return Money(*_sums(races), losers_nanos, explored_nanos, unknown)
