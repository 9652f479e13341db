"""The ASGI lane: Hypercorn's connection class around the web application, with its known faults fenced in.

Pinned to Hypercorn 0.18. The rule: this lane speaks HTTP/1.1 and nothing else, whatever a client offers on whichever
request of a connection, and nothing that happens in one connection leaves it. Upgrades are ignored (RFC 9110 section
7.8 allows it), `PRI` and any version but 1.x is answered 505, a WebSocket is never made. Sends are bounded: a client
that stopped reading breaks its own connection and cannot hold up a stop.
"""

import socket
import sys
from typing import Any

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.logging import Logger
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from appliance.net.stream import SocketStream

log = structlog.get_logger()

HTTP_VERSIONS = (b"1.0", b"1.1")
KEEP_ALIVE_REQUESTS = 1_000_000
HEAD_BYTES = 65_536


class LaneLogger(Logger):
    """Hypercorn's log, by our rule: what failed and where, never a message that could quote a request."""

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        """An exception in the application; its class alone is told."""
        kind = sys.exc_info()[0]
        log.error("asgi_application_failed", exception=kind.__name__ if kind else "unknown")

    async def access(self, request: Any, response: Any, request_time: float) -> None:
        """No access log: the request line may hold a key (`?key=`)."""


class RefusedVersion(Exception):
    """The connection is to be answered 505 and closed."""


class Http1Protocol(H11Protocol):
    """H11Protocol that never changes to another protocol."""

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version not in HTTP_VERSIONS or event.method == b"PRI":
            raise RefusedVersion

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name not in (b"upgrade", b"http2-settings")]
        await super()._create_stream(
            h11.Request(
                method=request.method, target=request.target, headers=headers, http_version=request.http_version
            )
        )


class Http1Wrapper(ProtocolWrapper):
    """ProtocolWrapper over Http1Protocol alone."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.protocol = self._http1 = Http1Protocol(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.state,
            self.ssl,
            self.client,
            self.server,
            self.send,
        )

    async def handle(self, event: Event) -> None:
        """Pass an event on; a foreign version is answered 505."""
        try:
            await self.protocol.handle(event)
        except RefusedVersion:
            await self._http1._send_error_response(505)
            await self.send(Closed())


class LaneServer(TCPServer):
    """TCPServer over our wrapper and stream; sends are shielded as Hypercorn wants, but never without a deadline."""

    def __init__(self, lane: "AsgiLane", stream: "LaneStream", *, tls: bool, operator: bool) -> None:
        state = {"operator": operator}
        super().__init__(lane.application, lane.config, lane.context, state, stream)  # type: ignore[arg-type]
        self._tls = tls
        self._send_timeout_s = lane.send_timeout_s

    async def run(self) -> None:
        """Serve one connection to its end."""
        connected = self.stream.socket
        try:
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = Http1Wrapper(
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(self.state),
                    self._tls,
                    _address(connected, connected.getpeername()),
                    _address(connected, connected.getsockname()),
                    self.protocol_send,
                )
                await self.protocol.initiate()
                await self.idle_task.restart(self._task_group, self._idle_timeout)
                await self._read_data()
        finally:
            await self._close()

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol gives, or close."""
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + self._send_timeout_s):
                    await self.stream.send_all(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())

    async def _idle_timeout(self) -> None:
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.context.terminated.wait()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._send_timeout_s):
            await self._initiate_server_close()


def _address(connected: socket.socket, address: object) -> tuple[str, int] | None:
    if connected.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
        return str(address[0]), int(address[1])
    return None


class LaneStream:
    """Our stream in the shape that Hypercorn expects, unread bytes of the fast lane in front."""

    def __init__(self, stream: SocketStream, replay: bytes, send_timeout_s: float) -> None:
        self._stream = stream
        self._replay = replay
        stream.write_timeout_s = send_timeout_s
        self.socket = stream.socket

    async def receive_some(self, max_bytes: int) -> bytes:
        """The replayed bytes first, then what the client sends."""
        if self._replay:
            data, self._replay = self._replay[:max_bytes], self._replay[max_bytes:]
            return data
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes) -> None:
        """Send, bounded; raises BrokenResourceError at once ever after a send has failed."""
        if self._stream.closed:
            raise trio.BrokenResourceError
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self._stream.close()
            raise

    async def aclose(self) -> None:
        """Close at once."""
        self._stream.close()
        await trio.lowlevel.checkpoint()


class AsgiLane:
    """The web application behind one server; `serve` runs one connection, contained."""

    def __init__(self, application: Any, keep_alive_s: float, send_timeout_s: float) -> None:
        self.application = ASGIWrapper(application)
        self.context = WorkerContext(None)
        self.send_timeout_s = send_timeout_s
        self.config = config = Config()
        config.include_server_header = False
        config.h11_max_incomplete_size = HEAD_BYTES
        config.keep_alive_timeout = keep_alive_s
        config.keep_alive_max_requests = KEEP_ALIVE_REQUESTS
        config.logger_class = LaneLogger
        config.errorlog = None
        config.accesslog = None

    async def stop(self) -> None:
        """Let idle connections close; those in work end with their answer."""
        await self.context.terminated.set()

    async def serve(self, stream: SocketStream, replay: bytes = b"", *, operator: bool = False) -> None:
        """Serve one connection to its end. Never raises but Cancelled: whatever fails is logged and contained.

        `operator`: the client came over the Unix socket in the data folder (`scope["state"]["operator"]`).
        """
        lane_stream = LaneStream(stream, replay, self.send_timeout_s)
        try:
            await LaneServer(self, lane_stream, tls=stream.tls, operator=operator).run()
        except* Exception as group:  # noqa: BLE001 - logged; it must not leave this connection
            log.error("connection_failed", lane="asgi", exceptions=exception_names(group))
        finally:
            stream.close()


def exception_names(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """The classes of the exceptions in a group, each once: what a log may say of them (a message may quote a client)."""
    found: set[str] = set()
    for member in group.exceptions:
        found |= set(exception_names(member)) if isinstance(member, BaseExceptionGroup) else {type(member).__name__}
    return sorted(found)
