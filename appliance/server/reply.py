"""The fast lane's reply: HTTP/1.1 framing over one client connection. The rule: as few sends as the answer allows."""

from collections.abc import Callable, Sequence

import trio

from appliance.http1.request import RequestHead
from appliance.http1.write import LAST_CHUNK, chunk, response_head
from appliance.net.stream import SocketStream
from appliance.request.call import Header

JOIN_BYTES = 65_536
"""A body up to this size goes out in one send with its head."""

NO_BODY_STATUS = frozenset({204, 304})


class FastReply:
    """One answer on a connection of the fast lane. `close`: this answer is the connection's last."""

    __slots__ = (
        "_chunked",
        "_date",
        "_head_only",
        "_http10",
        "_pending",
        "_stream",
        "busy",
        "close",
        "commented_s",
        "ended",
        "sent_bytes",
        "started",
    )

    def __init__(self, stream: SocketStream, head: RequestHead | None, date: Callable[[], bytes], close: bool) -> None:
        self._stream = stream
        self._http10 = head is not None and head.version == (1, 0)
        self._head_only = head is not None and head.method == b"HEAD"
        self._date = date
        self._chunked = False
        self.close = close or head is None or not head.keep_alive
        self.started = False
        self.ended = False
        self.sent_bytes = 0
        self.busy = False
        self.commented_s = 0.0
        self._pending = b""  # the rest of a comment that the client did not take at once

    async def whole(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """The whole answer at once, in one send when it is small."""
        own: list[Header] = [*headers, (b"date", self._date())]
        if status not in NO_BODY_STATUS:
            own.append((b"content-length", b"%d" % len(body)))
        self._connection(own)
        data = response_head(status, own)
        self.sent_bytes += len(body)
        if body and not self._head_only:
            if len(body) <= JOIN_BYTES:
                data += body
            else:
                await self._send(data)
                data = body
        if rest := self._unsent(data):
            await self._send(rest)
        self.ended = True

    async def start(self, headers: Sequence[Header], first: bytes = b"") -> None:
        """Begin a chunked answer, always a 200; on HTTP/1.0 the end of the connection is its end."""
        head = self._head(headers)
        self.sent_bytes += len(first)
        await self._send(head + self._framed(first) if first and not self._head_only else head)

    def _head(self, headers: Sequence[Header]) -> bytes:
        own: list[Header] = [*headers, (b"date", self._date())]
        if self._http10:
            self.close = True
        else:
            self._chunked = True
            own.append((b"transfer-encoding", b"chunked"))
        self._connection(own)
        return response_head(200, own)

    def keep_alive(self, headers: Sequence[Header], comment: bytes, now_s: float) -> None:
        """See request.call.Reply."""
        self.commented_s = now_s
        if self._pending or self._head_only:
            return
        data = self._framed(comment) if self.started else b""
        if not self.started:
            head = self._head(headers)
            self.started = True
            data = head + self._framed(comment)
        self._pending = data[self._stream.send_now(data) :]

    def _unsent(self, data: bytes) -> bytes:
        """What the socket does not take at once: usually nothing, and then there is nothing to wait for."""
        if self.busy or self._pending:
            return data
        sent_bytes = self._stream.send_now(data) if self.close else self._stream.send_soon(data)
        if not sent_bytes:
            return data
        self.started = True
        return data[sent_bytes:]

    async def _send(self, data: bytes) -> None:
        if self.busy:  # an earlier send was cut short: whatever follows would be read as its rest
            raise trio.BrokenResourceError
        if self._pending:
            data, self._pending = self._pending + data, b""
        first, self.started = not self.started, True
        self.busy = True
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            if first:  # the connection was broken before, and has taken nothing
                self.started, self.sent_bytes = False, 0
            raise
        self.busy = False

    def _connection(self, headers: list[Header]) -> None:
        if self.close:
            headers.append((b"connection", b"close"))
        elif self._http10:
            headers.append((b"connection", b"keep-alive"))

    def _framed(self, data: bytes) -> bytes:
        return chunk(data) if self._chunked else data

    async def send(self, data: bytes) -> None:
        """More of the answer."""
        if data and not self._head_only:
            self.sent_bytes += len(data)
            if rest := self._unsent(self._framed(data)):
                await self._send(rest)

    async def end(self, last: bytes = b"") -> None:
        """The end of the answer, in one send with its last bytes."""
        self.sent_bytes += len(last)
        data = self._framed(last) + (LAST_CHUNK if self._chunked else b"")
        if data and not self._head_only:
            await self._send(data)
        elif not self._chunked and self._head_only:
            await trio.lowlevel.checkpoint_if_cancelled()
        self.ended = True
