"""Half of a server's load for a long time, with trouble, and what grows meanwhile.

The rule: what is judged is the server's own process, as the kernel and its own allocator tell it; a slope is one only
if it is surely above zero, and more than what the run's own records explain.
"""

import math
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import trio

from tests.soak.client import Left, Visitor
from tests.soak.plans import Moment, Plan, draw
from tests.soak.served import Snapshot
from tests.soak.slope import Slope, slope
from tests.soak.stage import Stage, staged
from tests.soak.trouble import BREAKER_PAUSE_S, FAULTS, UNDONE, act, garbage, operate, stop_reading
from tests.upstream.scripted import Server

SETTINGS = {
    "start_within_least_s": "0.02",
    "pool_idle_s": "5",
    "idle_timeout_s": "3",
    "first_content_timeout_s": "4",
    "write_timeout_s": "8",
    "breaker_pause_s": str(BREAKER_PAUSE_S),
    "archive_segment_bytes": "400000",
    "archive_segment_age_s": "30",
    "max_failed_keys": "600",
}
MOMENTS = {moment: 80.0 if moment is Moment.STAYS else 2.5 for moment in Moment}
MEASURE_S = 8.0
MEASURING = 64
SAMPLE_S = 1.0
MOST_VISITORS = 250
STOPS_READING = 0.005
GARBAGE = 0.03
TROUBLE = 0.10
WARM = {"memory": 0.5, "heap": 0.2, "blocks": 0.2, "files": 0.2, "tasks": 0.2}
"""The share of the time in which what is used for long is first made.

A leak shows in the heap and the blocks. What is resident is more: what was freed stays with malloc, between what is
still used, so that it follows what the most at once needed, in steps, and does not go back. At 185 requests a second,
which the clients could hardly send (up to 363 connections), it went from 90 to 112 MB in five minutes and to 114 MB in
five more, while the heap stayed at 24 MB and ended at rest with 22.4 instead of 21.1.
"""

TOLERANCE = {"memory": 4e6, "heap": 2e6, "blocks": 8_000.0, "files": 4.0, "tasks": 4.0}
"""By how much the line may rise over what is judged of a run.

In that run it rose by 2.7 MB of memory and by nothing else. At 43 requests a second, ten minutes too, by 0.7 MB of
memory (2.5 MB over the last 80 %), 0.55 MB of heap and 2,100 blocks: the heap are the lengths of the answers of the 37
keys that the operator made, 15 kB each, of which 500 are kept at most. All other tables were full before.
"""

PILED = {"memory": 60_000.0, "blocks": 150.0}
"""What it may rise by for each connection more than there were at most while it warmed: where the server was stopped
for up to 3.6 s now and then, connections rose from 20 to 110, memory by 79 kB for each of them, blocks by 127, and the
heap by nothing that could be told from none; without stops memory rose by 40 to 50 kB."""

LONG_S = 600.0
"""From here on the slopes of memory, heap and blocks are judged; in less a process is still finding the size that its
load needs. Files and tasks are judged always."""
_SIZES = frozenset({"memory", "heap", "blocks"})

MORE_BLOCKS_AT_REST = 4_000
"""Blocks of memory that may be more at rest at the end, for keys made and tables filled: it varies by half of that."""

_UNITS = {
    "memory": (1e6, "MB"),
    "heap": (1e6, "MB"),
    "blocks": (1.0, "blocks"),
    "files": (1.0, "files"),
    "tasks": (1.0, "tasks"),
}


class Sample(msgspec.Struct):
    """What the server used at one moment; `at_s` since the soak began.

    Files and tasks are those that no client's connection and no call to a provider accounts for.
    """

    at_s: float
    memory: float
    heap: float
    blocks: float
    files: float
    tasks: float
    connections: int
    calls: int


