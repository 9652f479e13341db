"""`python -m tests.fuzz`: fuzz the parsers on all cores; see RECORD.md for what was done.

    python -m tests.fuzz --seconds 60                  all targets, a minute, on every core
    python -m tests.fuzz --cases 1000000 --target sse  so many cases of one target
    python -m tests.fuzz --replay FILE --target sse    one case again, with its traceback
    python -m tests.fuzz --atheris --seconds 60 --target body   guided by coverage, where atheris is installed

Prints cases, rates and crashes, writes each crash's bytes, and exits with 1 if there was one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.fuzz.cases import TARGETS
from tests.fuzz.run import Crash, Result, run

CRASHES = Path(tempfile.gettempdir()) / "startline-fuzz"


def main() -> int:
    """The command; returns the exit status."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parsers.")
    arguments.add_argument("--seconds", type=float)
    arguments.add_argument("--cases", type=int)
    arguments.add_argument("--target", action="append", choices=sorted(TARGETS))
    arguments.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--crashes", type=Path, default=CRASHES, help="folder for the bytes of crashes")
    arguments.add_argument("--replay", type=Path)
    arguments.add_argument("--atheris", action="store_true")
    arguments.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    targets = asked.target or list(TARGETS)
    if asked.replay is not None:
        TARGETS[targets[0]](asked.replay.read_bytes())
        print("it passes")
        return 0
    if asked.atheris:
        from tests.fuzz.guided import guide

        guide(targets[0], asked.seconds, asked.cases, asked.crashes)
        return 0
    if asked.seconds is None and asked.cases is None:
        asked.seconds = 60.0
    if asked.worker is not None:
        result = run(targets, asked.seed, most_cases=asked.cases, most_s=asked.seconds, folder=asked.crashes)
        sys.stdout.buffer.write(msgspec.json.encode(result))
        return 0
    return _report(targets, asked.seed, _share(asked, targets))


def _share(asked: argparse.Namespace, targets: list[str]) -> list[Result]:
    """One process for each core, each with cases of its own."""
    count = max(1, asked.processes)
    command = [sys.executable, "-m", "tests.fuzz", "--crashes", str(asked.crashes)]
    for target in targets:
        command += ["--target", target]
    if asked.seconds is not None:
        command += ["--seconds", str(asked.seconds)]
    if asked.cases is not None:
        command += ["--cases", str(-(-asked.cases // count))]
    workers = [
        subprocess.Popen([*command, "--worker", str(at), "--seed", str(asked.seed + at)], stdout=subprocess.PIPE)
        for at in range(count)
    ]
    return [msgspec.json.decode(worker.communicate()[0], type=Result) for worker in workers]


def _report(targets: list[str], seed: int, results: list[Result]) -> int:
    print(f"{'target':<12}{'cases':>12}{'seconds':>10}{'a second':>10}{'crashes':>9}   (seed {seed})")
    crashes: list[Crash] = [crash for result in results for crash in result.crashes]
    for target in targets:
        cases = sum(result.cases[target] for result in results)
        seconds = sum(result.seconds[target] for result in results)
        kinds = len({crash.kind for crash in crashes if crash.target == target})
        print(f"{target:<12}{cases:>12,}{seconds:>10.1f}{cases / max(seconds, 1e-9):>10.0f}{kinds:>9}")
    total = sum(sum(result.cases.values()) for result in results)
    peak = max(result.peak_mib for result in results)
    print(f"{'all':<12}{total:>12,}   seconds are of one core each; peak memory of a process {peak} MiB")
    for crash in crashes:
        print(f"CRASH {crash.target}: {crash.kind}\n      {crash.file}")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
