"""A bare relay on trio: what sockets, trio and a task for each connection cost, with no gateway in it.

For orientation and to check the bench itself, never a part of the product: it does not validate what it relays.
Run as `python -m tests.bench.bare_relay CA PORT:HOST:UPSTREAM:TLS ...`. A request with `start_within` is raced: flex at
once, default half a second later, the first with content wins and the other's socket is closed.
"""

import contextlib
import errno
import re
import socket
import ssl
import sys

import trio

_RACE = re.compile(rb',?"start_within":"[^"]*"')
_LAUNCH_S = 0.5
_READ_BYTES = 262_144


class RawStream(trio.abc.Stream):
    """A non-blocking socket under trio without its socket layer: it waits only when the kernel would block."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What there is, or wait for it."""
        while True:
            try:
                return self._sock.recv(max_bytes or _READ_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)
            except OSError as reason:
                raise trio.BrokenResourceError from reason

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """All of it, waiting only when the socket is full."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError as reason:
                raise trio.BrokenResourceError from reason

    async def wait_send_all_might_not_block(self) -> None:
        """Part of the interface."""

    async def aclose(self) -> None:
        """Close at once."""
        with contextlib.suppress(OSError):
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()
        await trio.lowlevel.checkpoint()


class Upstream:
    """The provider of one port, with idle connections kept."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.host = host
        self.port = port
        self.context = context
        self.idle: list[trio.abc.Stream] = []

    async def connection(self) -> trio.abc.Stream:
        """An idle connection or a new one."""
        if self.idle:
            return self.idle.pop()
        sock = socket.socket()
        sock.setblocking(False)
        status = sock.connect_ex((self.host, self.port))
        if status == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(sock)
            status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            raise OSError(status, "connect to the provider")  # ends the relay: a round with it is not valid
        raw = RawStream(sock)
        if self.context is None:
            return raw
        return trio.SSLStream(raw, self.context, server_hostname="localhost", https_compatible=True)


async def _receive_message(stream: trio.abc.Stream) -> bytearray:
    received = bytearray()
    wanted = -1
    while wanted < 0 or len(received) < wanted:
        data = await stream.receive_some(_READ_BYTES)
        if not data:
            return bytearray()
        received += data
        if wanted < 0 and (end := received.find(b"\r\n\r\n")) >= 0:
            wanted = end + 4 + _length(received[:end])
    return received


def _length(head: bytes | bytearray) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def _pass_answer(source: trio.abc.Stream, client: trio.abc.Stream, received: bytes) -> None:
    head_end = received.find(b"\r\n\r\n")
    while head_end < 0:
        data = await source.receive_some(_READ_BYTES)
        if not data:
            raise trio.BrokenResourceError
        received += data
        head_end = received.find(b"\r\n\r\n")
    chunked = b"transfer-encoding: chunked" in received[:head_end].lower()
    wanted = head_end + 4 + _length(received[:head_end])
    count = len(received)
    await client.send_all(received)
    while not received.endswith(b"\r\n0\r\n\r\n") if chunked else count < wanted:
        received = bytes(await source.receive_some(_READ_BYTES))
        if not received:
            raise trio.BrokenResourceError
        count += len(received)
        await client.send_all(received)


async def _race(upstream: Upstream, request: bytes, client: trio.abc.Stream) -> None:
    won: list[tuple[trio.abc.Stream, bytes]] = []

    async def run(tier: bytes, delay_s: float, scope: trio.CancelScope) -> None:
        await trio.sleep(delay_s)
        stream = await upstream.connection()
        head, _, body = _RACE.sub(b"", request).partition(b"\r\n\r\n")
        body = body[:-1] + b',"service_tier":"' + tier + b'"}'
        head = re.sub(rb"(?i)content-length: \d+", b"content-length: %d" % len(body), head)
        received = b""
        try:
            await stream.send_all(head + b"\r\n\r\n" + body)
            while b"~" not in received:
                data = await stream.receive_some(_READ_BYTES)
                if not data:
                    return
                received += data
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        won.append((stream, received))
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, b"flex", 0.0, nursery.cancel_scope)
        nursery.start_soon(run, b"default", _LAUNCH_S, nursery.cancel_scope)
    stream, received = won[0]
    await _pass_answer(stream, client, received)
    upstream.idle.append(stream)


async def _serve(upstream: Upstream, client: RawStream) -> None:
    try:
        while request := await _receive_message(client):
            if b'"start_within"' in request:
                await _race(upstream, bytes(request), client)
                continue
            stream = await upstream.connection()
            try:
                await stream.send_all(request)
                await _pass_answer(stream, client, b"")
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            upstream.idle.append(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        await trio.aclose_forcefully(client)


async def _listen(upstream: Upstream, port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(listener)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock, _ = listener.accept()
                    nursery.start_soon(_serve, upstream, RawStream(sock))


async def main() -> None:
    """Serve every route given on the command line."""
    context = ssl.create_default_context(cafile=sys.argv[1])
    async with trio.open_nursery() as nursery:
        for route in sys.argv[2:]:
            port, host, upstream_port, over_tls = route.split(":")
            upstream = Upstream(host, int(upstream_port), context if over_tls == "1" else None)
            nursery.start_soon(_listen, upstream, int(port))


if __name__ == "__main__":
    trio.run(main)
