"""The ASGI lane: Hypercorn's connection class around the web application, with its known faults fenced in.

Pinned to Hypercorn 0.18. The rule: this lane speaks HTTP/1.1 and nothing else, whatever a client offers on whichever
request of a connection, and nothing that happens in one connection leaves it. Upgrades are ignored (RFC 9110 section
7.8 allows it), `PRI` and any version but 1.x is answered 505, a WebSocket is never made. Sends are bounded: a client
that stopped reading breaks its own connection and cannot hold up a stop.
"""

import socket
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.logging import Logger
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from appliance.net.hangup import HangUps
from appliance.net.stream import SocketStream
from appliance.server.asgi_inbox import ClientLeft, LaneTaskGroup
from appliance.server.asgi_stream import LaneStream

log = structlog.get_logger()

HTTP_VERSIONS = (b"1.0", b"1.1")
HEAD_BYTES = 65_536
MAX_RECV = 65_536
CLOSE = (b"connection", b"close")


class LaneLogger(Logger):
    """Hypercorn's log, by our rule: what failed and where, never a message that could quote a request."""

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        """An exception in the application; its class alone is told, and not that the client has left."""
        failure = sys.exc_info()[1]
        names = exception_names(BaseExceptionGroup("", [failure])) if failure is not None else []
        if names != [ClientLeft.__name__]:
            log.error("asgi_application_failed", exceptions=names)

    async def access(self, request: Any, response: Any, request_time: float) -> None:
        """No access log: the request line may hold a key (`?key=`)."""


class Refused(Exception):
    """The request is to be answered with a bare status, and the connection closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Http1Protocol(H11Protocol):
    """H11Protocol that never changes to another protocol."""

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version not in HTTP_VERSIONS or event.method == b"PRI":
            raise Refused(505)
        if event.method == b"CONNECT":
            raise Refused(501)
        framing = [name for name, _ in event.headers if name in (b"content-length", b"transfer-encoding")]
        if not event.target.isascii() or len(framing) > 1:
            raise Refused(400)

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name not in (b"upgrade", b"http2-settings")]
        await super()._create_stream(
            h11.Request(
                method=request.method, target=request.target, headers=headers, http_version=request.http_version
            )
        )

    async def stream_send(self, event: StreamEvent) -> None:
        """Pass on what the application sends; at a stop the answer says that it is the connection's last."""
        if isinstance(event, Response) and self.context.terminated.is_set():
            kept = [header for header in event.headers if header[0].lower() != b"connection"]
            event = replace(event, headers=[*kept, CLOSE])
        await super().stream_send(event)

    async def refuse(self, status: int) -> None:
        """Answer the request at hand with a bare status."""
        await self._send_error_response(status)

    @property
    def body_due(self) -> bool:
        """Whether the client is in the middle of a request's body."""
        return self.connection.their_state is h11.SEND_BODY


