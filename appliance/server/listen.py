"""The listeners and the accept loop. The rule: a connection's fault stays in its connection, and a stop is bounded.

Two nurseries: the accept loops live in the inner one, connections in the outer one, so that a stop ends accepting at
once and gives requests in work `shutdown_s` to end.
"""

import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import structlog
import trio
from trio.lowlevel import wait_readable

from appliance.net.stream import SocketStream
from appliance.server.asgi_lane import AsgiLane, exception_names
from appliance.server.door import Door
from appliance.server.fast import FastConnection
from appliance.server.front import Front
from appliance.server.queues import accept_depth

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

    def __init__(self, front: Front, lane: AsgiLane, door: Door) -> None:
        self._front = front
        self._lane = lane
        self._door = door
        self._sockets: list[socket.socket] = []

    def accept_depth(self) -> int:
        """Connections waiting to be accepted, of the fullest listener."""
        return accept_depth(self._sockets)

    @property
    def connections(self) -> int:
        """Client connections open now."""
        return self._door.connections

    async def serve(
        self,
        sockets: list[socket.socket],
        shutdown_s: float,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, then let requests in work end within `shutdown_s`."""
        self._sockets = sockets
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
        paused = False
        while True:
            await wait_readable(listener)
            for _ in range(ACCEPTS_IN_A_ROW):
                try:
                    accepted, address = listener.accept()
                except BlockingIOError:
                    break
                except OSError as reason:
                    if reason.errno in OUT_OF_DESCRIPTORS:
                        if not paused:  # told once, however long it lasts
                            paused = True
                            told = os.strerror(reason.errno or 0)
                            log.warning("accept_paused", error=told, connections=self.connections)
                        await trio.sleep(PAUSE_S)
                        break
                    continue  # the client was gone before it was accepted
                if paused:
                    paused = False
                    log.info("accept_resumed", connections=self.connections)
                peer = None if operator else str(address[0])
                fault = self._door.let_in(peer)
                if fault is None:
                    connections.start_soon(self._serve, accepted, peer)
                else:
                    self._front.on_refused(fault.kind.code)
                    self._door.turn_away(accepted, fault, connections)

    async def _serve(self, accepted: socket.socket, peer: str | None) -> None:
        """Serve one connection to its end. `peer` None: the operator's, over the Unix socket."""
        stream = SocketStream(accepted, self._front.write_timeout_s)
        lane = "fast"
        try:
            if peer is None:
                lane = "asgi"
                await self._lane.serve(stream, operator=True)
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            stream.outbox = self._front.outbox
            fast = FastConnection(stream, peer, self._front, self._front.limits)
            self._front.fast.add(fast)
            try:
                await fast.serve()
            finally:
                self._front.fast.discard(fast)
            if fast.replay is not None:
                lane = "asgi"
                await self._lane.serve(stream, fast.replay)
        except* Exception as group:  # noqa: BLE001 - logged; it must not leave this connection
            log.error("connection_failed", lane=lane, exceptions=exception_names(group))
        finally:
            self._door.left(peer)
            stream.close()
