"""The fast lane: one client connection over our own HTTP/1.1, for everything an SDK calls with an inference key.

The rule: one task per connection and none per request. It reads a request, answers it, and reads the next; what a
client pipelines waits in the socket meanwhile. While a request is in work nobody reads, but `net/hangup.py` tells when
the client ends its side (half-closed counts), and that ends the call. A connection whose next request is not ours is
handed to the ASGI lane, between requests, with its unread bytes in front; it never comes back.

Time limits need no scope per request: `look` is called now and then and compares the clock.
"""

from enum import Enum

import trio

from appliance.domain.errors import ApplianceFault, CallerFault, Fault
from appliance.domain.identity import ApiKey
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request import RequestHead, RequestReader
from appliance.http1.write import CONTINUE
from appliance.net.stream import SocketStream
from appliance.request.call import Call
from appliance.request.endpoint import CHAT, Endpoint
from appliance.server.front import Front, protocol_fault
from appliance.server.reply import FastReply
from appliance.server.routes import dialect_of, dialect_of_path, find, ours

LINGER_S = 2.0
LINGER_BYTES = 1024 * 1024
READ_BYTES = 262_144
"""Read at a time: the prompt of a coding agent, head and all, comes in one piece, and is copied once less."""


class Phase(Enum):
    """What the connection waits for; each has its own patience."""

    IDLE = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    BUSY = "the answer to a request"
    LINGER = "the client's end"


class Gone(Exception):
    """The client has ended the connection; there is nobody to answer."""


