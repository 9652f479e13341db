"""Added latency at a quarter of saturation: each request through the contestant has a direct one beside it.

Pairs start on a fixed schedule (a slow answer does not slow the schedule down); in every second pair the direct call
comes first. Judged are quantiles of the differences within the pairs: they hold the noise of both calls and are
therefore an upper bound. The differences of the quantiles, which hold less of it, are in the JSON.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.bench import workload
from tests.bench.client import Loop, Target, Wire
from tests.bench.contestants import Contestant
from tests.bench.figures import Budget, median, quantiles
from tests.bench.pressure import press
from tests.bench.processes import BenchFault
from tests.bench.scenario import Outcome, Run
from tests.bench.table import Line

_BUDGETS = {"p50": Budget(0.5, 0.2), "p99": Budget(3.0, 1.0), "p99.9": None}
_MOST_PER_S = 2_000.0
_LANES = 32
_QUIET_P99_MS = 1.0


@dataclass(frozen=True)
class Paired:
    """One round: what the contestant added to each pair, and both sides by themselves (ms)."""

    added: dict[str, float]
    through: dict[str, float]
    direct: dict[str, float]
    late: int


def measure(run: Run) -> Outcome:
    """A quarter of the gateway's saturation for all (of the first contestant's where there is no gateway)."""
    ours = next((one for one in run.contestants if one.name == "gateway"), run.contestants[0])
    body = workload.prompt(ours.targets["answers"].model)
    saturation = press(run, ours, "answers", body, 32, 1 if run.quick else 2).per_core
    rate = min(saturation / 4, _MOST_PER_S)
    seconds = 2.5 if run.quick else 6.0
    found = run.alternate(partial(_paired, run, rate, seconds))
    outcome = Outcome([], {"pairs_per_s": rate, "saturation_per_s": saturation, "of": ours.name})
    if rate < saturation / 4:
        outcome.data["note"] = "the rate is the most that the client makes, less than a quarter of saturation"
    for name, rounds in found.items():
        outcome.data[name] = [vars(one) for one in rounds]
        if (late := sum(one.late for one in rounds)) > 0.01 * rate * seconds * len(rounds):
            outcome.doubts.append(f"{name}: {late} pairs of the schedule were left out, all lanes were waiting")
    if "nginx" in found and (tail := median(one.added["p99"] for one in found["nginx"])) > _QUIET_P99_MS:
        outcome.doubts.append(f"nginx itself adds {tail:.1f} ms (p99): the tails are those of a machine that is busy")
    for share, budget in _BUDGETS.items():
        figures = {name: median(one.added[share] for one in rounds) for name, rounds in found.items()}
        outcome.lines.append(
            Line(
                f"added latency {share}",
                "ms",
                figures.get("gateway"),
                figures.get("nginx"),
                figures.get("relay"),
                figures.get("gateway"),
                budget,
                f"{rate:,.0f} pairs/s, a quarter of {ours.name}'s {saturation:,.0f}" if share == "p50" else "",
            )
        )
    return outcome


class _Pairs:
    """The schedule and its lanes: a lane is one connection to the contestant and one to the provider."""

    def __init__(self, loop: Loop, direct: Target, through: Target) -> None:
        self._loop = loop
        self._requests = {target.name: target.request(workload.prompt(target.model)) for target in (direct, through)}
        self._lanes = [(Wire(loop, direct), Wire(loop, through)) for _ in range(_LANES)]
        self._free = list(range(_LANES))
        self._asked = 0
        self.direct_ms: list[float] = []
        self.through_ms: list[float] = []
        self.faults: list[str] = []
        self.late = 0

    def start(self) -> None:
        """Run one pair, or count that there was no lane for it."""
        if not self._free:
            self.late += 1
            return
        lane = self._free.pop()
        direct, through = self._lanes[lane]
        self._asked += 1
        first, second = (direct, through) if self._asked % 2 else (through, direct)

        def finished(_: Wire) -> None:
            if fault := direct.fault or through.fault:
                self.faults.append(fault)
                return
            self.direct_ms.append((direct.ended_ns - direct.asked_ns) / 1e6)
            self.through_ms.append((through.ended_ns - through.asked_ns) / 1e6)
            self._free.append(lane)

        def halfway(_: Wire) -> None:
            if first.fault:
                self.faults.append(first.fault)
                return
            second.ask(self._requests[second.target.name], finished)

        first.ask(self._requests[first.target.name], halfway)

    def idle(self) -> bool:
        """Whether no pair is under way."""
        return len(self._free) == _LANES


def _paired(run: Run, rate: float, seconds: float, contestant: Contestant) -> Paired:
    direct = Target("direct", run.provider.ports["answers"], "bench")
    with Loop() as loop:
        pairs = _Pairs(loop, direct, contestant.targets["answers"])
        _on_schedule(loop, pairs.start, rate, 0.3)
        loop.run(pairs.idle, 5.0)
        del pairs.direct_ms[:], pairs.through_ms[:]  # connections and caches are warm now
        pairs.late = 0
        _on_schedule(loop, pairs.start, rate, seconds)
        loop.run(lambda: pairs.idle() or bool(pairs.faults), 5.0)
    contestant.child.must_live()
    if pairs.faults or not pairs.through_ms:
        raise BenchFault(f"{contestant.name}: {len(pairs.faults)} faults, first: {(pairs.faults or ['no answer'])[0]}")
    if pairs.late > 0.25 * rate * seconds:
        raise BenchFault(
            f"{contestant.name}: {pairs.late} pairs found no lane at {rate:.0f}/s: it cannot keep this rate"
        )
    added = [through - direct for through, direct in zip(pairs.through_ms, pairs.direct_ms, strict=True)]
    return Paired(quantiles(added), quantiles(pairs.through_ms), quantiles(pairs.direct_ms), pairs.late)


def _on_schedule(loop: Loop, call: Callable[[], Any], rate: float, seconds: float) -> None:
    start_ns = time.monotonic_ns()
    for number in range(int(rate * seconds)):
        loop.at(start_ns + int(number * 1e9 / rate), call)
    loop.run(lambda: False, seconds)
