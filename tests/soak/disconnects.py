"""Clients that leave at random moments: `python -m tests.soak.disconnects [--requests 100000] [--seed N]`.

Runs a real server before simulated providers, with visitors that leave before the head is whole, within the body,
before the first byte, around the launch of a race's dearer rung, in mid-stream, at the last event; with a close, a
reset, a half-close, more bytes behind. Every so often all pause, and then nothing may be left: no task, socket, slot,
byte, probe, row or open request at a provider. Exit status: 0 nothing was left, 1 something was.
"""

import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import click
import trio

from tests.bench.figures import quantile
from tests.bench.processes import raise_file_limit
from tests.soak.client import Left, Visitor
from tests.soak.judge import Delay, Judge, rows
from tests.soak.plans import draw
from tests.soak.served import Snapshot
from tests.soak.slope import slope
from tests.soak.stage import Stage, staged

VISITORS = 5
PAUSE_AFTER = 2_000
SETTINGS = {
    "start_within_least_s": "0.02",
    "pool_idle_s": "1.5",
    "breaker_failures": "4",
    "breaker_pause_s": "0.2",
    "shutdown_s": "5",
    "log_requests": "false",
}
CLOSED_WITHIN_S = 0.020
BLOCKS_PER_REQUEST = 0.05
"""Small blocks of memory that may stay of a request on average: what grows with the requests keeps at least one."""