class FastConnection:
    """One client connection; `serve` returns when it is closed or to be handed over (then `replay` is not None)."""

    __slots__ = (
        "_address",
        "_argument",
        "_body",
        "_body_since_s",
        "_call",
        "_endpoint",
        "_fault",
        "_front",
        "_head",
        "_held_bytes",
        "_hung_up",
        "_key",
        "_kin",
        "_left",
        "_now_s",
        "_peer",
        "_phase",
        "_reader",
        "_reply",
        "_scope",
        "_since_s",
        "_stream",
        "replay",
    )

    def __init__(self, stream: SocketStream, peer: str | None, front: Front, limits: Limits) -> None:
        self._stream = stream
        self._peer = self._address = peer
        self._front = front
        self._reader = RequestReader(limits)
        self._phase = Phase.IDLE
        self._now_s = trio.lowlevel.current_clock().current_time  # trio.current_time, without its way to the clock
        self._since_s = self._body_since_s = self._now_s()
        self._head: RequestHead | None = None
        self._kin: object = None
        self._left = front.requests_per_connection
        self._body: bytes | None = None
        self._held_bytes = 0
        self._key: ApiKey | None = None
        self._endpoint: Endpoint = CHAT
        self._argument = ""
        self._call: Call | None = None
        self._reply: FastReply | None = None
        self._scope: trio.CancelScope | None = None
        self._fault: Fault | None = None
        self._hung_up = False
        self.replay: bytes | None = None

    async def serve(self) -> None:
        """Answer requests in order until the connection ends or belongs to the other lane."""
        hangups, fd = self._front.hangups, self._stream.socket.fileno()
        hangups.watch(fd, self._leave)
        try:
            await self._serve()
        except (Gone, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # nobody is left to be answered; what was in work has been settled
        finally:
            self._let_go()
            hangups.forget(fd, self._leave)
            if self.replay is None:
                self._stream.close()

    async def _serve(self) -> None:
        while True:
            with trio.CancelScope() as self._scope:
                await self._requests(self._scope)
            if not self._scope.cancel_called:
                return
            self._call = None
            if self._fault is not None:  # ended from outside while its request was being read
                await self._refuse(self._fault, last=True)
            if self._hung_up:
                return
            if not self._may_go_on():
                await self._linger()
                return

    async def _requests(self, scope: trio.CancelScope) -> None:
        """Answer requests, all under one scope, until the connection ends, is to be handed over, or a call was left."""
        reader, front = self._reader, self._front
        while True:
            self._head = None
            try:
                head = await self._read_head()
                if not ours(head.path):
                    self.replay = reader.replay()
                    return
                if head.kin is self._kin and self._key is not None:  # all but its length was looked at before
                    key = self._key = front.gateway.identify_again(self._key, head.get, head.query, self._address)
                else:
                    self._kin = None  # until this head has been found good: another's key must not serve the last one
                    self._address = front.proxies.client(self._peer, head.headers)
                    key = self._key = front.gateway.identify(head.get, head.query, self._address)
                    self._endpoint, self._argument = find(head.method, head.path, head.get)
                    self._kin = head.kin
                if head.has_body:
                    self._body = reader.next_body()
                    if self._body is None:
                        self._body = await self._read_body(head)
                if front.stopping:
                    raise ApplianceFault("shutting_down")
            except ProtocolRefusal as refusal:
                await self._refuse(protocol_fault(refusal), last=True)
            except Fault as fault:
                await self._refuse(fault, last=reader.body_due)
            else:
                call = await self._answer(head, key, scope)
                if call.cause is not None:  # it was left, and the scope with it
                    return
            if not self._may_go_on():
                await self._linger()
                return

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _read_head(self) -> RequestHead:
        reader = self._reader
        while True:
            head = reader.next_head()
            if head is not None:
                self._head = head
                self._since_s = self._now_s()
                return head
            if reader.idle:
                self._phase = Phase.IDLE
            elif self._phase is not Phase.HEAD:  # the time of a head is that of all of it
                self._phase = Phase.HEAD
                self._since_s = self._now_s()
            if self._front.stopping:
                raise Gone
            data = await self._stream.receive_some(READ_BYTES)
            if not data:
                raise Gone
            reader.feed(data)

    async def _read_body(self, head: RequestHead) -> bytes:
        reader, bodies = self._reader, self._front.gateway.bodies
        self._phase = Phase.BODY
        self._body_since_s = self._since_s
        if head.expect_continue:
            self._stream.send_now(CONTINUE)
        while (body := reader.next_body()) is None:
            data = await self._stream.receive_some(READ_BYTES)
            if not data:
                raise Gone
            bodies.take(len(data))
            self._held_bytes += len(data)
            reader.feed(data)
            self._since_s = self._now_s()
        return body

    # -- answering -----------------------------------------------------------------------------------------------------

    async def _answer(self, head: RequestHead, key: ApiKey, scope: trio.CancelScope) -> Call:
        front = self._front
        self._phase = Phase.BUSY
        self._left = left = self._left - 1
        self._reply = reply = FastReply(self._stream, head, front.date, front.stopping or left <= 0)
        at_unix_us = front.unix_us()
        self._call = call = Call(
            endpoint=self._endpoint,
            argument=self._argument,
            method=head.method,
            path=head.path,
            query=head.query,
            headers=head.headers,
            get=head.get,
            body=self._body or b"",
            key=key,
            peer=self._address,
            reply=reply,
            scope=scope,
            request_id=front.request_id(at_unix_us),
            arrived_s=self._since_s,
            at_unix_us=at_unix_us,
            held_bytes=self._held_bytes,
        )
        self._held_bytes = 0
        self._body = None  # the call lets it go when it has been sent; nothing here may hold it for a whole stream
        if self._hung_up:
            call.leave("client_gone")
        await front.gateway.answer(call)
        self._call = None
        return call

    async def _refuse(self, fault: Fault, *, last: bool) -> None:
        self._phase, self._fault = Phase.BUSY, None
        self._let_go()
        head = self._head
        if head is None:
            dialect = dialect_of_path(self._reader.begun_path)
        else:
            dialect = dialect_of(head.path, head.get)
        if last:
            self._reader.drop()
        self._left -= 1
        last = last or self._front.stopping or self._left <= 0
        self._reply = reply = FastReply(self._stream, head, self._front.date, last)
        await self._front.refuse(reply, fault, self._front.request_id(self._front.unix_us()), dialect)

    def _let_go(self) -> None:
        if self._held_bytes:
            self._front.gateway.bodies.give_back(self._held_bytes)
            self._held_bytes = 0
            self._body = None

    def _may_go_on(self) -> bool:
        """Whether another request may follow."""
        reply = self._reply
        if reply is not None and reply.ended and not reply.close and not self._front.stopping:
            self._phase = Phase.IDLE
            self._since_s = self._now_s()
            return True
        return False

    async def _linger(self) -> None:
        """Wait until the client has had time to see its last answer."""
        cut_short = self._reply is not None and self._reply.busy
        if not self._hung_up and not cut_short:  # a reset would overtake the answer if bytes were unread when we close
            self._phase = Phase.LINGER
            self._stream.end_sending()
            read_bytes = 0
            with trio.move_on_after(LINGER_S):
                while read_bytes < LINGER_BYTES and (data := await self._stream.receive_some()):
                    read_bytes += len(data)

    # -- from outside --------------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """The client has hung up."""
        self._hung_up = True
        if self._call is not None:
            self._call.leave("client_gone")

    def look(self, now_s: float) -> None:
        """End a connection whose client takes too long to send."""
        patience = self._front.patience
        if now_s < self._since_s + patience.of_s(self._phase.name):
            if self._phase is Phase.BODY and now_s >= self._body_since_s + patience.body_total_s:
                self._interrupt(CallerFault("request_timeout", patience.too_slow))
        elif self._phase is Phase.IDLE:
            self._stream.close()
        else:
            self._interrupt(CallerFault("request_timeout"))

    def stop(self) -> None:
        """The server is stopping: leave if no request has come, refuse half of one; an answer in work is the last."""
        if self._phase in (Phase.IDLE, Phase.HEAD):
            self._stream.close()
        elif self._phase is Phase.BODY:
            self._interrupt(ApplianceFault("shutting_down"))
        elif self._reply is not None:
            self._reply.close = True

    def _interrupt(self, fault: Fault) -> None:
        if self._fault is None and self._scope is not None:
            self._fault = fault
            self._scope.cancel()
