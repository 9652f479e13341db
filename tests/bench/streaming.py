"""CPU for each relayed event of a stream, paced (each event arrives alone) and unpaced (as fast as they are taken).

Judged is the paced case: that is how a model writes. Unpaced, a relay takes many events with one read.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from tests.bench import workload
from tests.bench.client import Loop, Target, Wire
from tests.bench.contestants import Contestant, settle
from tests.bench.figures import Budget, median, spread
from tests.bench.processes import BenchFault
from tests.bench.scenario import Outcome, Run
from tests.bench.table import Line, ratio

_BUDGET = Budget(floor=4.0, aim=2.5)
_LATE_P99_US = 20_000


@dataclass(frozen=True)
class Relayed:
    """One round: events that reached the clients in the window, the contestant's CPU for each."""

    events: int
    events_per_s: float
    cpu_us: float
    provider_late_p50_us: float
    provider_late_p99_us: float


def measure(run: Run) -> Outcome:
    """Paced plain, unpaced plain and, in a full run, paced over TLS."""
    outcome = Outcome([], {})
    streams, window_s = (100, 1.5) if run.quick else (200, 3.0)
    pace_us = 20_000
    cases = [("paced", "streams", _BUDGET)] + ([] if run.quick else [("paced, TLS", "streams_tls", None)])
    for label, kind, budget in cases:
        once = partial(paced, run, kind, streams, pace_us, window_s)
        found = run.alternate(once)
        _report(outcome, f"stream event, {label}", budget, found)
        late = max(one.provider_late_p99_us for rounds in found.values() for one in rounds)
        if late > _LATE_P99_US:
            outcome.doubts.append(f"{label} streams: the provider's events left up to {late / 1000:.0f} ms late (p99)")
    _report(outcome, "stream event, unpaced", None, run.alternate(partial(_unpaced, run)))
    outcome.data["streams"] = streams
    outcome.data["pace_us"] = pace_us
    return outcome


def paced(run: Run, kind: str, streams: int, pace_us: int, window_s: float, contestant: Contestant) -> Relayed:
    """One round of `streams` streams, an event each `pace_us`; CPU and events of the `window_s` in their middle."""
    target = contestant.targets[kind]

    def request(**play: int) -> bytes:
        return target.request(workload.stream_prompt(target.model, tier="default", start_within=None, **play))

    return relayed(run, target, request, streams, pace_us, window_s, contestant)


def relayed(
    run: Run,
    target: Target,
    make: Callable[..., bytes],
    streams: int,
    pace_us: int,
    window_s: float,
    contestant: Contestant,
) -> Relayed:
    """The same of requests that `make` writes for what is to be played."""
    ramp_s = 0.5
    events = int((ramp_s + window_s + 0.7) * 1e6 / pace_us)
    request = make(events=events, pace_us=pace_us)
    settle(contestant.child)
    run.provider.take_stats()
    ended: list[Wire] = []
    with Loop() as loop:
        now_ns = time.monotonic_ns()
        for number in range(streams):
            # Spread over the ramp and not on a multiple of the pace, so that streams are not in step.
            start_ns = now_ns + int(number * ramp_s * 1e9 / streams)
            loop.at(start_ns, lambda: Wire(loop, target).ask(request, ended.append))
        loop.run(lambda: bool(ended), ramp_s + 0.2)
        cpu_s, marks, began = contestant.child.cpu_s(), loop.marks, time.monotonic()
        loop.run(lambda: bool(ended), window_s)
        cpu_s, marks, took_s = contestant.child.cpu_s() - cpu_s, loop.marks - marks, time.monotonic() - began
        stats = run.provider.take_stats()
        loop.run(lambda: len(ended) == streams, 20.0)
        _must_be_whole(contestant, ended, streams, events)
    return Relayed(marks, marks / took_s, cpu_s * 1e6 / marks, stats["late_p50_us"], stats["late_p99_us"])


def _unpaced(run: Run, contestant: Contestant) -> Relayed:
    target = contestant.targets["streams"]
    streams, events = 16, 1000 if run.quick else 4000
    request = target.request(workload.stream_prompt(target.model, events=events))
    settle(contestant.child)
    ended: list[Wire] = []
    cpu_s, began = contestant.child.cpu_s(), time.monotonic()
    with Loop() as loop:
        for _ in range(streams):
            Wire(loop, target).ask(request, ended.append)
        loop.run(lambda: len(ended) == streams, 60.0)
        took_s = time.monotonic() - began
        cpu_s = contestant.child.cpu_s() - cpu_s
        _must_be_whole(contestant, ended, streams, events)
        return Relayed(loop.marks, loop.marks / took_s, cpu_s * 1e6 / loop.marks, 0.0, 0.0)


def _must_be_whole(contestant: Contestant, ended: list[Wire], streams: int, events: int) -> None:
    contestant.child.must_live()
    if faults := sorted({wire.fault for wire in ended if wire.fault}):
        raise BenchFault(f"{contestant.name}: streams failed: {', '.join(faults[:3])}\n{contestant.child.tail()}")
    repeats = any(wire.target.path.endswith("/responses") for wire in ended)  # its last events say all of it again
    if len(ended) != streams or any(wire.marks < events if repeats else wire.marks != events for wire in ended):
        short = sum(wire.marks != events for wire in ended)
        raise BenchFault(
            f"{contestant.name}: {len(ended)} of {streams} streams ended, {short} not with {events} events"
        )


def _report(outcome: Outcome, label: str, budget: Budget | None, found: dict[str, list[Relayed]]) -> None:
    outcome.data[label] = {name: [asdict(one) for one in rounds] for name, rounds in found.items()}
    costs = {name: median(one.cpu_us for one in rounds) for name, rounds in found.items()}
    rates = {name: median(one.events_per_s for one in rounds) for name, rounds in found.items()}
    note = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
    if "gateway" in found:
        note += f"; rounds within {spread([one.cpu_us for one in found['gateway']]):.0%}"
    outcome.lines.append(
        Line(
            label,
            "us CPU",
            costs.get("gateway"),
            costs.get("nginx"),
            costs.get("relay"),
            ratio(costs.get("gateway"), costs.get("nginx")),
            budget,
            note,
        )
    )
