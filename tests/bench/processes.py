"""Processes of a run: pinned to a core, in groups of their own, measured through /proc, ended whatever happens.

The rule: nothing that was started outlives the run, and only what was started is ended.
"""

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

CONTESTANT_CORE = 0
LOAD_CORE = 1


class BenchFault(Exception):
    """The run is not valid: a wrong answer, a process that did not start, a provider that was the bottleneck."""


class Child:
    """One process group that was started: its CPU time and memory, all processes and threads in it together."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path, started_at: float) -> None:
        self.name = name
        self.popen = popen
        self.log = log
        self.started_at = started_at

    def pids(self) -> list[int]:
        """Every living process of the group."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    # After the name in brackets, which may hold anything: state, parent, group.
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[2]) == self.popen.pid:
                        found.append(int(entry.name))
        return found

    def cpu_s(self) -> float:
        """CPU seconds so far, from the scheduler's nanosecond counts (threads that ended are not in them)."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(OSError):
                        total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_bytes(self) -> int:
        """Resident memory of the group, shared pages counted once for each process."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) * 1024
        return total

    def must_live(self) -> None:
        """Raise BenchFault with the end of its output if the process has ended."""
        if (status := self.popen.poll()) is not None:
            raise BenchFault(f"{self.name} ended with status {status}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])

    def stop(self, grace_s: float = 5.0) -> None:
        """Ask it to end, then end the whole group."""
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(grace_s)


class Children:
    """Starts processes and ends all of them when the `with` block is left, in reverse order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cores = sorted(os.sched_getaffinity(0))
        self._running: list[Child] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for child in reversed(self._running):
            child.stop(grace_s=1.0 if kind else 5.0)
        self._running.clear()

    def core(self, index: int) -> int:
        """The n-th of the cores that this process may use, or the last that there is."""
        return self._cores[min(index, len(self._cores) - 1)]

    def core_busy_s(self, index: int) -> float:
        """Seconds that a core has worked, for anybody: what is not the contestant's is the machine's noise."""
        for line in Path("/proc/stat").read_text().splitlines():
            fields = line.split()
            if fields[0] == f"cpu{self.core(index)}":
                user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[1:9])
                return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def pin_self(self) -> None:
        """Move this process, which makes load, to the core of load and provider."""
        os.sched_setaffinity(0, {self.core(LOAD_CORE)})

    def start(self, name: str, argv: Sequence[str], core: int, environment: Mapping[str, str] | None = None) -> Child:
        """Start `argv` on one core (threads that it makes stay there), output to a file of the run's folder."""
        self._count += 1
        log = self.folder / f"{self._count:02d}-{name}.log"
        before = os.sched_getaffinity(0)
        with log.open("wb") as output:
            # A child inherits the affinity of this moment: no code has to run between fork and exec.
            os.sched_setaffinity(0, {self.core(core)})
            try:
                started_at = time.monotonic()
                popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if environment is None else dict(environment),
                    process_group=0,
                )
            finally:
                os.sched_setaffinity(0, before)
        child = Child(name, popen, log, started_at)
        self._running.append(child)
        return child

    def stop(self, child: Child, grace_s: float = 5.0) -> None:
        """End one of them before the others."""
        child.stop(grace_s)
        self._running.remove(child)


def raise_file_limit() -> int:
    """Allow as many open files as the machine lets us, children included; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (65_536, hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def free_ports(count: int) -> list[int]:
    """Ports that are free on every address, below those that the kernel gives to outgoing connections."""
    least = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = iter(random.sample(range(10_000, least if least > 11_000 else 60_000), 1_000))
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            sock = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                port = next(candidates)
                sock.bind(("", port))  # never listens: only to see that nobody has it
                ports.append(port)
        return ports


def wait_for_port(child: Child, port: int, timeout_s: float = 20.0) -> None:
    """Until the child accepts connections. Raises BenchFault when it ends or does not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        child.must_live()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.002)
    raise BenchFault(f"{child.name} does not listen on {port} after {timeout_s:g} s:\n{child.tail()}")
