"""Requests as fast as they are answered: wrk where it is installed, else our own client (slower, and it says so)."""

import json
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.client import Loop, Target, Wire
from tests.bench.contestants import Contestant
from tests.bench.figures import quantile
from tests.bench.processes import CONTESTANT_CORE, BenchFault
from tests.bench.scenario import Run
from tests.bench.workload import PATH

_SCRIPT = """
wrk.method = "POST"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nBENCH {{"requests":%d,"duration_us":%d,"bytes":%d,"faults":%d,"statuses":%d,"p50_us":%d,"p99_us":%d}}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Round:
    """One round of pressure. CPU is microseconds a request.

    busy: the share of its core that the contestant used; foreign: the share that others took from it. Where busy and
    foreign are far from 1 together, the contestant was not what limited the rate; `per_core` is right all the same.
    """

    requests_per_s: float
    cpu_us: float
    busy: float
    foreign: float
    load_cpu_us: float
    provider_cpu_us: float
    p50_ms: float
    p99_ms: float

    @property
    def per_core(self) -> float:
        """Requests for each second of CPU: what one core reaches when nothing else limits it."""
        return 1e6 / self.cpu_us

    def as_json(self) -> dict[str, float]:
        """Its figures, for the file."""
        return {**asdict(self), "per_core": self.per_core}


def has_wrk() -> bool:
    """Whether the quick load generator is installed."""
    return shutil.which("wrk") is not None


def press(run: Run, contestant: Contestant, kind: str, body: bytes, connections: int, duration_s: int) -> Round:
    """Press for some seconds and measure. Raises BenchFault when a single answer was wrong."""
    target = contestant.targets[kind]
    child = contestant.child
    provider = run.provider
    began = time.monotonic()
    cpu, provided, core = child.cpu_s(), provider.answers.cpu_s(), run.children.core_busy_s(CONTESTANT_CORE)
    if has_wrk():
        result, load_cpu_s = _wrk(target, body, connections, duration_s)
    else:
        result, load_cpu_s = _own(target, body, connections, duration_s)
    child.must_live()
    took_s = time.monotonic() - began
    core = run.children.core_busy_s(CONTESTANT_CORE) - core
    cpu, provided = child.cpu_s() - cpu, provider.answers.cpu_s() - provided
    requests = result["requests"]
    if result["faults"] or result["statuses"] or not requests or result["bytes"] < requests * len(provider.answer):
        raise BenchFault(f"{contestant.name}, {kind}: wrong answers under pressure: {result}\n{child.tail()}")
    return Round(
        requests_per_s=requests / (result["duration_us"] / 1e6),
        cpu_us=cpu * 1e6 / requests,
        busy=cpu / took_s,
        foreign=max(core - cpu, 0.0) / took_s,
        load_cpu_us=load_cpu_s * 1e6 / requests,
        provider_cpu_us=provided * 1e6 / requests,
        p50_ms=result["p50_us"] / 1e3,
        p99_ms=result["p99_us"] / 1e3,
    )


def _wrk(target: Target, body: bytes, connections: int, duration_s: int) -> tuple[dict[str, Any], float]:
    with tempfile.TemporaryDirectory(prefix="bench-wrk-") as folder:
        (Path(folder) / "body").write_bytes(body)
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in target.headers)
        script = Path(folder) / "script.lua"
        script.write_text(_SCRIPT.format(body=f"{folder}/body", headers=headers))
        url = f"http://127.0.0.1:{target.port}{PATH}"
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{duration_s}s", "--timeout", "10s", "-s", str(script), url]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=duration_s + 30, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for line in done.stdout.splitlines():
        if line.startswith("BENCH "):
            load = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return json.loads(line[6:]), load
    raise BenchFault(f"wrk ended with status {done.returncode}: {done.stderr[-500:]}")


def _own(target: Target, body: bytes, connections: int, duration_s: int) -> tuple[dict[str, Any], float]:
    request = target.request(body)
    taken_us: list[float] = []
    faults: list[str] = []
    received = 0
    cpu_s = time.process_time()
    began_ns = time.monotonic_ns()
    end_ns = began_ns + duration_s * 1_000_000_000
    with Loop() as loop:

        def done(wire: Wire) -> None:
            nonlocal received
            if wire.fault:
                faults.append(wire.fault)
                return
            received += len(wire.body)
            taken_us.append((wire.ended_ns - wire.asked_ns) / 1e3)
            if wire.ended_ns < end_ns:
                wire.ask(request, done)

        for _ in range(connections):
            Wire(loop, target).ask(request, done)
        loop.run(lambda: time.monotonic_ns() >= end_ns or bool(faults), duration_s + 10.0)
    return {
        "requests": len(taken_us),
        "duration_us": (time.monotonic_ns() - began_ns) / 1e3,
        "bytes": received,
        "faults": len(faults),
        "statuses": 0,
        "p50_us": quantile(taken_us, 0.5) if taken_us else 0.0,
        "p99_us": quantile(taken_us, 0.99) if taken_us else 0.0,
    }, time.process_time() - cpu_s