class Report:
    """What a run showed."""

    def __init__(self, judge: Judge, rests: list[tuple[int, Snapshot]], took_s: float) -> None:
        self.judge = judge
        self.rests = rests
        self.took_s = took_s
        self.faults = judge.faults
        self.requests = rests[-1][0]

    def delays_s(self, *, started: bool | None = None) -> list[float]:
        """From leaving to the provider's hearing of it."""
        return [one.seconds for one in self.judge.delays if started is None or one.started is started]

    def blocks_per_request(self) -> tuple[float, float]:
        """How many blocks of memory stay of a request: by the line through the pauses, and the least of that."""
        warm = self.rests[len(self.rests) // 3 :]
        line = slope([done for done, _ in warm], [rest.blocks for _, rest in warm])
        return line.each, line.low

    def lines(self) -> list[str]:
        """The report for people."""
        counts = self.judge.counts
        lines = [f"{self.requests:,} requests in {self.took_s:.0f} s, {len(self.rests)} pauses"]
        lines += [f"  {name}: {count:,}" for name, count in sorted(counts.items())]
        for name, values in (
            ("before the answer began", self.delays_s(started=False)),
            ("after it began", self.delays_s(started=True)),
            ("at all, while the machine was quiet", [one.seconds for one in self.judge.quiet]),
            ("by a provider left directly", self.judge.noise_s),
        ):
            if values:
                shown = ", ".join(f"{what} {1000 * value:.2f}" for what, value in _quantiles(values).items())
                lines.append(f"heard of the leaving, {name}: {shown} ms ({len(values):,})")
        for done, rest in self.rests[:: max(len(self.rests) // 10, 1)]:
            collected = sum(rest.garbage.values())
            lines.append(
                f"  at rest after {done:,}: {rest.tasks} tasks, {rest.own_files} files of its own, {rest.held['idle']}"
                f" idle to providers, {rest.rss_bytes / 1e6:.1f} MB, {rest.blocks:,} blocks, {collected} collected"
            )
        if len(self.rests) >= 6:
            each, low = self.blocks_per_request()
            lines.append(f"blocks of memory that stay of a request: {each:.4f} (at least {low:.4f})")
            warm = self.rests[len(self.rests) // 3 :]
            line = slope([done for done, _ in warm], [rest.rss_bytes for _, rest in warm])
            lines.append(f"bytes of resident memory per request: {line.each:.1f} ({line.low:.1f} to {line.high:.1f})")
        return lines


def _quantiles(values: list[float]) -> dict[str, float]:
    return {"p50": quantile(values, 0.5), "p99": quantile(values, 0.99), "p99.9": quantile(values, 0.999)} | {
        "max": max(values)
    }


async def run(requests: int, seed: int, folder: Path, pause_after: int = PAUSE_AFTER) -> Report:
    """Run it all; the report's `faults` say what was left."""
    began_s = trio.current_time()
    judge = Judge()
    rests: list[tuple[int, Snapshot]] = []
    async with staged(folder, **SETTINGS) as stage:
        visitors = [Visitor(stage.served.port, *await stage.served.new_key(f"v{n}")) for n in range(VISITORS)]
        rng = Random(seed)
        since = await _round(stage, judge, visitors, rng, 0, VISITORS * 4)  # what the first requests make is no leak
        base = await stage.served.at_rest()
        done = 0
        while done < requests:
            count = min(pause_after, requests - done)
            since = await _round(stage, judge, visitors, rng, done + 1_000_000, count, since)
            done += count
            rest = await stage.served.at_rest()
            rests.append((done, rest))
            judge.faults += [f"after {done:,}: {fault}" for fault in _left_over(base, rest)]
            if sys.stderr.isatty() or done % (pause_after * 5) == 0:
                print(f"{done:,} {len(judge.faults)} faults", file=sys.stderr, flush=True)
        judge.faults += stage.errors()
        judge.faults += stage.served.stop()
    return Report(judge, rests, trio.current_time() - began_s)


async def _round(
    stage: Stage, judge: Judge, visitors: list[Visitor], rng: Random, first: int, count: int, since: str = ""
) -> str:
    """So many requests, then a pause in which all is compared; the newest row's id."""
    lefts: list[Left] = []
    plans = [draw(rng, f"m{first + n}", n) for n in range(count)]

    async def one(visitor: Visitor) -> None:
        while plans:
            lefts.append(await visitor.visit(plans.pop()))
        visitor.close()

    async with trio.open_nursery() as outer:
        outer.start_soon(stage.control)
        async with trio.open_nursery() as nursery:
            for visitor in visitors:
                nursery.start_soon(one, visitor)
        outer.cancel_scope.cancel()
    if not await stage.providers_idle():
        judge.faults.append("a provider still has requests in work")
    await stage.served.at_rest()  # all rows are written
    database = stage.served.data_folder / "startline.db"
    told = await trio.to_thread.run_sync(rows, database, since)
    seen = stage.entries()
    quiet = judge.direct(stage.direct, seen)
    stage.direct.clear()
    judge.hear(lefts, seen, told, quiet=quiet)
    return max([row.request["request_id"] for row in told.values()], default=since)


def _left_over(base: Snapshot, rest: Snapshot) -> list[str]:
    faults = [f"{count} {name} are held" for name, count in rest.open_requests.items()]
    if rest.tasks > base.tasks:
        more = Counter(rest.stacks) - Counter(base.stacks)
        faults.append(f"{rest.tasks} tasks instead of {base.tasks}: {[*more]}")
    if rest.rings:
        faults.append(f"only the collector of garbage would free {rest.rings}")
    if rest.own_files > base.own_files:
        faults.append(f"{rest.own_files} files of its own instead of {base.own_files}")
    return faults


def late(delays: list[Delay], limit_s: float) -> Counter[str]:
    """How many were later than that, by moment and lane."""
    return Counter(f"{one.left.plan.moment.name} {one.left.plan.lane}" for one in delays if one.seconds > limit_s)


def _ended(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)  # which trio knows how to end by


@click.command()
@click.option("--requests", default=100_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(requests: int, seed: int) -> None:
    """Let clients leave, and look for what is left of them."""
    signal.signal(signal.SIGTERM, _ended)
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="startline-soak-") as folder:
        report = trio.run(run, requests, seed, Path(folder))
    for line in report.lines():
        click.echo(line)
    click.echo(f"later than 20 ms: {dict(late(report.judge.delays, CLOSED_WITHIN_S))}")
    for fault in report.faults:
        click.echo(f"LEFT: {fault}")
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
