"""One HTTP/1.1 connection on h11: requests in, answers out, and the client's end noticed at once.

Rule: a reader task holds the socket for as long as the connection lives, so that a client that goes away is seen
while an answer is awaited and while it streams. Head, body, unread bytes and waiting are bounded.
"""

import socket
import struct
from collections import deque
from typing import Final
from urllib.parse import parse_qsl

import h11
import msgspec
import trio

Headers = list[tuple[str, str]]
_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_PENDING_BYTES: Final = 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_IDLE_S: Final = 900.0
_SEND_S: Final = 900.0


class Gone(Exception):
    """The client went away, or stopped making sense, before its request was complete."""


class TooLarge(Exception):
    """The request's body is larger than the limit."""


class Request(msgspec.Struct, frozen=True):
    """A complete request: header names are lower case, in the order sent; values are text (latin-1)."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header, or the empty string."""
        return next((value for key, value in self.headers if key == name), "")

    def query(self) -> dict[str, str]:
        """The query of the target; of a name that comes twice the last counts."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


class Connection:
    """The server's side of one connection; `watch` must run beside whoever uses the rest."""

    def __init__(self, stream: trio.abc.Stream, transport: trio.SocketStream, number: int, max_body_bytes: int) -> None:
        self.number = number
        self.requests = 0
        self.gone = False
        self.scope: trio.CancelScope | None = None  # of the request in work: cancelled when the client goes
        self._stream = stream
        self._transport = transport
        self._max_body_bytes = max_body_bytes
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._signal = trio.Event()
        self._without_body = False  # the request is a HEAD

    @property
    def can_answer(self) -> bool:
        """Whether an answer can still be sent."""
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.gone

    async def watch(self) -> None:
        """Read until the client's end; then mark it gone and cancel the request in work."""
        try:
            while True:
                data = await self._stream.receive_some(_READ_BYTES)
                if not data:
                    break
                self._pending.append(bytes(data))
                self._pending_bytes += len(data)
                self._wake()
                while self._pending_bytes > _MAX_PENDING_BYTES:
                    await self._signal.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # an end like any other: it is marked below
        self.gone = True
        if self.scope is not None:
            self.scope.cancel()
        self._wake()

    def _wake(self) -> None:
        self._signal.set()
        self._signal = trio.Event()

    async def next_request(self) -> Request | None:
        """The next complete request; None at a clean end of the connection.

        Raises Gone (the end came within a request), TooLarge, or h11.RemoteProtocolError.
        """
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is not h11.IDLE:
            return None
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = await self._next_event(within_request=head is not None)
            if isinstance(event, h11.Request):
                head = event
                self._without_body = event.method == b"HEAD"
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._max_body_bytes:
                    raise TooLarge
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                self.requests += 1
                headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
                return Request(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, bytes(body))
            else:
                return None

    async def _next_event(self, *, within_request: bool) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            if self._pending:
                data = self._pending.popleft()
                self._pending_bytes -= len(data)
                self._wake()
                self._http.receive_data(data)
            elif self.gone:
                if within_request or self._http.trailing_data[0]:
                    raise Gone
                return None
            else:
                with trio.move_on_after(_IDLE_S) as idle:
                    await self._signal.wait()
                if idle.cancelled_caught:
                    return None

    async def respond(self, status: int, headers: Headers, body: bytes, *, only: int | None = None) -> None:
        """Send a whole answer with its length; `only` sends that many bytes of the body and leaves it at that."""
        head = [*headers, ("content-length", str(len(body)))]
        data = self._http.send(h11.Response(status_code=status, headers=head)) or b""
        if only is not None:
            await self._send(data + (self._http.send(h11.Data(data=body[:only])) or b""))
            return
        data += (self._http.send(h11.Data(data=body)) or b"") if body and not self._without_body else b""
        await self._send(data + (self._http.send(h11.EndOfMessage()) or b""))

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer that streams (chunked)."""
        await self._send(self._http.send(h11.Response(status_code=status, headers=headers)))

    async def send(self, data: bytes, *, last: bool = False, fragment_bytes: int = 0) -> None:
        """Send bytes of a streaming answer, in pieces of `fragment_bytes` if given; `last` ends it in that write."""
        size = fragment_bytes or len(data) or 1
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        for number, piece in enumerate(pieces, start=1):
            out = self._http.send(h11.Data(data=piece)) or b""
            if last and number == len(pieces):
                out += self._http.send(h11.EndOfMessage()) or b""
            await self._send(out)

    async def _send(self, data: bytes | None) -> None:
        with trio.move_on_after(_SEND_S) as limit:
            await self._stream.send_all(data or b"")
        if limit.cancelled_caught:
            raise trio.BrokenResourceError("the client stopped reading")

    async def close(self, *, reset: bool = False) -> None:
        """Close at once, without TLS farewells; with `reset` the client gets RST instead of FIN."""
        if reset:
            self._transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self._stream)
