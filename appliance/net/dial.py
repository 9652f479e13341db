"""Opening connections: names found, Happy Eyeballs, TLS. The rule: the caller bounds the time, this the addresses.

`Dialer.public` connects to public addresses alone, for providers that somebody else than the operator has set. What is
judged is each address before it is connected to, and the peer of the connection after: a name that answers otherwise
the second time gains nothing, since it is asked once and only what was judged is used.
"""

import re
import socket
import ssl
from collections.abc import Callable, Sequence

import trio

from appliance.net.resolver import Address, Resolver
from appliance.net.stream import SocketStream
from appliance.policy.public_address import is_public

NEXT_AFTER_S = 0.25
"""How long one address is tried before the next one is tried too (RFC 8305, 5)."""

PROXY_HEAD_BYTES = 16_384
_PROXY_ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class NotPublic(OSError):
    """A name without a public address, where only such a one may be connected to."""


class ProxyRefused(OSError):
    """The proxy did not open the tunnel; `status` is its answer, 0 if that was none of HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Dialer:
    """Opens connections. `allowed` judges the addresses of `public`."""

    def __init__(self, resolver: Resolver, allowed: Callable[[str], bool] = is_public) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def __call__(self, host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
        """Connect to host and port, with TLS when a context is given.

        Raises OSError (refused, unreachable, name not found), ssl.SSLError, trio.BrokenResourceError, UnicodeError.
        """
        return await _secured(await _connect(await self._resolver.find(host, port)), host, tls)

    async def public(self, host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
        """As a call, but only to a public address that is not this machine's own. Raises NotPublic too."""
        found = await self._resolver.find(host, port)
        judged = [address for address in found if self._allowed(address.sockaddr[0])]
        if not judged:
            raise NotPublic
        connected = await _connect(judged)
        try:
            peer, own = connected.getpeername()[0], connected.getsockname()[0]
            if not self._allowed(peer) or peer == own:
                raise NotPublic
        except BaseException:
            connected.close()
            raise
        return await _secured(connected, host, tls)

    async def through(self, proxy: tuple[str, int], host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
        """As a call, but through a tunnel of an HTTP proxy (CONNECT). Raises ProxyRefused too."""
        connected = await _connect(await self._resolver.find(*proxy))
        stream = SocketStream(connected)
        try:
            authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            await stream.send_all(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode("ascii"))
            head = b""
            while b"\r\n\r\n" not in head and len(head) <= PROXY_HEAD_BYTES and (more := await stream.receive_some()):
                head += more
        except BaseException:
            stream.close()
            raise
        answer = _PROXY_ANSWER.match(head)
        if answer is None or answer[1][:1] != b"2" or not head.endswith(b"\r\n\r\n"):
            stream.close()
            raise ProxyRefused(int(answer[1]) if answer else 0)
        return await _secured(connected, host, tls, stream)


async def _secured(
    connected: socket.socket, host: str, tls: ssl.SSLContext | None, stream: SocketStream | None = None
) -> SocketStream:
    stream = stream or SocketStream(connected)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls is not None:
            await stream.start_tls(tls, host, server_side=False)
    except BaseException:
        stream.close()
        raise
    return stream


def _interleaved(addresses: Sequence[Address]) -> list[Address]:
    """The resolver's order, but another family at the second place: a family may be broken as a whole."""
    ordered = list(addresses)
    other = next((at for at, one in enumerate(ordered) if one.family != ordered[0].family), 0)
    if other > 1:
        ordered.insert(1, ordered.pop(other))
    return ordered


async def _connect(addresses: Sequence[Address]) -> socket.socket:
    """A socket connected to one of the addresses, the first that answers. Raises OSError, the first one's."""
    if len(addresses) == 1:
        return await _one(addresses[0])
    connected: list[socket.socket] = []
    faults: list[OSError] = []
    try:
        async with trio.open_nursery() as nursery:

            async def attempt(address: Address, failed: trio.Event) -> None:
                try:
                    connected.append(await _one(address))
                except OSError as fault:
                    faults.append(fault)
                    failed.set()
                else:
                    nursery.cancel_scope.cancel()

            for address in _interleaved(addresses):
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(NEXT_AFTER_S):
                    await failed.wait()
    except BaseException:  # cancelled from outside in the very pass in which one had connected
        for unused in connected:
            unused.close()
        raise
    for surplus in connected[1:]:
        surplus.close()
    if not connected:
        raise faults[0] if faults else OSError("the name has no address")
    return connected[0]


async def _one(address: Address) -> socket.socket:
    trying = trio.socket.socket(address.family, address.kind, address.protocol)
    try:
        await trying.connect(address.sockaddr)
    except BaseException:
        trying.close()
        raise
    return socket.socket(address.family, address.kind, address.protocol, fileno=trying.detach())
