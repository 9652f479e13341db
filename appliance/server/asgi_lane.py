"""The ASGI lane: Hypercorn's connection class around the web application, with its known faults fenced in.

Pinned to Hypercorn 0.18. The rule: this lane speaks HTTP/1.1 and nothing else, whatever a client offers on whichever
request of a connection, and nothing that happens in one connection leaves it. Our own parser stands before Hypercorn's
(`asgi_gate.py`): offers to upgrade are dropped there, and what the fast lane refuses is refused here, in the same
words. Sends are bounded: a client that stopped reading breaks its own connection and cannot hold up a stop.
"""

import socket
import sys
from collections.abc import Callable
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

from appliance.domain.errors import CallerFault
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.write import CONTINUE
from appliance.net.hangup import HangUps
from appliance.net.stream import SocketStream
from appliance.server.admin.desk import refusal
from appliance.server.asgi_gate import NOT_HTTP, Gate, Plain, Waiting
from appliance.server.asgi_inbox import ClientLeft, Inbox, LaneTaskGroup
from appliance.server.asgi_stream import LINGER_BYTES, LaneStream
from appliance.server.front import Patience, protocol_fault
from appliance.server.routes import dialect_of, dialect_of_path, ours

log = structlog.get_logger()

HEAD_BYTES = 131_072  # the gate has its own limit, and writes a head anew in slightly more bytes
MAX_RECV = 65_536
CLOSE = (b"connection", b"close")
PATIENCE = Patience(idle_s=75.0, head_s=30.0, body_s=30.0, body_total_s=300.0)
LIMITS = Limits()

Pieces = list[Plain | ProtocolRefusal]


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


class Http1Parser(h11.Connection):
    """h11's connection, whose errors leave no ring: it raises them in a frame that holds them, and so all above it."""

    def next_event(self) -> Any:
        """See h11."""
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            raise error.with_traceback(None) from None


class Http1Protocol(H11Protocol):
    """H11Protocol that never changes to another protocol, and refuses as the fast lane does."""

    fault: CallerFault | None = None
    """Why our own parser refused what comes next."""
    dialect = "admin"
    """In whose words it is told."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connection = Http1Parser(h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Nothing to check: the gate passes HTTP/1.0 and 1.1 alone, and no offer to change."""

    async def stream_send(self, event: StreamEvent) -> None:
        """Pass on what the application sends; at a stop the answer says that it is the connection's last."""
        if isinstance(event, Response) and self.context.terminated.is_set():
            kept = [header for header in event.headers if header[0].lower() != b"connection"]
            event = replace(event, headers=[*kept, CLOSE])
        await super().stream_send(event)

    async def _send_error_response(self, status_code: int) -> None:
        fault = self.fault or protocol_fault(ProtocolRefusal(status_code, "bad_framing", "This is not HTTP/1.1."))
        answer = refusal(fault, self.dialect)
        headers = [*answer.raw_headers, CLOSE, *self.config.response_headers("h11")]
        await self._send_h11_event(h11.Response(status_code=fault.status, headers=headers))
        await self._send_h11_event(h11.Data(data=bytes(answer.body)))
        await self._send_h11_event(h11.EndOfMessage())

    async def give_up(self, fault: CallerFault) -> None:
        """End the connection; if the client was answered nothing yet, say why."""
        self.fault = fault
        if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_error_response(fault.status)
        await self.send(Closed())

    @property
    def body_due(self) -> bool:
        """Whether the client is in the middle of a request's body."""
        return self.connection.their_state is h11.SEND_BODY

    @property
    def answering(self) -> bool:
        """Whether a request is in work."""
        return self.connection.our_state is not h11.IDLE


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
        """Pass an event on: Hypercorn's own would look for a change of protocol here."""
        await self.protocol.handle(event)