class Report:
    """What a soak showed."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.full_rate = self.rate = self.cpu_share = self.soaked_s = 0.0
        self.before: Snapshot | None = None
        self.after: Snapshot | None = None

    def slopes(self) -> dict[str, Slope]:
        """What each kind grows by in a second, once all is warm."""
        found: dict[str, Slope] = {}
        for name, cold in WARM.items():
            warm = [sample for sample in self.samples if sample.at_s >= cold * self.soaked_s]
            found[name] = slope([sample.at_s for sample in warm], [getattr(sample, name) for sample in warm])
        return found

    def judge(self) -> None:
        """Add what grows, and what was left, to the faults."""
        for name, found in self.slopes().items():
            judged = self.soaked_s >= LONG_S or name not in _SIZES
            most = TOLERANCE[name] + PILED.get(name, 0.0) * self._piled_up(WARM[name])
            if judged and found.grows(self.soaked_s * (1 - WARM[name]), most):
                self.faults.append(f"{name} grows: {_per_hour(name, found)}")
        if self.before is None or self.after is None:
            self.faults.append("it did not come to rest")
            return
        if undone := self.counts[UNDONE]:
            self.faults.append(f"{undone} times the operator was not answered")
        self.faults += [f"{held} {name} are held at the end" for name, held in self.after.open_requests.items()]
        if rings := self.after.rings:
            self.faults.append(f"what only the collector of garbage would free: {rings}")
        if self.after.tasks > self.before.tasks:
            more = Counter(self.after.stacks) - Counter(self.before.stacks)
            self.faults.append(f"{self.after.tasks} tasks at rest instead of {self.before.tasks}: {[*more]}")
        if self.after.blocks > self.before.blocks + MORE_BLOCKS_AT_REST:
            self.faults.append(f"{self.after.blocks:,} blocks of memory at rest instead of {self.before.blocks:,}")
        if self.after.own_files > self.before.own_files:
            self.faults.append(f"{self.after.own_files} files at rest instead of {self.before.own_files}")

    def _piled_up(self, cold: float) -> int:
        """How many more connections there were at most after that share of the time than within it."""
        most = {True: 0, False: 0}
        for sample in self.samples:
            warm = sample.at_s >= cold * self.soaked_s
            most[warm] = max(most[warm], sample.connections)
        return max(most[True] - most[False], 0)

    def lines(self) -> list[str]:
        """The report for people."""
        lines = [
            f"{self.soaked_s / 60:.1f} minutes at {self.rate:.0f} requests a second, half of {self.full_rate:.0f}",
            f"the server used {100 * self.cpu_share:.0f} % of a core",
        ]
        lines += [f"  {name}: {number:,}" for name, number in sorted(self.counts.items())]
        lines += [f"{name}: {_per_hour(name, found)}" for name, found in self.slopes().items()]
        for what, rest in (("before", self.before), ("after", self.after)):
            if rest is not None:
                collected = sum(rest.garbage.values())
                lines.append(
                    f"at rest {what}: {rest.tasks} tasks, {rest.own_files} files of its own,"
                    f" {rest.rss_bytes / 1e6:.1f} MB, {rest.heap_bytes / 1e6:.1f} MB given out, {rest.blocks:,} blocks,"
                    f" {collected:,} objects collected"
                )
        if self.after is not None and self.after.garbage:
            kinds = sorted(self.after.garbage.items(), key=lambda kind: -kind[1])[:12]
            lines.append(f"collected: {', '.join(f'{number:,} {name}' for name, number in kinds)}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "rate": self.rate,
            "counts": dict(self.counts),
            "faults": self.faults,
            "samples": msgspec.to_builtins(self.samples),
            "slopes_per_s": {name: [one.each, one.low, one.high] for name, one in self.slopes().items()},
        }


def _per_hour(name: str, found: Slope) -> str:
    size, unit = _UNITS[name]
    each, low, high = (3600 * value / size for value in (found.each, found.low, found.high))
    return f"{each:+.2f} {unit} an hour ({low:+.2f} to {high:+.2f})"


class Soak:
    """The load of one soak."""

    def __init__(self, stage: Stage, rng: Random, key: tuple[str, str], report: Report) -> None:
        self._stage = stage
        self._rng = rng
        self._key = key
        self._report = report
        self._idle: list[Visitor] = []
        self._made = 0
        self._numbers = count()

    def _plan(self) -> Plan:
        rng, number = self._rng, next(self._numbers)
        plan = draw(rng, f"s{number}", number % 1000, MOMENTS)
        chance = rng.random()
        if chance < GARBAGE:
            return msgspec.structs.replace(plan, provider="garbage", moment=Moment.STAYS)
        if chance < TROUBLE:
            return msgspec.structs.replace(plan, sim=f"{plan.sim},{rng.choice(FAULTS)}")
        if chance < 2 * TROUBLE:
            return msgspec.structs.replace(plan, provider="moving")
        return plan

    async def full_speed(self, seconds: float) -> float:
        """Requests a second of visitors who wait for nothing but what they came for."""
        done = 0

        async def one() -> None:
            nonlocal done
            visitor = Visitor(self._stage.served.port, *self._key)
            try:
                while True:
                    await visitor.visit(self._plan())
                    done += 1
            finally:
                visitor.close()

        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for _ in range(MEASURING):
                    nursery.start_soon(one)
        return done / seconds

    async def go_on(self, rate: float, seconds: float) -> None:
        """Begin so many requests a second, at random times, for so long."""
        end_s = trio.current_time() + seconds
        at_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            while at_s < end_s:
                at_s -= math.log(1 - self._rng.random()) / rate
                await trio.sleep_until(at_s)
                if self._rng.random() < STOPS_READING:
                    nursery.start_soon(stop_reading, self._stage.served.port, self._key[1], self._report.counts)
                elif self._idle or self._made < MOST_VISITORS:
                    nursery.start_soon(self._one)
                else:
                    self._report.counts["not begun: too many at once"] += 1

    async def _one(self) -> None:
        if self._idle:
            visitor = self._idle.pop()
        else:
            self._made += 1
            visitor = Visitor(self._stage.served.port, *self._key)
        try:
            left = await visitor.visit(self._plan())
        except BaseException:
            visitor.close()
            raise
        self._idle.append(visitor)
        self._note(left)

    def _note(self, left: Left) -> None:
        counts = self._report.counts
        if left.fault.startswith("nothing happened"):
            self._report.faults.append(f"{left.fault}: {left.plan}")
        elif left.fault:
            counts["broken off"] += 1
        elif left.plan.moment is Moment.STAYS:
            counts[f"answered {left.status or 0}"] += 1
        else:
            counts["left"] += 1

    def close(self) -> None:
        """Close what the visitors have kept open."""
        for visitor in self._idle:
            visitor.close()


async def soak(seconds: float, seed: int, folder: Path) -> Report:
    """Run it all; the report's `faults` say what grew, what was left and what went wrong."""
    report, rng = Report(), Random(seed)
    async with staged(folder, **SETTINGS) as stage, trio.open_nursery() as nursery:
        served = stage.served
        bad = Server([garbage(Random(seed + 1))], None)
        await nursery.start(bad.run)
        base_urls = [simulator.base_url for simulator in stage.simulators.values()]
        await served.add_provider("moving", base_urls[0])
        await served.add_provider("garbage", bad.base_url, models=["gpt-5.4-nano", "gpt-5.4-mini"])
        load = Soak(stage, rng, await served.new_key("soak"), report)
        report.full_rate = await load.full_speed(MEASURE_S)
        report.rate = report.full_rate / 2
        for number in range(5):
            await act(served, base_urls, rng, number)
        await load.go_on(report.rate, min(seconds / 10, 20.0))
        load.close()
        report.counts.clear()
        report.before = await served.at_rest()
        began_s, cpu_s = trio.current_time(), served.cpu_s()
        async with trio.open_nursery() as beside:
            beside.start_soon(operate, served, base_urls, rng, report.counts)
            beside.start_soon(_sample, stage, report, began_s)
            await load.go_on(report.rate, seconds)
            report.soaked_s = trio.current_time() - began_s
            report.cpu_share = (served.cpu_s() - cpu_s) / report.soaked_s
            beside.cancel_scope.cancel()
        load.close()
        report.after = await served.at_rest()
        segments = list((served.data_folder / "archive").glob("*"))
        report.counts["archive segments"] = len(segments)
        if len(segments) < 2:
            report.faults.append("the archive never rotated")
        report.faults += stage.errors()
        report.judge()
        report.faults += await trio.to_thread.run_sync(served.stop)
        nursery.cancel_scope.cancel()
    return report


async def _sample(stage: Stage, report: Report, began_s: float) -> None:
    while True:
        told = await stage.served.snapshot()
        at_s = trio.current_time() - began_s
        held = told.held
        report.samples.append(
            Sample(
                at_s,
                told.rss_bytes,
                told.heap_bytes,
                told.blocks,
                told.standing_files,
                told.standing_tasks,
                held["connections"],
                held["calls"],
            )
        )
        for simulator in stage.simulators.values():
            simulator.journal.clear()
        if len(report.samples) % 60 == 0:
            print(f"{at_s / 60:.1f} min {report.samples[-1]} {dict(report.counts)}", file=sys.stderr, flush=True)
        await trio.sleep(SAMPLE_S)
