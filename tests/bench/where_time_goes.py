"""Where the gateway's time goes: cProfile inside it under load, and perf beside it where perf is installed.

cProfile makes Python calls look dearer than C calls and sees the main thread only: read it as an order, not as a
measure. What a request really costs is what `rates` says.
"""

import pstats
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.bench import workload
from tests.bench.contestants import Contestant, start_gateway
from tests.bench.pressure import press
from tests.bench.scenario import Run
from tests.bench.streaming import paced

_TOP = 35
_SECONDS = 4


def profile(run: Run) -> str:
    """Load with plain requests, then long prompts over TLS, then streams; a report for each."""
    parts = []
    loads: dict[str, Callable[[Run, Contestant], object]] = {
        "600 B prompts": lambda run, one: press(run, one, "answers", _body(one, "answers", 600), 32, _SECONDS),
        "100 KB prompts over TLS": lambda run, one: press(
            run, one, "answers_tls", _body(one, "answers_tls", workload.LARGE_PROMPT_BYTES), 32, _SECONDS
        ),
        "100 paced streams": lambda run, one: paced(run, "streams", 100, 20_000, float(_SECONDS), one),
    }
    for number, (label, load) in enumerate(loads.items()):
        if perf := _perf(run, load):
            parts.append(f"== {label}: perf (all threads, kernel included)\n{perf}")
        parts.append(f"== {label}: cProfile\n{_cprofile(run, load, number)}")
    return "\n\n".join(parts)


def _body(contestant: Contestant, kind: str, size_bytes: int) -> bytes:
    return workload.prompt(contestant.targets[kind].model, size_bytes)


def _cprofile(run: Run, load: Callable[[Run, Contestant], object], number: int) -> str:
    path = run.children.folder / f"profile-{number}"
    python, *rest = run.gateway_command  # a packed binary cannot be profiled like this
    prefix = (python, "-m", "cProfile", "-o", str(path), *rest)
    gateway = start_gateway(run.children, run.provider, run.gateway_command, prefix)
    try:
        load(run, gateway)
    finally:
        run.children.stop(gateway.child, 20.0)  # SIGTERM: a graceful stop writes the file
    if not path.exists():
        return f"no profile was written: did `serve` end by itself at SIGTERM?\n{gateway.child.tail()}"
    return summary(path)


def summary(path: Path) -> str:
    """Time by package and by function, from a file of cProfile."""
    stats = pstats.Stats(str(path))
    rows: list[tuple[float, int, str]] = []
    packages: defaultdict[str, float] = defaultdict(float)
    for (file, line, name), (_, calls, own_s, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        rows.append((own_s, calls, f"{_short(file)}:{line} {name}" if line else name))
        packages[_package(file, name)] += own_s
    waiting = packages.pop("waiting", 0.0)
    total = sum(packages.values()) or 1.0
    text = [f"{total:.2f} s of work, {waiting:.2f} s waiting for I/O", ""]
    text += [f"{own / total:6.1%}  {name}" for name, own in sorted(packages.items(), key=lambda row: -row[1])[:15]]
    text.append("")
    shown = [row for row in sorted(rows, reverse=True) if "epoll" not in row[2]][:_TOP]
    text += [f"{own / total:6.1%}  {calls:9,d} calls  {name}" for own, calls, name in shown]
    return "\n".join(text)


def _package(file: str, name: str) -> str:
    if "epoll" in name:
        return "waiting"
    if file == "~":
        return "C: sockets" if "socket" in name else "C: TLS" if "ssl" in name.lower() else "C: other"
    parts = Path(file).parts
    if "appliance" in parts:
        at = parts.index("appliance")
        return "/".join(parts[at : at + 2])
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "standard library" if file.startswith("/") else file


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-3:])


def _perf(run: Run, load: Callable[[Run, Contestant], object]) -> str:
    if shutil.which("perf") is None:
        return ""
    gateway = start_gateway(run.children, run.provider, run.gateway_command)
    path = run.children.folder / "perf.data"
    pids = ",".join(str(pid) for pid in gateway.child.pids())
    recording = run.children.start(
        "perf", ["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", str(path), "-p", pids], 1
    )
    try:
        load(run, gateway)
    finally:
        run.children.stop(recording)
        run.children.stop(gateway.child)
    if not path.exists():
        return ""
    shown = [
        "perf",
        "report",
        "-i",
        str(path),
        "--stdio",
        "--no-children",
        "--percent-limit",
        "0.7",
        "-F",
        "overhead,dso,sym",
    ]
    report = subprocess.run(shown, capture_output=True, text=True, timeout=60, check=False).stdout
    return "\n".join([line for line in report.splitlines() if line.strip() and not line.startswith("#")][:_TOP])
