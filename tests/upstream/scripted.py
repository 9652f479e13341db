"""A server on a real socket that does exactly what a test says, and the parts for calling it."""

import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from appliance.domain.catalog import Provider
from appliance.http1.limits import Limits
from appliance.net.dial import Dialer
from appliance.net.resolver import Resolver
from appliance.net.stream import SocketStream
from appliance.upstream.origin import Origin
from appliance.upstream.transport import Pool

Play = Callable[["Peer"], Awaitable[None]]


def answer(body: bytes = b"{}", status: int = 200, *more: str, kind: str = "application/json") -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status} Said", f"content-type: {kind}", f"content-length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*pieces: bytes, kind: str = "text/event-stream") -> bytes:
    """A chunked answer, whole."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: SocketStream, server: "Server") -> None:
        self._stream = stream
        self._server = server
        self._buffer = b""

    async def request(self) -> bytes:
        """The next request, head and body; b"" if there is none."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return b""
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
        while len(rest) < size:
            if not await self._more():
                return b""
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[size:]
        request = head + b"\r\n\r\n" + rest[:size]
        self._server.requests.append(request)
        self._server.note()
        return request

    async def _more(self) -> bool:
        data = await self.receive()
        self._buffer += data
        return bool(data)

    async def receive(self) -> bytes:
        """Bytes as they come; b"" at the end, orderly or not."""
        try:
            return await self._stream.receive_some()
        except trio.BrokenResourceError:
            return b""

    async def gone(self) -> None:
        """Return when the client has closed."""
        while await self.receive():
            pass
        self._server.seen_gone += 1
        self._server.note()

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def reset(self) -> None:
        """Close with a reset."""
        self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()

    async def close(self) -> None:
        """Close in good order."""
        self._stream.close()


class Server:
    """Plays a part for each connection. `requests` are those that came whole; `connections` those accepted."""

    def __init__(self, plays: Sequence[Play], tls: ssl.SSLContext | None) -> None:
        self._plays = list(plays)
        self._tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.seen_gone = 0
        self.broken = 0
        self.port = 0
        self._changed = trio.Event()

    def note(self) -> None:
        """Wake those that wait for something to be true of this server."""
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        """Return when it holds."""
        while not holds():
            await self._changed.wait()

    @property
    def origin(self) -> Origin:
        return Origin("http" if self._tls is None else "https", "127.0.0.1", self.port)

    @property
    def base_url(self) -> str:
        return f"{self.origin.scheme}://127.0.0.1:{self.port}/v1"

    def provider(self, **facts: Any) -> Provider:
        return Provider("prov", "org", "scripted", "openai", self.base_url, **facts)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, transport: trio.SocketStream) -> None:
        play = self._plays[min(self.connections, len(self._plays) - 1)]
        self.connections += 1
        connected = socket.socket(fileno=transport.socket.detach())
        stream = SocketStream(connected)
        try:
            if self._tls is not None:
                await stream.start_tls(self._tls, None, server_side=True)
            await play(Peer(stream, self))
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            self.broken += 1
        finally:
            stream.close()


def pool(trusted: str | None = None, **facts: Any) -> Pool:
    """A pool over real connections; `trusted`: the file of the authority that is believed."""
    settings: dict[str, Any] = {"limits": Limits(body_bytes=1 << 30), "connect_timeout_s": 5.0, "idle_s": 30.0}
    return Pool(Dialer(Resolver(0.0)), tls=lambda: ssl.create_default_context(cafile=trusted), **settings | facts)


class Dialled:
    """A dialer that remembers what it opened."""

    def __init__(self) -> None:
        self.streams: list[SocketStream] = []
        self._dial = Dialer(Resolver(0.0))

    async def __call__(self, host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
        stream = await self._dial(host, port, tls)
        self.streams.append(stream)
        return stream


class Emptied:
    """Closes what is idle in a pool at the end of a test."""

    def __init__(self, emptied: Pool) -> None:
        self._pool = emptied

    async def __aenter__(self) -> Pool:
        return self._pool

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await self._pool.run()
