"""Whether the real server does what virtual time says: the same draws through both. The rule: luck has an interval.

Worlds are played faster than they are: times of the draws and the deadline alike are divided by the same number, for
both. What virtual time lacks is milliseconds of sockets and of a busy machine: how much later than drawn answers
started is measured, and added to the draws. What was learned early decides much later, so a millisecond may tip a run:
virtual time is played several times with such milliseconds at random, and where the server's run lies among those
runs is the question.
"""

from math import inf, sqrt
from random import Random
from statistics import fmean, stdev

import msgspec

from appliance.domain.catalog import AbortBilling
from appliance.domain.record import AttemptRecord, RequestRecord
from appliance.evaluation.policy import Ours
from appliance.evaluation.run import Run
from appliance.evaluation.setting import Setting
from appliance.evaluation.verdict import Mean
from appliance.evaluation.world import WORLDS, Draw, Tiers, draws

RUNS = 8
"""On virtual time, of one scene."""

BILLED: dict[AbortBilling, float] = {"free": 0.0, "partial": 0.5, "full": 1.0}
"""The share of its price that a loser is billed, where none was seen."""

STUDENT_T = {1: 63.7, 2: 9.92, 3: 5.84, 4: 4.60, 5: 4.03, 6: 3.71, 7: 3.50}
"""Of 99 % on both sides: three scenes have nine figures."""

START, COST, FLEX = 0.01, 0.02, 0.03
"""What may be between the two beside luck: of the start rate, the cost in default answers, the share won by flex."""


class Scene(msgspec.Struct, frozen=True):
    """A world and what is asked of it. `price` is what flex costs in the price list, `abort_billing` the provider's."""

    world: str
    window_s: float
    target: float
    abort_billing: AbortBilling
    price: float = 0.5

    def setting(self, times: float, billed: float) -> Setting:
        """`times` as fast, with losers billed so much of their price."""
        return Setting(self.window_s / times, self.target, billed, self.price)

    def draws(self, seed: int, count: int, times: float) -> list[Draw]:
        """The requests, `times` as fast."""
        world = next(one for one in WORLDS if one.name == self.world)
        return [_faster(draw, times) for draw in draws(world, seed, count)]


SCENES = (
    Scene("lognormal", 30.0, 0.99, "partial"),
    Scene("queueing", 10.0, 0.99, "full"),
    Scene("collapse", 30.0, 0.99, "free"),
)


class Came(msgspec.Struct, frozen=True):
    """One request through the server: `start_s` inf if it never started, `cost` in default answers.

    `late_s`: how much longer than drawn the answering attempt took to start, None without one. `billed`: of each
    attempt that was cut off while silent, the share of a whole flex or default answer that was paid.
    """

    start_s: float
    cost: float
    flex: bool
    late_s: float | None
    billed: tuple[float, ...] = ()


class Pair(msgspec.Struct, frozen=True):
    """One figure of both. `virtual`: the mean of the runs, and how far 99 of 100 more such runs lie from it at most."""

    name: str
    served: float
    virtual: Mean
    allowed: float

    @property
    def agrees(self) -> bool:
        """The server's lies where another run on virtual time would, or as good as there."""
        return abs(self.served - self.virtual.value) <= self.virtual.margin + self.allowed


class Comparison(msgspec.Struct, frozen=True):
    """One scene through both. `late_s`: by how much attempts started later than drawn, median and 99th percentile."""

    scene: Scene
    requests: int
    times: float
    billed: float
    pairs: tuple[Pair, ...]
    late_s: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """All figures do."""
        return all(pair.agrees for pair in self.pairs)


def override(tiers: Tiers) -> str:
    """What the simulator is told to do with one request, as its overrides are written."""
    parts = []
    for tier, after_s, lost, fault in (
        ("flex", tiers.flex_s, tiers.flex_lost, "flex_unavailable"),
        ("default", tiers.default_s, tiers.default_lost, "overloaded"),
    ):
        parts.append(f"{tier}.start={after_s:.6f}")
        if lost:
            parts += [f"{tier}.refuse={fault}", f"{tier}.refusal_after_s={after_s:.6f}"]
    return ",".join(parts)


