"""Opening connections: name resolution in threads of its own, Happy Eyeballs, TLS. The rule: bounded by the caller.

Resolution uses its own thread limiter, so that a resolver that hangs takes no thread from anything else; answers are
kept for `dns_cache_s`. The connection race itself is trio's `open_tcp_stream` (RFC 8305).
"""

import socket
import ssl
from typing import Any

import trio

from appliance.net.stream import SocketStream

RESOLVER_THREADS = 16
MOST_LOOKUPS = 1024
"""Names being looked up, or waiting for a thread: a resolver that hangs must not gather all requests behind it."""


AddressInfo = Any
"""What socket.getaddrinfo gives; its type is too wordy to write twice."""


class Resolver(trio.abc.HostnameResolver):
    """trio's resolver hook with a thread limiter and a cache of its own. Raises socket.gaierror."""

    def __init__(self, cache_s: float) -> None:
        self._cache_s = cache_s
        self._limiter = trio.CapacityLimiter(RESOLVER_THREADS)
        self._known: dict[tuple[Any, ...], tuple[float, Any]] = {}

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - trio's name
        proto: int = 0,
        flags: int = 0,
    ) -> AddressInfo:
        """As socket.getaddrinfo, from the cache or in a thread that may be abandoned."""
        key = (host, port, family, type, proto, flags)
        now = trio.current_time()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        if self.lookups >= MOST_LOOKUPS:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are being looked up")
        found: Any = await trio.to_thread.run_sync(
            socket.getaddrinfo, *key, abandon_on_cancel=True, limiter=self._limiter
        )
        if len(self._known) >= 1024:
            self._known.clear()
        self._known[key] = (now + self._cache_s, found)
        return found

    @property
    def lookups(self) -> int:
        """How many names are being looked up, or wait for it."""
        statistics = self._limiter.statistics()
        return statistics.borrowed_tokens + statistics.tasks_waiting

    async def getnameinfo(self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int) -> tuple[str, str]:
        """As socket.getnameinfo, in a thread."""
        return await trio.to_thread.run_sync(
            socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True, limiter=self._limiter
        )


async def dial(host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
    """Connect to host and port, with TLS when a context is given.

    Raises OSError (refused, unreachable, name not found), ssl.SSLError, trio.BrokenResourceError.
    """
    opened = await trio.open_tcp_stream(host, port)
    trio_socket = opened.socket
    plain = socket.socket(trio_socket.family, trio_socket.type, trio_socket.proto, fileno=trio_socket.detach())
    stream = SocketStream(plain)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls is not None:
            await stream.start_tls(tls, host, server_side=False)
    except BaseException:
        stream.close()
        raise
    return stream
