"""The listeners and the accept loop. The rule: a connection's fault stays in its connection, and a stop is bounded.

Two nurseries: the accept loops live in the inner one, connections in the outer one, so that a stop ends accepting at
once and gives requests in work `shutdown_s` to end.
"""

import errno
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import structlog
import trio
from trio.lowlevel import wait_readable

from appliance.domain.errors import ApplianceFault
from appliance.http1.write import response_head
from appliance.net.stream import RECEIVE_BYTES, SocketStream
from appliance.server.asgi_lane import AsgiLane, exception_names
from appliance.server.fast import FastConnection
from appliance.server.front import Front
from appliance.wire.faults import fault_body

log = structlog.get_logger()

BACKLOG = 4096
ACCEPTS_IN_A_ROW = 64
PAUSE_S = 0.1
"""How long accepting rests when descriptors ran out: connections that end meanwhile free some."""

OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def open_tcp(listen: str) -> list[socket.socket]:
    """Sockets listening on `host:port` (IPv6 in brackets; all addresses of a name). Raises OSError, ValueError."""
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError("listen is an address and a port, such as 127.0.0.1:8787")
    with ExitStack() as opened:
        sockets = []
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            listener = opened.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            sockets.append(listener)
        opened.pop_all()
    return sockets


def open_unix(path: Path) -> socket.socket:
    """The operator's socket in the data folder: whoever can open it owns the folder. A stale one is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    return listener


class Listeners:
    """Accepts on all sockets and serves each connection in the lane it belongs to."""

    def __init__(self, front: Front, lane: AsgiLane, max_connections: int) -> None:
        self._front = front
        self._lane = lane
        self._max_connections = max_connections
        self.connections = 0

    async def serve(
        self,
        sockets: list[socket.socket],
        shutdown_s: float,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, then let requests in work end within `shutdown_s`."""
        stopping = trio.Event()
        async with trio.open_nursery() as outer:
            connections = await outer.start(self._hold, stopping)
            try:
                async with trio.open_nursery() as accepting:
                    for listener in sockets:
                        accepting.start_soon(self._accept, listener, connections)
                    task_status.started()
            finally:
                for listener in sockets:
                    trio.lowlevel.notify_closing(listener)
                    listener.close()
                connections.cancel_scope.deadline = trio.current_time() + shutdown_s
                stopping.set()
                self._front.stop()
                await self._lane.stop()

    async def _hold(self, stopping: trio.Event, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Hold the nursery of the connections: a stop gives them a deadline instead of cancelling them at once."""
        # shape: allow shield because the stop, in `serve`, gives the nursery inside its deadline
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as watching:
                watching.start_soon(self._front.hangups.run)
                watching.start_soon(self._front.watch)
                async with trio.open_nursery() as connections:
                    task_status.started(connections)
                    await stopping.wait()
                watching.cancel_scope.cancel()

    async def _accept(self, listener: socket.socket, connections: trio.Nursery) -> None:
        listener.setblocking(False)
        operator = listener.family == socket.AF_UNIX
        while True:
            await wait_readable(listener)
            for _ in range(ACCEPTS_IN_A_ROW):
                try:
                    accepted, address = listener.accept()
                except BlockingIOError:
                    break
                except OSError as reason:
                    if reason.errno in OUT_OF_DESCRIPTORS:
                        log.warning("accept_paused", error=os.strerror(reason.errno or 0), connections=self.connections)
                        await trio.sleep(PAUSE_S)
                        break
                    continue  # the client was gone before it was accepted
                if self.connections >= self._max_connections and not operator:
                    self._turn_away(accepted)
                    continue
                connections.start_soon(self._serve, accepted, None if operator else str(address[0]), operator)

    def _turn_away(self, accepted: socket.socket) -> None:
        """Say why, as far as that goes without waiting, and close."""
        fault = ApplianceFault("too_many_connections")
        body, kind = fault_body(fault, "openai_chat", "")
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"retry-after", b"1")]
        with accepted, suppress(OSError):
            accepted.setblocking(False)
            accepted.send(response_head(fault.status, [*headers, (b"connection", b"close")]) + body)
            accepted.shutdown(socket.SHUT_WR)
            accepted.recv(RECEIVE_BYTES)  # a close over unread bytes would be a reset, which overtakes the answer

    async def _serve(self, accepted: socket.socket, peer: str | None, operator: bool) -> None:
        stream = SocketStream(accepted, self._front.write_timeout_s)
        self.connections += 1
        try:
            replay = b""
            if operator:
                await self._lane.serve(stream, operator=True)
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            fast = FastConnection(stream, peer, self._front, self._front.limits)
            self._front.fast.add(fast)
            try:
                await fast.serve()
            finally:
                self._front.fast.discard(fast)
            if fast.replay is not None:
                replay = fast.replay
                await self._lane.serve(stream, replay)
        except* Exception as group:  # noqa: BLE001 - logged; it must not leave this connection
            log.error("connection_failed", lane="fast", exceptions=exception_names(group))
        finally:
            self.connections -= 1
            stream.close()
