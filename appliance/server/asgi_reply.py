"""The reference: inference routes in the ASGI lane, over the same `request/answer.py` as the fast lane.

The rule: it gives the same answers as the fast lane, byte for byte but for date, connection and framing. Speed is not
its purpose; over HTTP/1.1 it answers `connection: close`, so that the client's next request opens a fast connection.
"""

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

import trio

from appliance.domain.errors import ApplianceFault, Fault
from appliance.http1.chunked import too_large
from appliance.http1.write import safe_value
from appliance.net.stream import RECEIVE_BYTES
from appliance.request.call import Call, Header
from appliance.server.front import Front, protocol_fault
from appliance.server.reply import NO_BODY_STATUS
from appliance.server.routes import dialect_of, find

Message = MutableMapping[str, Any]


class AsgiReply:
    """One answer as ASGI messages. One task sends the answer, comments have tasks of their own; a lock orders them."""

    def __init__(self, send: Callable[[Message], Any], nursery: trio.Nursery, *, close: bool, head_only: bool) -> None:
        self._send = send
        self._nursery = nursery
        self._close = close
        self._head_only = head_only
        self._lock = trio.Lock()
        self._taken = False  # whether anything went out
        self._comments: list[tuple[Sequence[Header] | None, bytes]] = []
        self.started = False
        self.ending = False
        """Whether the last message is on its way: the disconnect that follows it is the server's, not the client's."""
        self.ended = False
        self.busy = False
        self.commented_s = 0.0
        self.sent_bytes = 0

    async def whole(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """See request.call.Reply."""
        async with self._lock:
            self.started = True
            self.sent_bytes += len(body)  # handed over as one, as in the fast lane
            own = list(headers)
            if status not in NO_BODY_STATUS:
                own.append((b"content-length", b"%d" % len(body)))
            await self._start(status, own)
            await self._body(body, more=False)

    async def start(self, headers: Sequence[Header], first: bytes = b"") -> None:
        """See request.call.Reply."""
        async with self._lock:
            self.started = True
            self.sent_bytes += len(first)
            await self._start(200, headers)
            await self._body(first, more=True)

    async def send(self, data: bytes) -> None:
        """See request.call.Reply."""
        async with self._lock:
            await self._flush()
            self.sent_bytes += len(data)
            await self._body(data, more=True)

    async def end(self, last: bytes = b"") -> None:
        """See request.call.Reply."""
        async with self._lock:
            await self._flush()
            self.sent_bytes += len(last)
            await self._body(last, more=False)

    def keep_alive(self, headers: Sequence[Header], comment: bytes, now_s: float) -> None:
        """See request.call.Reply."""
        self.commented_s = now_s
        self._comments.append((None if self.started else headers, comment))
        self.started = True
        self._nursery.start_soon(self._tell)

    async def _tell(self) -> None:
        """Send the comments, unless what comes after them was quicker and took them along."""
        async with self._lock:
            with suppress(trio.BrokenResourceError):  # the client is gone: whoever answers it will notice
                await self._flush()

    async def _flush(self) -> None:
        while self._comments and not self.ended:
            headers, comment = self._comments.pop(0)
            if headers is not None:
                await self._start(200, headers)
            await self._body(comment, more=True)

    async def _start(self, status: int, headers: Sequence[Header]) -> None:
        own = [(name, safe_value(value)) for name, value in headers]
        if self._close:
            own.append((b"connection", b"close"))
        await self._give({"type": "http.response.start", "status": status, "headers": own})

    async def _body(self, data: bytes, *, more: bool) -> None:
        self.ending = not more
        body = b"" if self._head_only else data
        await self._give({"type": "http.response.body", "body": body, "more_body": more})
        self.ended = not more

    async def _give(self, message: Message) -> None:
        if self.busy:  # an earlier send was cut short: nothing can follow it
            raise trio.BrokenResourceError
        self.busy = True
        try:
            await self._send(message)
        except OSError:  # how ASGI says that the client is gone
            if not self._taken:
                self.started, self.sent_bytes = False, 0
            raise trio.BrokenResourceError from None
        self.busy = False
        self._taken = True


class InferenceApp:
    """An ASGI application for the inference routes."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Message, receive: Callable[[], Any], send: Callable[[Message], Any]) -> None:
        """Answer one request."""
        headers: list[Header] = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
        table = dict(reversed(headers))
        front = self._front
        method, path = scope["method"].encode(), scope["raw_path"].partition(b"?")[0]
        client = scope.get("client")
        peer = front.proxies.client(client[0] if client else None, headers)
        at_unix_us = front.unix_us()
        request_id = front.request_id(at_unix_us)
        async with trio.open_nursery() as nursery:
            close = scope.get("http_version", "1.1").startswith("1")
            reply = AsgiReply(send, nursery, close=close, head_only=method == b"HEAD")
            try:
                key = front.gateway.identify(table.get, scope["query_string"], peer)
                endpoint, argument = find(method, path, table.get)
                body, held_bytes = await self._read(receive, table)
                if body is None:
                    nursery.cancel_scope.cancel()
                    return
                if front.stopping:
                    front.gateway.bodies.give_back(held_bytes)
                    raise ApplianceFault("shutting_down")
            except Fault as fault:
                with suppress(trio.BrokenResourceError):  # the client is gone
                    await front.refuse(reply, fault, request_id, dialect_of(path, table.get))
            else:
                call = Call(
                    endpoint=endpoint,
                    argument=argument,
                    method=method,
                    path=path,
                    query=scope["query_string"],
                    headers=headers,
                    get=table.get,
                    body=body,
                    key=key,
                    peer=peer,
                    reply=reply,
                    scope=trio.CancelScope(),
                    request_id=request_id,
                    arrived_s=trio.current_time(),
                    at_unix_us=at_unix_us,
                    held_bytes=held_bytes,
                )
                nursery.start_soon(self._watch, receive, call, reply)
                with call.scope:
                    await front.gateway.answer(call)
            nursery.cancel_scope.cancel()

    async def _read(self, receive: Callable[[], Any], table: dict[bytes, bytes]) -> tuple[bytes | None, int]:
        """The body (None: the client left) and what of it was taken of the memory for bodies. Raises Fault."""
        limit_bytes, bodies = self._front.limits.body_bytes, self._front.gateway.bodies
        announced = table.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit_bytes:
            raise protocol_fault(too_large(self._front.limits, 400))
        parts: list[bytes] = []
        size_bytes = held_bytes = 0
        whole = False
        try:
            while not whole:
                message = await receive()
                if message["type"] != "http.request":
                    return None, 0
                part = message.get("body", b"")
                size_bytes += len(part)
                if size_bytes > limit_bytes:
                    raise protocol_fault(too_large(self._front.limits, 400))
                if size_bytes > RECEIVE_BYTES:
                    bodies.take(len(part))
                    held_bytes += len(part)
                parts.append(part)
                whole = not message.get("more_body", False)
            return b"".join(parts), held_bytes
        finally:
            if not whole:
                bodies.give_back(held_bytes)

    async def _watch(self, receive: Callable[[], Any], call: Call, reply: AsgiReply) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not reply.ending:
            call.leave("client_gone")
