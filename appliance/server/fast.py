"""The fast lane: one client connection over our own HTTP/1.1, for everything an SDK calls with an inference key.

The rule: two tasks per connection and none per request. The reader is alive as long as the connection: it parses what
arrives, hands whole requests to the worker, and turns the client's end (half-closed too) into the end of the call in
work. The worker answers in order. A connection whose next request is not ours is handed to the ASGI lane, between
requests, with its unread bytes in front; it never comes back.

Time limits need no scope per request: the reader looks at the clock when its deadline passes, and at nothing else.
"""

from enum import Enum

import trio

from appliance.domain.errors import ApplianceFault, CallerFault, Fault
from appliance.domain.identity import ApiKey
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request import RequestHead, RequestReader
from appliance.net.stream import SocketStream
from appliance.net.wake import Wakeup
from appliance.request.call import Call
from appliance.request.endpoint import Endpoint
from appliance.server.front import Front
from appliance.server.reply import FastReply
from appliance.server.routes import find, ours

LINGER_S = 2.0
LINGER_BYTES = 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

REFUSALS = {413: "request_too_large", 417: "expectation_failed", 431: "head_too_large", 501: "not_implemented"}
REFUSALS |= {505: "http_version"}


class Phase(Enum):
    """What the connection waits for; each has its own patience."""

    IDLE = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    BUSY = "the answer to a request"
    LINGER = "the client's end"
    DONE = "nothing more"


