"""Many rude clients against one served process, a polite one beside them, and the memory that it took.

The rule: what is measured is the server's own process, at its peak, as the kernel tells it.
"""

import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median

import pytest
import trio

from tests.end_to_end.stage import Stage
from tests.rig import Client, request

OPEN_FILES = 4096
PAUSE_S = 0.05
MIB = 1024 * 1024

Join = Callable[[], Awaitable[Client]]


def allow_files() -> None:
    """Let this process, and what it starts, have enough files open; the test does not run where that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < OPEN_FILES:
        pytest.skip(f"not run: only {hard} open files are allowed")
    if 0 <= soft < OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))


class Crowd:
    """Clients of a stage. All that were opened are closed with `crowded`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        host, port = stage.url.removeprefix("http://").rsplit(":", 1)
        self._address = (host, int(port))
        self.clients: list[Client] = []
        self.waits_s: list[float] = []

    async def join(self, receive_buffer_bytes: int = 0) -> Client:
        """Another connection."""
        sock = trio.socket.socket()
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await sock.connect(self._address)
        client = Client(trio.SocketStream(sock))
        self.clients.append(client)
        return client

    async def join_asgi(self, receive_buffer_bytes: int = 0) -> Client:
        """Another connection, in the ASGI lane."""
        client = await self.join(receive_buffer_bytes)
        await client.send(request("GET", "/healthz"))
        assert (await client.answer()).status == 200
        return client

    async def come_and_go(self, reset: bool) -> None:
        """Connect and leave at once."""
        sock = trio.socket.socket()
        await sock.connect(self._address)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()

    def joining(self, lane: str) -> Join:
        """How to join in a lane, "fast" or "asgi"."""
        return self.join if lane == "fast" else self.join_asgi

    async def all_do(self, count: int, what: Callable[[Client], Awaitable[None]], join: Join) -> None:
        """So many clients at once do something; that the server ends their connection is no failure."""

        async def one() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
                await what(await join())

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(one)

    async def be_polite(self) -> None:
        """Ask in both lanes, on a new connection each time, again and again; note how long it took."""
        while True:
            for path, key in (("/v1/models", self.stage.key), ("/healthz", "")):
                began_s = trio.current_time()
                async with await trio.open_tcp_stream(*self._address) as stream:
                    client = Client(stream)
                    await client.send(request("GET", path, key=key))
                    assert (await client.answer("GET")).status == 200
                self.waits_s.append(trio.current_time() - began_s)
            await trio.sleep(PAUSE_S)

    def disperse(self) -> None:
        """Close all connections at once."""
        for client in self.clients:
            client.stream.socket.close()

    # -- the server's process ------------------------------------------------------------------------------------------

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.stage.server.popen.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(name + ":")).split()[1]) * 1024

    def forget_peak(self) -> int:
        """Begin to measure; the memory of the process now, in bytes."""
        Path(f"/proc/{self.stage.server.popen.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most memory of the process since `forget_peak`, in bytes."""
        return self._status("VmHWM")

    def connections(self) -> int:
        """Client connections that the server holds, as its own metrics say."""
        answer = self.stage._admin.get("/metrics").text
        return int(float(answer.split("\nstartline_client_connections ")[1].split("\n")[0])) - 1  # the operator's

    async def until_gone(self, limit_s: float = 15.0) -> None:
        """Return when the server has let go of all clients."""
        await self.until(lambda: self.connections() <= 2, limit_s)  # the polite one may be there

    async def until(self, condition: Callable[[], bool], limit_s: float = 15.0) -> None:
        """Return when it holds; another process is looked at, hence the pauses."""
        with trio.fail_after(limit_s):
            while not condition():  # noqa: ASYNC110 - it is another process that changes
                await trio.sleep(PAUSE_S)


@asynccontextmanager
async def crowded(stage: Stage, *, most_bytes: int, most_wait_s: float = 5.0) -> AsyncIterator[Crowd]:
    """A crowd beside a polite client, who must be served; the process may grow by `most_bytes` meanwhile."""
    crowd = Crowd(stage)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.be_polite)
        await crowd.until(lambda: len(crowd.waits_s) >= 4)
        before = crowd.forget_peak()
        try:
            yield crowd
            grown = crowd.peak() - before
        finally:
            crowd.disperse()
        await crowd.until_gone()
        served = len(crowd.waits_s)
        await crowd.until(lambda: len(crowd.waits_s) >= served + 2)  # and goes on to be
        nursery.cancel_scope.cancel()
    print(
        f"grew by {grown / MIB:.1f} MiB; waits of the polite: {median(crowd.waits_s):.3f}, {max(crowd.waits_s):.3f} s"
    )
    assert grown < most_bytes, f"grew by {grown / MIB:.1f} MiB"
    assert max(crowd.waits_s) < most_wait_s
