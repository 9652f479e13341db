"""The provider of streams: one thread, one epoll, canned bytes. The rule: never slower than what is measured.

Run as `python -m tests.bench.stream_server PORT SOCKET HOST ...`. It plays what the prompt says (`workload.Play`),
every event in a send of its own. `GET /stats` answers, and forgets, what it noted: how late events left (it was the
bottleneck if that is much) and, for each race, when the winner's first content left and when the loser's connection
was at its end.
"""

import contextlib
import heapq
import json
import select
import socket
import sys
import time
from pathlib import Path

from tests.bench import dialects, workload

_STARTS = {tier: workload.stream_head(tier) for tier in ("", "flex", "default", "priority")}
_EVENTS = {tier: workload.stream_event(tier) for tier in _STARTS}
_OTHERS = {dialect: dialects.canned(dialect) for dialect in dialects.KINDS if dialect != "openai_chat"}
_UNPACED_BURST = 64


class _Connection:
    """One client: its unread bytes, what it is being played, what could not be sent yet."""

    __slots__ = ("dialect", "due_ns", "event", "left", "pending", "play", "received", "sock", "turn", "waiting")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.pending = b""
        self.play: workload.Play | None = None
        self.event = b""
        self.dialect = ""  # of a stream that is not chat's
        self.left = 0
        self.due_ns = 0
        self.waiting = False  # for EPOLLOUT
        self.turn = 0