class Http1Wrapper(ProtocolWrapper):
    """ProtocolWrapper over Http1Protocol alone."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.protocol = self.http1 = Http1Protocol(
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
        """Pass an event on; what is refused is answered here."""
        try:
            await self.protocol.handle(event)
        except Refused as refused:
            await self.http1.refuse(refused.status)
            await self.send(Closed())


class LaneServer(TCPServer):
    """TCPServer over our wrapper and stream: the client's end is always seen, and no send waits for ever."""

    protocol: Http1Wrapper
    stream: LaneStream  # type: ignore[assignment]  # Hypercorn asks for trio's own, and uses what this one has

    def __init__(self, lane: "AsgiLane", stream: LaneStream, *, tls: bool, operator: bool) -> None:
        state = {"operator": operator}
        super().__init__(lane.application, lane.config, lane.context, state, stream)  # type: ignore[arg-type]
        self._tls = tls
        self._body_timeout_s = lane.body_timeout_s
        self._body_total_s = lane.body_total_s
        self._body_since_s = trio.current_time()
        self._handling = False
        self._hung_up = trio.Event()

    async def run(self) -> None:
        """Serve one connection to its end."""
        connected = self.stream.socket
        try:
            async with LaneTaskGroup(lambda: self.stream.closed) as task_group:
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
                self.stream.close()
                await self.idle_task.stop()
        except OSError:
            pass  # the client was gone before it could be asked for its address
        finally:
            self.stream.close()

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol gives, or end the connection."""
        if isinstance(event, RawData):
            try:
                async with self.send_lock:
                    await self.stream.send_all(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())
            except BaseException:
                self.stream.close()  # part of an answer may be out: nothing can follow it
                raise
        elif isinstance(event, Closed):
            async with self.send_lock:  # what another task is sending goes out first
                self.stream.finish()
            await self.protocol.handle(Closed())
        else:
            await super().protocol_send(event)

    def hang_up(self) -> None:
        """The client has ended its side, whatever of what it sent before is still unread."""
        self._hung_up.set()

    async def _read_data(self) -> None:
        """Read in one task and handle in another: handling waits for applications, and the client's end must not.

        What a client pipelines behind a request in work is read up to a bound, so that its end may not be reached by
        reading: then it is told from outside.
        """
        send, receive = trio.open_memory_channel[bytes](1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._handle_data, receive)
            nursery.start_soon(self._end_data, nursery.cancel_scope)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                while data := await self._receive():
                    await send.send(data)
            await self.protocol.handle(Closed())
            nursery.cancel_scope.cancel()

    async def _end_data(self, reading: trio.CancelScope) -> None:
        await self._hung_up.wait()
        await self.protocol.handle(Closed())
        reading.cancel()

    async def _receive(self) -> bytes:
        """What the client sends next. Raises trio.TooSlowError if a body pauses too long, or takes too long in all."""
        while True:
            data = None
            with trio.move_on_after(self._body_timeout_s):
                data = await self.stream.receive_some(MAX_RECV)
            now_s = trio.current_time()
            if self._handling or not self.protocol.http1.body_due:
                self._body_since_s = now_s
            elif data is None or now_s >= self._body_since_s + self._body_total_s:
                raise trio.TooSlowError
            if data is not None:
                return data

    async def _handle_data(self, received: trio.MemoryReceiveChannel[bytes]) -> None:
        async for data in received:
            if not self.stream.finished:
                self._handling = True
                await self.protocol.handle(RawData(data))
                self._handling = False

    async def _idle_timeout(self) -> None:
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.context.terminated.wait()
        self.stream.close()


def _address(connected: socket.socket, address: object) -> tuple[str, int] | None:
    if connected.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
        return str(address[0]), int(address[1])
    return None


class AsgiLane:
    """The web application behind one server; `serve` runs one connection, contained."""

    def __init__(
        self,
        application: Any,
        keep_alive_s: float,
        send_timeout_s: float,
        body_timeout_s: float = 30.0,
        requests_per_connection: int = 10_000,
        hangups: HangUps | None = None,
        body_total_s: float = 300.0,
    ) -> None:
        self.application = ASGIWrapper(application)
        self.context = WorkerContext(None)
        self.send_timeout_s = send_timeout_s
        self.body_timeout_s = body_timeout_s
        self.body_total_s = body_total_s
        self.hangups = hangups
        self.config = config = Config()
        config.include_server_header = False
        config.h11_max_incomplete_size = HEAD_BYTES
        config.keep_alive_timeout = keep_alive_s  # shape: allow units because it is Hypercorn's name for it
        config.keep_alive_max_requests = requests_per_connection
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
        server = LaneServer(self, lane_stream, tls=stream.tls, operator=operator)
        fd = stream.socket.fileno()
        if self.hangups is not None:
            self.hangups.watch(fd, server.hang_up)
        try:
            await server.run()
        except* Exception as group:  # noqa: BLE001 - logged; it must not leave this connection
            log.error("connection_failed", lane="asgi", exceptions=exception_names(group))
        finally:
            if self.hangups is not None:
                self.hangups.forget(fd, server.hang_up)
            stream.close()


def exception_names(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """The classes of the exceptions in a group, each once: what a log may say (messages may quote a client)."""
    found: set[str] = set()
    for member in group.exceptions:
        found |= set(exception_names(member)) if isinstance(member, BaseExceptionGroup) else {type(member).__name__}
    return sorted(found)
