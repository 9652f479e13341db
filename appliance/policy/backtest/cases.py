"""Recorded races, ready to be played again under another policy. The rule: whatever is left out is counted.

Left out are requests that were not decided between two rungs, those with attempts on others, those with a deadline on
the last byte, and those that were the caller's fault; of requests that their callers ended before the deadline the
attempts are learned from, no more.
"""

from collections.abc import Sequence
from statistics import fmean

import msgspec

from appliance.domain.catalog import Rung
from appliance.policy.backtest.imputation import Pool, Seen
from appliance.policy.latency import prior_of
from appliance.policy.recorded import Raced


class Times:
    """One rung's recorded time in a request: known, or known to be longer than `age_s`, or (age 0) not known."""

    __slots__ = ("age_s", "known", "lost")

    def __init__(self, seen: Seen | None) -> None:
        self.known = seen is not None and seen.cause != "censored"
        self.lost = seen is not None and seen.cause == "lost"
        self.age_s = seen.age_s if seen is not None else 0.0


class Case(msgspec.Struct):
    """A recorded request as it is played again. Costs by the mean of always-default's."""

    at_s: float
    window_s: float
    target: float
    group: int
    place: int
    cheap: Times
    dear: Times
    cheap_cost: float
    dear_cost: float
    judged: bool
    priced: bool
    was_met: bool
    was_launched: bool
    nanos: int
    default_nanos: int


class Group:
    """Requests that are decided between the same two rungs with prompts of about one size."""

    def __init__(self, cheap: Rung, dear: Rung, size: int) -> None:
        self.names = cheap, dear, size
        self.seen: list[list[Seen]] = [[], [], []]
        self.pools: tuple[Pool, ...] = ()
        self.ratio = 0.5
        self.abandoned = [0.0, 0.0]

    @property
    def support_s(self) -> float:
        """The age up to which the cheap rung's times are known."""
        return self.pools[0].support_s


def _playable(race: Raced) -> bool:
    known = all(one.cause is not None and one.rung in (race.cheap, race.dear) for one in race.tries)
    return known and race.finish_s is None


class Cases:
    """The recorded races, ready to be played: cases, groups, and how many were left out."""

    def __init__(self, races: Sequence[Raced], since_unix_s: float = 0.0) -> None:
        self.all: list[Case] = []
        self.groups: list[Group] = []
        self.left_out = 0
        self.unit_nanos = fmean([race.default_nanos for race in races if race.default_nanos] or [1])
        self.explores = any(one.end == "left_running" for race in races for one in race.tries) or any(
            race.why == "explored" for race in races
        )
        places: dict[tuple[Rung, Rung, int], int] = {}
        kept: list[Raced] = []
        for race in races:
            judged = race.at_unix_s >= since_unix_s
            if race.cheap is None or race.dear is None or not _playable(race):
                self.left_out += judged
                continue
            name = race.cheap, race.dear, race.size
            place = places.setdefault(name, len(self.groups))
            if place == len(self.groups):
                self.groups.append(Group(*name))
            kept.append(race)
            self._add(race, place, judged)
        self._price(kept)
        for group in self.groups:
            self._pool(group)

    def _add(self, race: Raced, place: int, judged: bool) -> None:
        group, nth = self.groups[place], len(self.all)
        found: list[Seen | None] = [None, None]
        for one in race.tries:
            if one.cause is None:
                continue
            dear = one.rung == race.dear
            seen = Seen(nth, one.cause, one.age_s)
            group.seen[(1 + one.behind) if dear else 0].append(seen)
            found[dear] = seen
        if judged and race.met is None:
            self.left_out += 1
            judged = False
        self.all.append(
            Case(
                at_s=race.at_unix_s,
                window_s=race.window_s,
                target=race.target,
                group=place,
                place=nth,
                cheap=Times(found[0]),
                dear=Times(found[1]),
                cheap_cost=0.0,
                dear_cost=0.0,
                judged=judged,
                priced=race.nanos is not None and race.default_nanos is not None,
                was_met=race.met is True,
                was_launched=found[1] is not None,
                nanos=race.nanos or 0,
                default_nanos=race.default_nanos or 0,
            )
        )

    def _price(self, races: Sequence[Raced]) -> None:
        """What an answer of the cheap rung costs by the dear one's, and what an abandoned attempt costs."""
        for place, group in enumerate(self.groups):
            own = [
                (race, case) for race, case in zip(races, self.all, strict=True) if case.group == place and case.priced
            ]
            cheap = dear = 0
            for race, _ in own:
                winner = race.winner
                if winner is not None and winner.rung == race.cheap and winner.nanos is not None and race.default_nanos:
                    cheap += winner.nanos
                    dear += race.default_nanos
            group.ratio = cheap / dear if dear else group.ratio
            for role in (0, 1):
                paid, whole = 0.0, 0.0
                for race, _ in own:
                    rung = race.dear if role else race.cheap
                    for one in race.tries:
                        if one.rung == rung and one.end in ("lost", "gone") and one.nanos is not None:
                            paid += one.nanos
                            whole += (race.default_nanos or 0) * (1.0 if role else group.ratio)
                group.abandoned[role] = min(paid / whole, 1.0) if whole else -1.0
            known = [share for share in group.abandoned if share >= 0.0]
            group.abandoned = [share if share >= 0.0 else fmean(known or [0.0]) for share in group.abandoned]
            for race, case in own:
                winner = race.winner
                case.dear_cost = case.default_nanos / self.unit_nanos
                won = winner is not None and winner.rung == race.cheap and winner.nanos is not None
                case.cheap_cost = (
                    winner.nanos / self.unit_nanos if won and winner is not None and winner.nanos is not None
                    else case.dear_cost * group.ratio
                )  # fmt: skip

    def _pool(self, group: Group) -> None:
        cheap, dear, _ = group.names
        alone, behind = group.seen[1], group.seen[2]
        count = len(self.all)
        either = Pool(alone + behind, prior_of(dear.tier), count, fitted=True)
        both = either.curve()
        group.pools = (
            Pool(group.seen[0], prior_of(cheap.tier), count),
            Pool(alone, both, count, fitted=True),
            Pool(behind, both, count, fitted=True),
        )
        for pool in group.pools[1:]:  # each leans on both
            pool.support_s = max(pool.support_s, either.support_s)
