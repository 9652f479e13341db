"""A client for latencies, streams and idle connections: one epoll loop, time stamps at the socket.

The rule: every answer is checked (status, length or end of stream) and every fault is kept for the report.
"""

import contextlib
import errno
import heapq
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.bench.workload import MARK, PATH


@dataclass(frozen=True)
class Target:
    """Where requests of one kind go: a contestant's port and what its requests carry."""

    name: str
    port: int
    model: str
    headers: tuple[tuple[str, str], ...] = ()
    path: str = PATH

    def request(self, body: bytes) -> bytes:
        """The request's bytes."""
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Wire:
    """One connection: a request at a time. Times are `time.monotonic_ns`; `marks` counts events with content."""

    __slots__ = (
        "_loop",
        "_pending",
        "_received",
        "_wanted",
        "asked_ns",
        "body",
        "done",
        "ended_ns",
        "fault",
        "first_ns",
        "marks",
        "on_mark",
        "sock",
        "status",
        "target",
    )

    def __init__(self, loop: "Loop", target: Target, source: str = "127.0.0.1") -> None:
        self._loop = loop
        self.target = target
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source != "127.0.0.1":
            self.sock.bind((source, 0))
        self._pending = b""
        self._received = bytearray()
        self._wanted: int | None = None  # length of the body; -1: chunked
        self.body = b""
        self.done: Callable[[Wire], None] | None = None
        self.on_mark: Callable[[Wire], None] | None = None
        self.asked_ns = self.first_ns = self.ended_ns = 0
        self.status = self.marks = 0
        self.fault = ""
        status = self.sock.connect_ex(("127.0.0.1", target.port))
        if status not in (0, errno.EINPROGRESS):
            raise OSError(status, "connect")
        loop.add(self)

    def ask(self, request: bytes, done: "Callable[[Wire], None]") -> None:
        """Send a request; `done` is called when its answer is complete or has failed (`fault`)."""
        self.done = done
        self._received.clear()
        self._wanted = None
        self.first_ns = self.ended_ns = self.status = self.marks = 0
        self._pending = request
        self.asked_ns = time.monotonic_ns()
        self.on_writable()

    def on_writable(self) -> None:
        """Send what is pending, as far as the socket takes it."""
        if not self._pending:
            self._loop.watch(self, writing=False)
            return
        try:
            sent = self.sock.send(self._pending)
        except (BlockingIOError, OSError) as reason:
            if not isinstance(reason, BlockingIOError) and reason.errno != errno.ENOTCONN:
                self._failed(f"send: {reason.strerror}")
                return
            sent = 0
        self._pending = self._pending[sent:]
        self._loop.watch(self, writing=bool(self._pending))

    def on_readable(self) -> None:
        """Take what came and see whether the answer is complete."""
        try:
            data = self.sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError as reason:
            self._failed(f"receive: {reason.strerror}")
            return
        if not data:
            self._failed("closed within an answer" if self.done else "closed")
            return
        self._received += data
        if self._wanted is None:
            if not self._head():
                return
            data = bytes(self._received)  # without the head, in which a mark would not be an event
        if self._wanted == -1:
            # Only the tail is kept, to find the last chunk in any slices; marks are counted as they come.
            marks = data.count(MARK)
            if marks:
                if not self.marks:
                    self.first_ns = time.monotonic_ns()
                self.marks += marks
                self._loop.marks += marks
                if self.on_mark is not None:
                    self.on_mark(self)
            del self._received[:-16]
            if self._received.endswith(b"\r\n0\r\n\r\n"):
                self._ended()
        elif self._wanted is not None and len(self._received) >= self._wanted:
            self.body = bytes(self._received)
            self._ended()

    def _head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._received[: end + 2]).lower()
        self.status = int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            self._wanted = int(head[at + 17 :].split(b"\r\n", 1)[0])
        elif b"\r\ntransfer-encoding: chunked\r\n" in head:
            self._wanted = -1
        else:
            self._failed("an answer of unknown length")
            return False
        self.first_ns = time.monotonic_ns()
        # The line end stays, so that an empty chunked body is found too.
        del self._received[: end + (4 if at >= 0 else 2)]
        return True

    def _ended(self) -> None:
        self.ended_ns = time.monotonic_ns()
        if self.status != 200:
            self.fault = f"status {self.status}"
        self._tell()

    def _failed(self, fault: str) -> None:
        self.fault = fault
        self._loop.remove(self)
        self._tell()

    def _tell(self) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(self)

    def close(self) -> None:
        """Close the connection at once."""
        self._loop.remove(self)


class Loop:
    """The epoll loop with timers. `marks` counts the events with content of all connections."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wires: dict[int, Wire] = {}
        self._writing: set[int] = set()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._turn = 0
        self.marks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for wire in list(self._wires.values()):
            self.remove(wire)
        self._epoll.close()

    def add(self, wire: Wire) -> None:
        """Watch a new connection; it is not writable before it is connected."""
        self._wires[wire.sock.fileno()] = wire
        self._writing.add(wire.sock.fileno())
        self._epoll.register(wire.sock, select.EPOLLIN | select.EPOLLOUT)

    def watch(self, wire: Wire, *, writing: bool) -> None:
        """Ask for EPOLLOUT, or no longer."""
        number = wire.sock.fileno()
        if writing != (number in self._writing):
            (self._writing.add if writing else self._writing.discard)(number)
            self._epoll.modify(number, select.EPOLLIN | (select.EPOLLOUT if writing else 0))

    def remove(self, wire: Wire) -> None:
        """Forget and close a connection."""
        number = wire.sock.fileno()
        if self._wires.pop(number, None) is not None:
            self._writing.discard(number)
            with contextlib.suppress(OSError):
                wire.sock.close()

    def at(self, when_ns: int, call: Callable[[], None]) -> None:
        """Call at a time of `time.monotonic_ns`."""
        self._turn += 1
        heapq.heappush(self._timers, (when_ns, self._turn, call))

    def run(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Run until `until()` holds; False when `timeout_s` went by first."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        while not until():
            now_ns = time.monotonic_ns()
            if now_ns >= deadline_ns:
                return False
            while self._timers and self._timers[0][0] <= now_ns:
                heapq.heappop(self._timers)[2]()
            next_ns = min(self._timers[0][0], deadline_ns) if self._timers else deadline_ns
            # select() waits to the microsecond, epoll to the millisecond: a paced request would be late.
            select.select([self._epoll], [], [], max(0.0, min(0.05, (next_ns - time.monotonic_ns()) / 1e9)))
            for number, mask in self._epoll.poll(0):
                wire = self._wires.get(number)
                if wire is None:
                    continue
                if mask & select.EPOLLOUT:
                    wire.on_writable()
                if mask & ~select.EPOLLOUT:
                    wire.on_readable()
        return True