def read(draw: Draw, request: RequestRecord, attempts: tuple[AttemptRecord, ...], price: float) -> Came:
    """What the records say of a request. Raises ValueError where what it cost is not known."""
    won = next((one for one in attempts if one.outcome == "won"), None)
    unit = request.default_nanos
    if won is None or won.to_start_s is None:
        return Came(inf, 0.0, False, None)
    if unit is None or request.cost_nanos is None:
        raise ValueError(f"the cost of {request.request_id} is not known")
    flex = won.tier_sent == "flex"
    drawn_s = draw.tiers.flex_s if flex else draw.tiers.default_s
    billed = [
        (one.cost_nanos or 0) / (unit * (price if one.tier_sent == "flex" else 1.0))
        for one in attempts
        if one.outcome in ("lost", "detached") and one.to_start_s is None
    ]
    return Came(won.to_start_s, request.cost_nanos / unit, flex, won.to_start_s - won.start_s - drawn_s, tuple(billed))


def compare(scene: Scene, requests: list[Draw], came: list[Came], times: float, runs: int = RUNS) -> Comparison:
    """Play the same draws on virtual time, with losers billed as they were, and hold both beside each other."""
    silent = [share for one in came for share in one.billed]
    setting = scene.setting(times, fmean(silent) if silent else BILLED[scene.abort_billing])
    late = sorted(one.late_s for one in came if one.late_s is not None)
    played = [_figures_of(_play(requests, setting, late, nth), setting.window_s) for nth in range(runs)]
    ours = _figures_of([(one.start_s, one.cost, one.flex) for one in came], setting.window_s)
    names = (("start rate", START), ("cost", COST), ("won by flex", FLEX))
    pairs = [
        Pair(name, ours[place], _another([one[place] for one in played]), allowed)
        for place, (name, allowed) in enumerate(names)
    ]
    median_s, most_s = late[len(late) // 2], late[len(late) * 99 // 100]
    return Comparison(scene, len(came), times, setting.billed, tuple(pairs), (median_s, most_s))


def _play(requests: list[Draw], setting: Setting, late: list[float], nth: int) -> list[tuple[float, float, bool]]:
    random = Random(f"late {nth}")
    later = [
        draw._replace(
            tiers=draw.tiers._replace(
                flex_s=max(draw.tiers.flex_s + random.choice(late), 0.0),
                default_s=max(draw.tiers.default_s + random.choice(late), 0.0),
            )
        )
        for draw in requests
    ]
    return [(one.start_s, one.cost, one.flex) for one in Run(later, Ours(setting), setting).play()]


def _figures_of(ended: list[tuple[float, float, bool]], window_s: float) -> tuple[float, float, float]:
    """Start rate, cost, share won by flex."""
    count = len(ended)
    met = sum(start_s <= window_s for start_s, _, _ in ended)
    return met / count, sum(cost for _, cost, _ in ended) / count, sum(flex for _, _, flex in ended) / count


def _another(values: list[float]) -> Mean:
    """Where one more run lies."""
    count = len(values)
    return Mean(fmean(values), STUDENT_T[min(count - 1, 7)] * stdev(values) * sqrt(1.0 + 1.0 / count))


def table(found: list[Comparison]) -> str:
    """As Markdown, one row for each figure."""
    lines = [
        "| world | deadline, target, losers billed | figure | served | virtual, 99 of 100 runs | agrees |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        asked = f"{one.scene.window_s:g} s, {one.scene.target:g}, {one.billed:.2f}"
        for pair in one.pairs:
            played = f"{pair.virtual.value:.4f} ± {pair.virtual.margin:.4f}"
            lines.append(
                f"| {one.scene.world} | {asked} | {pair.name} | {pair.served:.4f} | {played} "
                f"| {'yes' if pair.agrees else 'NO'} |"
            )
    return "\n".join(lines) + "\n"


def lateness(found: Comparison) -> str:
    """How much later than drawn attempts started, in words."""
    median_s, most_s = found.late_s
    return (
        f"{found.scene.world}: {found.requests} requests, {found.times:g} times as fast; answers started "
        f"{median_s * 1000:.1f} ms later than drawn, 1 of 100 by {most_s * 1000:.0f} ms and more"
    )


def _faster(draw: Draw, times: float) -> Draw:
    tiers = draw.tiers
    faster = tiers._replace(flex_s=tiers.flex_s / times, default_s=tiers.default_s / times)
    return draw._replace(at_s=draw.at_s / times, tiers=faster)
