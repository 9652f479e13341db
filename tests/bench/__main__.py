"""The bench: `python -m tests.bench [--quick] [--only NAME] [--json FILE] [--profile]`, from the root of the checkout.

Runs the gateway and nginx's `proxy_pass` side by side before the same provider, in alternating rounds, contestants on
core 0, load and provider on core 1, loopback only; prints the figures against the floors and aims of the performance
budget. Ratios within one run count, not the figures of a machine. Needs Linux, two cores and nginx; wrk if there.

Exit status: 0 all floors met, 1 a floor was not met, 2 the run is not valid (a wrong answer, a scenario that failed).
"""

import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click

from tests.bench import cold_start, latency, loser, memory, rates, streaming, translated
from tests.bench.contestants import GATEWAY_COMMAND, Contestant, Start, start_gateway, start_nginx, start_relay
from tests.bench.processes import BenchFault, Children, raise_file_limit
from tests.bench.provider import start_provider
from tests.bench.scenario import Outcome, Run, Scenario
from tests.bench.table import Line, render
from tests.bench.where_time_goes import profile

SCENARIOS: dict[str, Scenario] = {
    "rates": rates.measure,
    "streams": streaming.measure,
    "translated": translated.measure,
    "latency": latency.measure,
    "loser": loser.measure,
    "memory": memory.measure,
    "start": cold_start.measure,
}


def _ended(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


_INTERPRETER = (
    "import platform, sys; print(platform.python_implementation(), platform.python_version(), 'of', sys.base_prefix)"
)


def interpreter(command: Sequence[str]) -> str:
    """What runs the gateway: the Python that `command` begins with, and whose build it is; else the program's name.

    Builds of one version differ by a seventh of a request: a figure without this says little.
    """
    name = Path(command[0]).name
    if not name.startswith("python"):
        return name
    return subprocess.run([command[0], "-I", "-c", _INTERPRETER], capture_output=True, text=True, check=True).stdout[
        :-1
    ]


def _facts(command: Sequence[str]) -> dict[str, Any]:
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip()
    models = [
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "gateway": interpreter(command),
        "kernel": platform.release(),
        "nginx": nginx.removeprefix("nginx version: "),
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),
    }


def _measured(run: Run, names: Sequence[str]) -> tuple[list[Line], dict[str, Any], list[str], list[str]]:
    lines: list[Line] = []
    data: dict[str, Any] = {}
    doubts: list[str] = []
    faults: list[str] = []
    for name in names:
        began = time.monotonic()
        run.say(f"{name} ...")
        try:
            outcome: Outcome = SCENARIOS[name](run)
        except (BenchFault, OSError, subprocess.SubprocessError) as reason:
            faults.append(f"{name}: {reason}")
            run.say(f"  FAILED: {reason}")
            continue
        lines += outcome.lines
        doubts += outcome.doubts
        data[name] = outcome.data
        run.say(f"  {time.monotonic() - began:.0f} s")
    return lines, data, doubts, faults


def _started(starts: dict[str, Start], children: Children, run_provider: Any) -> tuple[Contestant, ...]:
    return tuple(start(children, run_provider) for start in starts.values())


def _bench(
    folder: Path, *, quick: bool, names: Sequence[str], who: Sequence[str], command: tuple[str, ...], profiled: bool
) -> dict[str, Any]:
    facts = _facts(command)
    say = partial(print, file=sys.stderr, flush=True)
    every: dict[str, Start] = {
        "gateway": partial(start_gateway, command=command),
        "nginx": start_nginx,
        "relay": start_relay,
    }
    starts = {name: every[name] for name in every if name in who}
    files = raise_file_limit()
    with Children(folder) as children:
        children.pin_self()
        provider = start_provider(children, files)
        if profiled:
            run = Run(children, provider, (), starts, quick, files, say, command)
            return {"facts": facts, "profile": profile(run), "faults": [], "lines": []}
        run = Run(children, provider, _started(starts, children, provider), starts, quick, files, say, command)
        lines, data, doubts, faults = _measured(run, names)
    return {"facts": facts, "quick": quick, "lines": lines, "data": data, "doubts": doubts, "faults": faults}


@click.command()
@click.option("--quick", is_flag=True, help="About a minute and a half; fewer and shorter rounds.")
@click.option(
    "--only", "names", multiple=True, type=click.Choice(list(SCENARIOS)), help="Only this scenario (repeatable)."
)
@click.option("--contestants", default="gateway,nginx", show_default=True, help="Of gateway, nginx, relay.")
@click.option(
    "--gateway-command", default=shlex.join(GATEWAY_COMMAND), help="How to run the gateway, for instance a binary."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything measured here."
)
@click.option("--profile", "profiled", is_flag=True, help="Show where the gateway's time goes, instead of the bench.")
def main(
    quick: bool, names: tuple[str, ...], contestants: str, gateway_command: str, json_file: Path | None, profiled: bool
) -> None:
    """Measure the gateway against nginx's proxy_pass; see the performance budget in ARCHITECTURE.md."""
    who = [name.strip() for name in contestants.split(",")]
    if unknown := set(who) - {"gateway", "nginx", "relay"}:
        raise click.BadParameter(f"no contestant is named {sorted(unknown)[0]}", param_hint="--contestants")
    if sys.platform != "linux" or shutil.which("nginx") is None:
        raise click.ClickException("the bench needs Linux and nginx (on Debian: apt install nginx-light wrk)")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    command = tuple(shlex.split(gateway_command))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="startline-bench-"))
    try:
        result = _bench(
            folder, quick=quick, names=names or list(SCENARIOS), who=who, command=command, profiled=profiled
        )
    except BenchFault as reason:
        click.echo(f"the bench could not run: {reason}", err=True)
        sys.exit(2)
    except KeyboardInterrupt as reason:
        click.echo(f"ended by {str(reason) or 'the keyboard'}; everything that was started is ended", err=True)
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(_shown(result, json_file, time.monotonic() - began))


def _shown(result: dict[str, Any], json_file: Path | None, took_s: float) -> int:
    lines: list[Line] = result["lines"]
    if "profile" in result:
        click.echo(result["profile"])
        return 0
    facts = result["facts"]
    click.echo(
        f"{facts['processor']}, {facts['cores']} cores, gateway on {facts['gateway']}, {facts['nginx']}, {took_s:.0f} s"
    )
    click.echo(render(lines))
    for doubt in result["doubts"]:
        click.echo(f"doubtful: {doubt}")
    for fault in result["faults"]:
        click.echo(f"NOT VALID: {fault}", err=True)
    if json_file is not None:
        text = json.dumps({**result, "lines": [line.as_json() for line in lines], "took_s": took_s}, indent=1)
        json_file.write_text(text + "\n", "utf-8")
    missed = [line.what for line in lines if line.verdict == "NOT MET"]
    if missed:
        click.echo(f"floor not met: {', '.join(missed)}")
    return 2 if result["faults"] else 1 if missed else 0


if __name__ == "__main__":
    main()
