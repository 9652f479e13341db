"""How soon a loser's socket is closed: from the winner's first content leaving the provider to flex's end there.

Flex is silent, default answers at once when it is launched. Both times are taken by the provider, with one clock.
Judged are the slowest but one in a hundred, so that a bench that ran well by chance does not pass.
"""

import time
from typing import Any

from tests.bench import workload
from tests.bench.client import Loop, Wire
from tests.bench.contestants import Contestant
from tests.bench.figures import Budget, quantiles
from tests.bench.processes import BenchFault
from tests.bench.scenario import Outcome, Run
from tests.bench.table import Line

_BUDGET = Budget(floor=20.0, aim=5.0)
_AT_ONCE = 16
_WINDOW = "1s"


def measure(run: Run) -> Outcome:
    """Races one after the other on a few connections, for each contestant that can race."""
    outcome = Outcome([], {"window": _WINDOW, "at_once": _AT_ONCE})
    found: dict[str, dict[str, float]] = {}
    for contestant in run.contestants:
        if contestant.races:
            races = 64 if run.quick else 320
            delays_ms, started_ms = _races(run, contestant, races)
            found[contestant.name] = quantiles(delays_ms)
            outcome.data[contestant.name] = {"closed_ms": found[contestant.name], "started_ms": quantiles(started_ms)}
    for share, budget in (("p50", None), ("p99", _BUDGET)):
        figures = {name: shares[share] for name, shares in found.items()}
        outcome.lines.append(
            Line(
                f"loser closed after the winner's start, {share}",
                "ms",
                figures.get("gateway"),
                None,
                figures.get("relay"),
                figures.get("gateway"),
                budget,
                f"{next(iter(found.values()))['number']:.0f} races, {_AT_ONCE} at once" if found else "",
            )
        )
    return outcome


def _races(run: Run, contestant: Contestant, races: int) -> tuple[list[float], list[float]]:
    target = contestant.targets["streams"]
    run.provider.take_stats()
    ended: list[str] = []
    started_ms: list[float] = []
    asked = 0
    with Loop() as loop:

        def ask(wire: Wire) -> None:
            nonlocal asked
            if asked < races:
                asked += 1
                body = workload.stream_prompt(target.model, start_within=_WINDOW, events=3, race=asked)
                wire.ask(target.request(body), done)

        def done(wire: Wire) -> None:
            ended.append(wire.fault or ("" if wire.marks == 3 else f"{wire.marks} of 3 events"))
            if not wire.fault:
                started_ms.append((wire.first_ns - wire.asked_ns) / 1e6)
                ask(wire)

        now_ns = time.monotonic_ns()
        for number in range(_AT_ONCE):
            # Not all at the same moment: a race should be measured, not a crowd.
            loop.at(now_ns + number * 30_000_000, lambda: ask(Wire(loop, target)))
        loop.run(lambda: len(ended) == races or any(ended), 10.0 + races / _AT_ONCE * 1.5)
        loop.run(lambda: False, 0.2)
    stats: dict[str, Any] = run.provider.take_stats()
    contestant.child.must_live()
    if any(ended) or len(ended) != races:
        fault = next((fault for fault in ended if fault), "not all ended")
        raise BenchFault(f"{contestant.name}: {len(ended)} of {races} races ended: {fault}\n{contestant.child.tail()}")
    missing = stats["winners"].keys() - stats["losers"].keys()
    if missing or len(stats["winners"]) != races:
        raise BenchFault(
            f"{contestant.name}: {races} races, {len(stats['winners'])} winners, {len(missing)} losers never closed"
        )
    delays = [(stats["losers"][race] - won_ns) / 1e6 for race, won_ns in stats["winners"].items()]
    return delays, started_ms
