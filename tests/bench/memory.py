"""Resident memory: idle, and for each open stream that had its first event and is silent since.

Kernel memory of the sockets is not in it. Each count starts from what the same process had when it was idle.
"""

import time
from typing import Any

from tests.bench import workload
from tests.bench.client import Loop, Wire
from tests.bench.contestants import Contestant, settle
from tests.bench.figures import Budget
from tests.bench.processes import BenchFault
from tests.bench.scenario import Outcome, Run
from tests.bench.table import Line

_IDLE_MB = Budget(floor=100.0, aim=60.0)
_STREAM_KIB = Budget(floor=40.0, aim=20.0)
_SPARE_FILES = 800  # listeners and idle connections of what stands in front of the streams over TLS
_OPENING = 100
_STREAMS_PER_SOURCE = 5_000


def measure(run: Run) -> Outcome:
    """Plain and TLS upstream, each in a fresh process; 10,000 streams in a full run, or as many as files allow."""
    counts = [1_000] if run.quick else [1_000, 10_000]
    most = (run.files - _SPARE_FILES) // 2 // 100 * 100
    outcome = Outcome([], {"open_files": run.files})
    if counts[-1] > most:
        outcome.doubts.append(f"{run.files} open files allow only {most:,} streams at once")
        counts = [min(count, most) for count in counts]
    figures: dict[str, dict[str, Any]] = {}
    for kind in ("streams", "streams_tls"):
        for contestant in run.contestants:
            fresh = run.starts[contestant.name](run.children, run.provider)
            try:
                settle(fresh.child)
                figures.setdefault(contestant.name, {})[kind] = _grown(run, fresh, kind, counts)
            finally:
                run.children.stop(fresh.child)
    outcome.data["contestants"] = figures
    idle = {name: kinds["streams"]["idle_mb"] for name, kinds in figures.items()}
    outcome.lines.append(_line("memory idle", "MB", idle, _IDLE_MB))
    for kind in ("streams", "streams_tls"):
        for count in counts:
            each = {name: kinds[kind][str(count)]["kib_per_stream"] for name, kinds in figures.items()}
            over = "TLS" if kind == "streams_tls" else "plain"
            label = f"memory of an idle stream, {count:,} {over}"
            outcome.lines.append(_line(label, "KiB", each, _STREAM_KIB if over == "plain" else None))
    return outcome


def _line(label: str, unit: str, figures: dict[str, float], budget: Budget | None) -> Line:
    ours = figures.get("gateway")
    return Line(label, unit, ours, figures.get("nginx"), figures.get("relay"), ours, budget)


def _grown(run: Run, contestant: Contestant, kind: str, counts: list[int]) -> dict[str, Any]:
    target = contestant.targets[kind]
    request = target.request(workload.stream_prompt(target.model, events=2, idle=1))
    idle = contestant.child.rss_bytes()
    figures: dict[str, Any] = {"idle_mb": idle / 1e6}
    with Loop() as loop:
        state = _Opening()
        for count in counts:
            began = time.monotonic()
            state.goal = count
            while state.asked < count and not state.faults:
                if state.asked - state.begun < _OPENING:
                    # Other source addresses, so that ports of one do not run short.
                    wire = Wire(loop, target, f"127.0.0.{1 + state.asked // _STREAMS_PER_SOURCE}")
                    wire.on_mark = state.on_mark
                    wire.ask(request, state.on_end)
                    state.asked += 1
                else:
                    loop.run(lambda: state.asked - state.begun < _OPENING or bool(state.faults), 20.0)
                    if state.asked - state.begun >= _OPENING:
                        break
            loop.run(lambda goal=count: state.begun >= goal or bool(state.faults), 20.0)  # type: ignore[misc]
            contestant.child.must_live()
            if state.faults or state.begun < count:
                raise BenchFault(
                    f"{contestant.name}: {state.begun:,} of {count:,} streams opened: {state.faults[:1]}\n"
                    f"{contestant.child.tail()}"
                )
            took_s = time.monotonic() - began
            settle(contestant.child)
            used = contestant.child.rss_bytes()
            figures[str(count)] = {
                "rss_mb": used / 1e6,
                "kib_per_stream": (used - idle) / 1024 / count,
                "opened_in_s": took_s,
            }
    settle(contestant.child, 10.0)
    figures["after_close_mb"] = contestant.child.rss_bytes() / 1e6
    return figures


class _Opening:
    """How many streams were asked for and how many have had their first event."""

    def __init__(self) -> None:
        self.goal = self.asked = self.begun = 0
        self.faults: list[str] = []

    def on_mark(self, wire: Wire) -> None:
        """The first event came."""
        if wire.marks == 1:
            self.begun += 1

    def on_end(self, wire: Wire) -> None:
        """No stream should end."""
        self.faults.append(wire.fault or "a stream ended")