class FastConnection:
    """One client connection; `serve` returns when it is closed or to be handed over (then `replay` is not None)."""

    def __init__(self, stream: SocketStream, peer: str | None, front: Front, limits: Limits) -> None:
        self._stream = stream
        self._peer = peer
        self._front = front
        self._limits = limits
        self._reader = RequestReader(limits)
        self._wakeup = Wakeup()
        self._phase = Phase.IDLE
        self._since_s = self._head_since_s = trio.current_time()
        self._head: RequestHead | None = None
        self._key: ApiKey | None = None
        self._ready: tuple[RequestHead | None, bytes, Fault | None] | None = None
        self._endpoint: Endpoint | None = None
        self._argument = ""
        self._call: Call | None = None
        self._reply: FastReply | None = None
        self._gone = False
        self._overrun = False
        self._broken = False
        self._lingered_bytes = 0
        self._patience = front.patience
        self.replay: bytes | None = None

    # -- the reader ----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        receive = self._stream.receive_some
        try:
            while not self._gone and self.replay is None:
                with trio.CancelScope(deadline=trio.current_time() + self._patience.shortest_s):
                    while self.replay is None:
                        data = await receive()
                        if not data:
                            self._leave()
                            return
                        self._take(data)
                        if self._phase is Phase.DONE:
                            return
                self._check_patience()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._leave()

    def _take(self, data: bytes) -> None:
        reader = self._reader
        if self._phase is Phase.LINGER:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > LINGER_BYTES:
                self._leave()
            return
        if self.replay is not None:
            self.replay += data
            return
        if self._phase is Phase.BUSY:
            if self._overrun:
                return
            if reader.unread_bytes + len(data) > self._limits.head_bytes:
                self._overrun = True  # read on, to see the client's end, but keep nothing: this answer is the last
                self._make_last()
            else:
                reader.feed(data)
            return
        reader.feed(data)
        self._advance(trio.current_time())

    def _advance(self, now_s: float) -> None:
        """Parse as far as the bytes go; a whole request, or the refusal of one, wakes the worker."""
        self._since_s = now_s
        reader = self._reader
        try:
            head = self._head
            if head is None:
                head = reader.next_head()
                if head is None:
                    if reader.idle:
                        self._phase = Phase.IDLE
                    elif self._phase is not Phase.HEAD:
                        self._phase = Phase.HEAD
                        self._head_since_s = now_s
                    return
                self._head = head
                if not ours(head.path):
                    self.replay = reader.replay()
                    self._hand_over()
                    return
                self._key = self._front.gateway.identify(head.get, head.query, self._peer)
                self._endpoint, self._argument = find(head.method, head.path)
                if head.has_body and (length := head.content_length) and length > self._limits.body_bytes:
                    raise ProtocolRefusal(413, "body_too_large", "the announced body is over the limit")
            body = reader.next_body() if head.has_body else b""
            if self._phase is Phase.BODY and body is not None and self._key is not None:
                self._key = self._front.still_valid(self._key, head.get, head.query, self._peer)
        except ProtocolRefusal as refusal:
            self._broken = True
            code = REFUSALS.get(refusal.status, "bad_framing")
            self._handle(self._head, b"", CallerFault(code, refusal.detail, status=refusal.status))
            return
        except Fault as fault:
            self._handle(self._head, b"", fault)
            return
        if body is None:
            if self._phase is not Phase.BODY:
                self._phase = Phase.BODY
                if head.expect_continue:
                    self._stream.send_now(CONTINUE)
            return
        self._handle(head, body, None)

    def _handle(self, head: RequestHead | None, body: bytes, fault: Fault | None) -> None:
        self._phase = Phase.BUSY
        self._ready = (head, body, fault)
        self._wakeup.wake()

    def _hand_over(self) -> None:
        self._phase = Phase.DONE
        self._wakeup.wake()

    def _leave(self) -> None:
        self._gone = True
        if self._call is not None:
            self._call.leave("client_gone")
        self._wakeup.wake()

    def _check_patience(self) -> None:
        limit_s = self._patience.of_s(self._phase.name)
        since_s = (
            self._head_since_s if self._phase is Phase.HEAD else self._since_s
        )  # a head's time is that of all of it
        if trio.current_time() < since_s + limit_s:
            return
        if self._phase is Phase.IDLE:
            self._leave()
        else:
            self._broken = True
            self._handle(self._head, b"", CallerFault("request_timeout"))

    # -- the worker ----------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Answer requests in order until the connection ends or belongs to the other lane."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                await self._work()
                nursery.cancel_scope.cancel()
        finally:
            if self.replay is None:
                self._stream.close()

    def stop(self) -> None:
        """The server is stopping: leave if there is no request yet, refuse half of one; an answer in work is the last."""
        if self._phase is Phase.IDLE or self._phase is Phase.HEAD:
            self._leave()
        elif self._phase is Phase.BODY:
            self._broken = True
            self._handle(self._head, b"", ApplianceFault("shutting_down"))
        else:
            self._make_last()

    def _make_last(self) -> None:
        """The answer in work is the connection's last; it says so if its head has not been sent yet."""
        if self._reply is not None:
            self._reply.close = True

    async def _work(self) -> None:
        while True:
            with trio.CancelScope() as scope:
                await self._work_in(scope)
                if not scope.cancel_called:
                    return
            call, self._call = self._call, None
            if call is None:
                continue  # it was left just when its answer was complete
            if self._gone or not await self._may_go_on(unread=False):
                return
            self._next()

    async def _work_in(self, scope: trio.CancelScope) -> None:
        """Answer requests in order, all under one scope, until the connection ends or a call was left."""
        while not scope.cancel_called:
            ready = self._ready
            if self._gone:
                return
            if ready is None:
                if self.replay is not None:
                    return
                if self._front.stopping and self._phase in (Phase.IDLE, Phase.HEAD):
                    return
                await self._wakeup.wait()
                continue
            self._ready = None
            head, body, fault = ready
            try:
                keep = await self._answer(head, body, fault, scope)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not keep or self._gone:
                return
            self._next()

    def _next(self) -> None:
        """Turn to the next request; it may have been pipelined already."""
        self._head = None
        self._phase = Phase.IDLE
        self._since_s = now_s = trio.current_time()
        if self._reader.unread_bytes:
            self._advance(now_s)

    async def _answer(
        self, head: RequestHead | None, body: bytes, fault: Fault | None, scope: trio.CancelScope
    ) -> bool:
        """Answer one request; whether the connection may carry another."""
        front = self._front
        unread = self._broken or (fault is not None and self._reader.body_due)
        self._reply = reply = FastReply(self._stream, head, front.date, unread or self._overrun or front.stopping)
        at_unix_us = front.unix_us()
        request_id = front.request_id(at_unix_us)
        if fault is None and front.stopping:
            fault = ApplianceFault("shutting_down")
        endpoint = self._endpoint
        if fault is not None or endpoint is None or head is None or self._key is None:
            await front.gateway.refuse(reply, fault or ApplianceFault("internal_error"), request_id)
        else:
            self._call = call = Call(
                endpoint=endpoint,
                argument=self._argument,
                method=head.method,
                path=head.path,
                query=head.query,
                headers=head.headers,
                get=head.get,
                body=body,
                key=self._key,
                peer=self._peer,
                reply=reply,
                scope=scope,
                request_id=request_id,
                arrived_s=self._since_s,
                at_unix_us=at_unix_us,
            )
            await front.gateway.answer(call)
            self._call = None
        return await self._may_go_on(unread=unread)

    async def _may_go_on(self, *, unread: bool) -> bool:
        """Whether another request may follow the answer given; if not, wait until the client has had time to see it."""
        reply = self._reply
        if reply is not None and reply.ended and not reply.close and not self._overrun:
            return not self._front.stopping
        if unread or self._overrun or self._reader.unread_bytes:
            await self._linger()
        return False

    async def _linger(self) -> None:
        """Close so that the client sees the answer: a reset would overtake it while request bytes are unread."""
        if not self._gone:
            self._phase = Phase.LINGER
            self._stream.end_sending()
            with trio.move_on_after(LINGER_S):
                await self._wakeup.wait()