class StreamServer:
    """The loop. `serve` returns never; the process is ended from outside."""

    def __init__(self, listeners: list[socket.socket]) -> None:
        self._epoll = select.epoll()
        self._listeners = {sock.fileno(): sock for sock in listeners}
        self._connections: dict[int, _Connection] = {}
        self._timers: list[tuple[int, int, _Connection]] = []
        self._ready: list[_Connection] = []
        self._turn = 0
        self._late_us: list[int] = []
        self._events = 0
        self._winners: dict[int, int] = {}
        self._losers: dict[int, int] = {}
        for sock in listeners:
            sock.setblocking(False)
            self._epoll.register(sock, select.EPOLLIN)

    def serve(self) -> None:
        """Play for ever."""
        while True:
            # select() waits to the microsecond, epoll to the millisecond: events would leave in bunches.
            select.select([self._epoll], [], [], self._pause_s())
            for number, mask in self._epoll.poll(0):
                if number in self._listeners:
                    self._accept(self._listeners[number])
                elif (connection := self._connections.get(number)) is not None:
                    self._touched(connection, mask)
            self._play_due()
            self._play_unpaced()

    def _pause_s(self) -> float:
        if self._ready:
            return 0.0
        if not self._timers:
            return 1.0
        return max(0.0, (self._timers[0][0] - time.monotonic_ns()) / 1e9)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = listener.accept()
                sock.setblocking(False)
                if sock.family == socket.AF_INET:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[sock.fileno()] = _Connection(sock)
                self._epoll.register(sock, select.EPOLLIN | select.EPOLLRDHUP)

    def _touched(self, connection: _Connection, mask: int) -> None:
        if mask & (select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
            try:
                data = connection.sock.recv(262_144)
            except BlockingIOError:
                data = None
            except OSError:
                data = b""
            if data == b"":
                self._gone(connection)
                return
            if data:
                connection.received += data
                self._read(connection)
        if mask & select.EPOLLOUT and connection.waiting:
            self._flush(connection)

    def _gone(self, connection: _Connection) -> None:
        now_ns = time.monotonic_ns()
        play = connection.play
        if play is not None and play.race and play.tier == "flex":
            self._losers[play.race] = now_ns
        self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        connection.turn = -1
        connection.left = 0
        self._connections.pop(connection.sock.fileno(), None)
        connection.sock.close()

    def _read(self, connection: _Connection) -> None:
        head, found, rest = connection.received.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        connection.received = rest[length:]
        if head.startswith(b"GET /stats"):
            self._say_stats(connection)
            return
        if head.startswith(b"GET /v1/models "):
            self._say(connection, workload.models())
            return
        try:
            play = workload.play_of(rest[:length])
        except ValueError:
            self._send(connection, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return
        spoken = dialects.dialect_of(head.split(b" ", 2)[1])
        connection.dialect = spoken if spoken in _OTHERS else ""
        self._begin(connection, play)

    def _begin(self, connection: _Connection, play: workload.Play) -> None:
        connection.play = play
        if play.race and play.tier == "flex":
            return  # silence: this one is to lose
        other = _OTHERS.get(connection.dialect)  # type: ignore[call-overload]
        connection.event = other.event if other else _EVENTS.get(play.tier, _EVENTS[""])
        connection.left = play.events
        self._send(connection, other.head if other else _STARTS.get(play.tier, _STARTS[""]))
        connection.due_ns = time.monotonic_ns()
        if play.pace_us:
            self._schedule(connection)
        else:
            self._ready.append(connection)

    def _schedule(self, connection: _Connection) -> None:
        self._turn += 1
        connection.turn = self._turn
        heapq.heappush(self._timers, (connection.due_ns, self._turn, connection))

    def _play_due(self) -> None:
        now_ns = time.monotonic_ns()
        while self._timers and self._timers[0][0] <= now_ns:
            _, turn, connection = heapq.heappop(self._timers)
            if connection.turn != turn or connection.play is None:
                continue
            self._late_us.append((time.monotonic_ns() - connection.due_ns) // 1000)
            if not self._step(connection):
                continue
            connection.due_ns += connection.play.pace_us * 1000
            self._schedule(connection)

    def _play_unpaced(self) -> None:
        ready, self._ready = self._ready, []
        for connection in ready:
            for _ in range(_UNPACED_BURST):
                if connection.waiting or not self._step(connection):
                    break
            else:
                self._ready.append(connection)

    def _step(self, connection: _Connection) -> bool:
        """Send the next event; False when the stream has ended, rests or is gone."""
        play = connection.play
        if play is None or connection.left <= 0:
            return False
        connection.left -= 1
        self._events += 1
        if play.race:
            self._winners.setdefault(play.race, time.monotonic_ns())
        self._send(connection, connection.event)
        if connection.turn == -1 or play.idle:
            return False
        if connection.left == 0:
            connection.play = None
            other = _OTHERS.get(connection.dialect)  # type: ignore[call-overload]
            self._send(connection, other.tail if other else workload.stream_tail(play.tier, play.with_usage))
            return False
        return True

    def _send(self, connection: _Connection, data: bytes) -> None:
        if connection.pending:
            connection.pending += data
            return
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._gone(connection)
            return
        if sent < len(data):
            connection.pending = data[sent:]
            connection.waiting = True
            self._epoll.modify(connection.sock, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLOUT)

    def _flush(self, connection: _Connection) -> None:
        data, connection.pending = connection.pending, b""
        connection.waiting = False
        self._epoll.modify(connection.sock, select.EPOLLIN | select.EPOLLRDHUP)
        self._send(connection, data)
        if not connection.waiting and connection.play is not None and not connection.play.pace_us:
            self._ready.append(connection)

    def _say_stats(self, connection: _Connection) -> None:
        lags = sorted(self._late_us)
        stats = {
            "open": len(self._connections) - 1,
            "events": self._events,
            "late_p50_us": lags[len(lags) // 2] if lags else 0,
            "late_p99_us": lags[int(len(lags) * 0.99)] if lags else 0,
            "winners": self._winners,
            "losers": self._losers,
        }
        self._late_us, self._events, self._winners, self._losers = [], 0, {}, {}
        self._say(connection, json.dumps(stats).encode())

    def _say(self, connection: _Connection, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._send(connection, head + body)


def main() -> None:
    """Listen on the port of each address and on the Unix socket given, and play."""
    port, path = int(sys.argv[1]), Path(sys.argv[2])
    over_tcp = [socket.create_server((host, port), backlog=4096) for host in sys.argv[3:]]
    over_unix = socket.socket(socket.AF_UNIX)
    over_unix.bind(str(path))
    over_unix.listen(4096)
    StreamServer([*over_tcp, over_unix]).serve()


if __name__ == "__main__":
    main()