class LaneServer(TCPServer):
    """TCPServer over our wrapper and stream: the client's end is always seen, and no send waits for ever."""

    protocol: Http1Wrapper
    _applications: LaneTaskGroup
    stream: LaneStream  # type: ignore[assignment]  # Hypercorn asks for trio's own, and uses what this one has

    def __init__(self, lane: "AsgiLane", stream: LaneStream, *, tls: bool, operator: bool) -> None:
        state = {"operator": operator}
        super().__init__(lane.application, lane.config, lane.context, state, stream)  # type: ignore[arg-type]
        self._tls = tls
        self._inboxes = lane.inboxes
        self._gate = Gate(lane.limits)
        self._patience = lane.patience
        self._on_refused = lane.on_refused
        self._waiting: tuple[Waiting, int] = ("IDLE", 0)
        self._since_s = trio.current_time()
        self._handling = False
        self._over = False
        self._hung_up = trio.Event()

    async def run(self) -> None:
        """Serve one connection to its end."""
        connected = self.stream.socket
        try:
            self._applications = LaneTaskGroup(lambda: self.stream.closed, self._inboxes)
            async with self._applications as task_group:
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
                self._over = True
                self.stream.close()
                self._applications.end()
                await self.idle_task.stop()
        except OSError:
            pass  # the client was gone before it could be asked for its address
        finally:
            self.stream.close()
            for name in ("protocol", "_task_group", "_applications"):  # rings, which the collector would free, seldom
                self.__dict__.pop(name, None)

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
        elif not self._over:  # an answer that ends now must not begin to wait for another request
            await super().protocol_send(event)

    def hang_up(self) -> None:
        """The client has ended its side, whatever of what it sent before is still unread."""
        self._hung_up.set()

    async def _read_data(self) -> None:
        """Read in one task and handle in another: handling waits for applications, and the client's end must not.

        What a client pipelines behind a request in work is read up to a bound, so that its end may not be reached by
        reading: then it is told from outside.
        """
        send, receive = trio.open_memory_channel[Pieces](1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._handle_data, receive)
            nursery.start_soon(self._end_data, nursery.cancel_scope)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                try:
                    await self._read_pieces(send)
                except trio.TooSlowError as slow:
                    await self._give_up(CallerFault("request_timeout", str(slow) or None))
                    await self.stream.receive_some(MAX_RECV)  # until the client had time to see it
            await self.protocol.handle(Closed())
            nursery.cancel_scope.cancel()

    async def _read_pieces(self, send: trio.MemorySendChannel[Pieces]) -> None:
        dropped_bytes = 0
        while (data := await self._receive()) and dropped_bytes < LINGER_BYTES:
            if self._gate.refused:
                dropped_bytes += len(data)
            elif pieces := self._gate.feed(data):
                await send.send(pieces)

    async def _end_data(self, reading: trio.CancelScope) -> None:
        await self._hung_up.wait()
        await self.protocol.handle(Closed())
        reading.cancel()

    async def _receive(self) -> bytes:
        """What the client sends next. Raises trio.TooSlowError if it takes too long within a head or a body."""
        patience = self._patience
        while True:
            waiting, now_s = (self._gate.waiting, self._gate.heads), trio.current_time()
            if waiting != self._waiting or self._busy:
                self._waiting, self._since_s = waiting, now_s
            until_s = float("inf")
            if waiting[0] == "HEAD":
                until_s = self._since_s + patience.head_s
            elif waiting[0] == "BODY":
                until_s = min(now_s + patience.body_s, self._since_s + patience.body_total_s)
            with trio.CancelScope(deadline=until_s):
                return await self.stream.receive_some(MAX_RECV)
            if not self._busy:
                total = waiting[0] == "BODY" and trio.current_time() >= self._since_s + patience.body_total_s
                raise trio.TooSlowError(patience.too_slow if total else "")

    @property
    def _busy(self) -> bool:
        """Whether it is not the client that is waited for."""
        return self._handling or (self._waiting[0] == "HEAD" and self.protocol.http1.answering)

    async def _handle_data(self, received: trio.MemoryReceiveChannel[Pieces]) -> None:
        async for pieces in received:
            self._handling = True
            for piece in pieces:
                if self.stream.finished:
                    break
                if isinstance(piece, ProtocolRefusal):
                    await self._refuse(protocol_fault(piece))
                    continue
                await self.protocol.handle(RawData(piece.data))
                if piece.invite and await self._applications.inbox.asked() and not self.stream.finished:
                    await self.protocol_send(RawData(CONTINUE))
            self._handling = False

    async def _refuse(self, fault: CallerFault) -> None:
        """Refuse what comes next, after the answers to what came before.

        An application that has begun is heard first: it may refuse the request without having read its body.
        """
        http1 = self.protocol.http1
        http1.fault, http1.dialect = fault, self._dialect
        self._on_refused(fault.kind.code)
        if http1.body_due:
            await self._applications.inbox.asked()
        if not self.stream.finished:
            await self.protocol.handle(RawData(NOT_HTTP))

    @property
    def _dialect(self) -> str:
        head = self._gate.head
        if head is None:
            return dialect_of_path(self._gate.begun_path)
        return dialect_of(head.path, head.get) if ours(head.path) else "admin"

    async def _give_up(self, fault: CallerFault) -> None:
        self._on_refused(fault.kind.code)
        self.protocol.http1.dialect = self._dialect
        await self.protocol.http1.give_up(fault)

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
        patience: Patience = PATIENCE,
        limits: Limits = LIMITS,
        *,
        send_timeout_s: float = 60.0,
        requests_per_connection: int = 10_000,
        hangups: HangUps | None = None,
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.application = ASGIWrapper(application)
        self.context = WorkerContext(None)
        self.patience = patience
        self.limits = limits
        self.send_timeout_s = send_timeout_s
        self.on_refused = on_refused
        self.hangups = hangups
        self.inboxes: set[Inbox] = set()
        self.config = config = Config()
        config.include_server_header = False
        config.h11_max_incomplete_size = HEAD_BYTES
        config.keep_alive_timeout = patience.idle_s  # shape: allow units because it is Hypercorn's name for it
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
