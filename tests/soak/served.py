"""One watched `startline serve` on a folder of its own, with its keys and providers, and what it uses of the machine.

The rule: what was started is ended with SIGTERM, must exit with 0, and must have written no warning of Python's and no
error.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import trio

from tests.end_to_end.processes import ROOT, environment

Json = dict[str, Any]
START_S = 60.0
STOP_S = 30.0
MAY_STAY = frozenset({"idle", "lookups"})
RINGS = frozenset({"frame", "traceback", "coroutine", "SocketStream", "Work", "Call", "Attempt", "LaneServer", "Fault"})
"""msgspec leaves small rings when it first meets a struct; these kinds are of nothing that may be left."""


class Snapshot(msgspec.Struct, frozen=True):
    """What the process held at one moment. `kinds`, `stacks` and `garbage` only where they were asked for."""

    tasks: int
    standing_tasks: int
    blocks: int
    heap_bytes: int
    held: dict[str, int]
    rss_bytes: int
    files: int
    kinds: dict[str, int] = {}
    garbage: dict[str, int] = {}
    stacks: list[str] = []

    @property
    def open_requests(self) -> dict[str, int]:
        """What is held that no request in work may account for when there is none."""
        return {name: count for name, count in self.held.items() if count and name not in MAY_STAY}

    @property
    def rings(self) -> dict[str, int]:
        """What only the collector would free, of the kinds that hold a request or a connection."""
        return {name: count for name, count in self.garbage.items() if name in RINGS}

    @property
    def standing_files(self) -> int:
        """Descriptors but for the connections to clients and providers that are known of."""
        held = self.held
        return self.own_files - held["connections"] - held["farewells"] - held["calls"]

    @property
    def own_files(self) -> int:
        """Descriptors but for the connections to providers that wait for work."""
        return self.files - self.held["idle"]


class Served:
    """The running process."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._told = folder / "told.json"
        self._asked = 0
        self.data_folder = folder / "data"
        self.log = folder / "serve.log"
        with self.log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-W", "default", "-m", "tests.soak.watched", str(self._told), "serve"],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.port = 0
        self.organisation_id = ""

    async def ready(self) -> Self:
        """Return when it serves."""
        with trio.fail_after(START_S):
            while (found := re.search(r'"event":"serving","addresses":\["[^"]+:(\d+)"', self.log.read_text())) is None:
                assert self.popen.poll() is None, self.log.read_text()[-2000:]
                await trio.sleep(0.02)
        self.port = int(found[1])
        return self

    async def admin(self, method: str, path: str, body: Json | None = None, **parameters: Any) -> Json:
        """Ask the admin API as the operator, on a connection of its own."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.data_folder / "startline.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://startline", timeout=60) as client:
            answer = await client.request(method, f"/admin/v1/{path}", json=body, params=parameters)
        assert answer.status_code < 300, answer.text
        told: Json = answer.json()
        return told

    async def add_provider(self, name: str, base_url: str, **facts: Any) -> None:
        """Add a provider that the simulator plays."""
        usual: Json = {
            "name": name, "kind": "openai", "base_url": base_url, "secret": "sk-sim-of-the-soak",
            "tiers": ["flex", "default", "priority"], "price_as": "openai",
        }  # fmt: skip
        answer = await self.admin("POST", "providers", usual | facts)
        assert answer["check"]["ok"] or "models" in facts, answer

    async def new_key(self, name: str) -> tuple[str, str]:
        """A new key: its id and its text."""
        made = await self.admin("POST", "keys", {"name": name})
        return str(made["id"]), str(made["key"])

    # -- what it holds -------------------------------------------------------------------------------------------------

    def rss_bytes(self) -> int:
        """Resident memory."""
        text = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS:")).split()[1]) * 1024

    def files(self) -> int:
        """Open descriptors."""
        return len(list(Path(f"/proc/{self.popen.pid}/fd").iterdir()))

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def snapshot(self, *, whole: bool = False) -> Snapshot:
        """What it holds now; `whole` collects garbage first and counts objects by their kinds."""
        self._asked += 1
        self.popen.send_signal(signal.SIGUSR2 if whole else signal.SIGUSR1)
        told: Json = {"asked": 0}
        with trio.fail_after(20):
            while told["asked"] < self._asked:
                assert self.popen.poll() is None, self.log.read_text()[-2000:]
                await trio.sleep(0.002)
                if self._told.exists():
                    told = msgspec.json.decode(self._told.read_bytes())
        return msgspec.convert(told | {"rss_bytes": self.rss_bytes(), "files": self.files()}, Snapshot)

    async def at_rest(self, limit_s: float = 15.0) -> Snapshot:
        """A whole snapshot once nothing is held any more, or of what is still held after `limit_s`."""
        with trio.move_on_after(limit_s):
            while (await self.snapshot()).open_requests:  # noqa: ASYNC110 - it is another process that changes
                await trio.sleep(0.02)
        return await self.snapshot(whole=True)

    # -- the end -------------------------------------------------------------------------------------------------------

    def stop(self) -> list[str]:
        """End it; what was wrong with how it ended, or with what it wrote."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            status = self.popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return [f"it did not stop within {STOP_S:g} s of SIGTERM"]
        faults = [f"it ended with status {status}"] if status else []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            if "Warning" in line or "Traceback" in line or '"level":"error"' in line:
                faults.append(f"it wrote: {line[:300]}")
        return faults


@asynccontextmanager
async def serving(folder: Path, **settings: str) -> AsyncIterator[Served]:
    """Run one; settings as in the environment. Whoever uses it calls `stop` and looks at what it says."""
    named = {f"STARTLINE_{name.upper()}": value for name, value in settings.items()}
    served = Served(folder, environment(folder / "data", STARTLINE_LISTEN="127.0.0.1:0", **named))
    try:
        yield await served.ready()
    finally:
        if served.popen.poll() is None:
            served.popen.kill()
            served.popen.wait()
