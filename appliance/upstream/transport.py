"""The pool of connections to providers: HTTP/1.1, kept alive. The rule: a doubtful connection is dropped, not reused.

Before reuse a connection must be unreadable (a provider that closed it, or that sent bytes nobody asked for, shows
as readable) and must not have idled longer than `pool_idle_s`. Cancelling a call closes its socket: that is what the
provider sees at once, and the reason why HTTP/2 is not spoken here.
"""

import errno
import os
import select
import socket
import ssl
from collections.abc import Awaitable, Callable

import trio

from appliance.domain.errors import ApplianceFault, UpstreamFault
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal, TruncatedBody
from appliance.http1.response import ResponseHead, ResponseReader
from appliance.net.dial import NotPublic, ProxyRefused
from appliance.net.outbox import Outbox
from appliance.net.stream import SocketStream
from appliance.upstream.decoding import ContentDecoder, content_decoder
from appliance.upstream.origin import Origin

Dialer = Callable[[str, int, ssl.SSLContext | None], Awaitable[SocketStream]]

ProxyDialer = Callable[[tuple[str, int], str, int, ssl.SSLContext | None], Awaitable[SocketStream]]

RETRY_WITHIN_S = 1.0
"""A reused connection that fails within this time of sending, with no byte received, was stale: one retry."""

NO_PUBLIC_ADDRESS = "No connection: the name was not found, or it has no public address."
"""The same for both, so that nobody learns from it which names there are in the operator's network."""


class Connection:
    """One connection to a provider, in use by one call or idle in the pool."""

    __slots__ = ("idle_since_s", "origin", "poll", "stream")

    def __init__(self, origin: Origin, stream: SocketStream) -> None:
        self.origin = origin
        self.stream = stream
        self.idle_since_s = 0.0
        self.poll = select.poll()
        self.poll.register(stream.socket, select.POLLIN)

    def quiet(self) -> bool:
        """Whether nothing has arrived on an idle connection: neither its end nor a stray byte."""
        poll = self.poll.poll
        return not poll(0) or (self.stream.only_records() and not poll(0))

    def close(self) -> None:
        """Close the socket at once."""
        self.stream.close()


class Pool:
    """Idle connections by origin, the newest on top; `run` closes those that idled too long."""

    def __init__(
        self,
        dialer: Dialer,
        *,
        tls: Callable[[], ssl.SSLContext],
        limits: Limits,
        connect_timeout_s: float,
        idle_s: float,
        idle_per_origin: int = 512,
        public_dialer: Dialer | None = None,
        outbox: Outbox | None = None,
        proxy_dialer: ProxyDialer | None = None,
    ) -> None:
        self._dial = dialer
        self._dial_public = public_dialer
        self._dial_through = proxy_dialer
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self.limits = limits
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self.idle_per_origin = idle_per_origin
        self.outbox = outbox
        self.now_s = trio.lowlevel.current_clock().current_time
        """trio.current_time, without its way to the clock."""
        self._idle: dict[Origin, list[Connection]] = {}
        self._stopped = False

    def take(self, origin: Origin, now_s: float) -> Connection | None:
        """A connection fit for reuse, if there is one; unfit ones met on the way are closed."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest_s = now_s - self._idle_s
        while idle:
            connection = idle.pop()
            if connection.idle_since_s >= oldest_s and connection.quiet():
                return connection
            connection.close()
        return None

    async def open(self, origin: Origin) -> Connection:
        """A new connection.

        Raises UpstreamFault("provider_unreachable") with phase connect or tls, ApplianceFault("out_of_descriptors").
        """
        try:
            with trio.fail_after(self._connect_timeout_s):
                stream = await self._dialled(origin)
        except trio.TooSlowError:
            raise UpstreamFault(
                "provider_unreachable", "The provider did not accept a connection in time.", status=504, phase="connect"
            ) from None
        except ssl.SSLCertVerificationError as reason:
            raise UpstreamFault(
                "provider_unreachable", f"TLS: {reason.verify_message or 'certificate not accepted'}.", phase="tls"
            ) from None
        except ssl.SSLError:
            raise UpstreamFault("provider_unreachable", "The TLS handshake failed.", phase="tls") from None
        except ProxyRefused as reason:
            told = f"The proxy answered {reason.status}." if reason.status else "The proxy did not answer in HTTP."
            raise UpstreamFault("provider_unreachable", told, phase="connect") from None
        except (OSError, trio.BrokenResourceError, ValueError) as reason:  # ValueError: a name that cannot be one
            if origin.public_only and isinstance(reason, NotPublic | socket.gaierror | ValueError):
                raise UpstreamFault("provider_unreachable", NO_PUBLIC_ADDRESS, phase="connect") from None
            system = _system_error(reason)
            if system is not None and system.errno in (errno.EMFILE, errno.ENFILE):
                raise ApplianceFault("out_of_descriptors") from None
            raise UpstreamFault("provider_unreachable", f"No connection: {_plain(system)}.", phase="connect") from None
        stream.outbox = self.outbox
        return Connection(origin, stream)

    async def _dialled(self, origin: Origin) -> SocketStream:
        place = (origin.host, origin.port, self._context(origin))
        if origin.public_only:  # through a proxy nobody could judge the address
            if self._dial_public is None or origin.proxy is not None:
                raise NotPublic
            return await self._dial_public(*place)
        if origin.proxy is None:
            return await self._dial(*place)
        if self._dial_through is None:
            raise ProxyRefused(0)
        return await self._dial_through(origin.proxy, *place)

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        if self._tls is None:
            self._tls = self._make_tls()
        return self._tls

    async def warm(self, origin: Origin) -> None:
        """Have a connection ready: the next rung's is opened before its launch. Failures show at the launch itself."""
        connection = self.take(origin, trio.current_time())
        if connection is None:
            try:
                connection = await self.open(origin)
            except UpstreamFault:
                return
            connection.idle_since_s = trio.current_time()
        self._keep(connection)  # one that idled already grows no younger by being looked at

    def release(self, connection: Connection, now_s: float) -> None:
        """Give back a connection whose answer is complete and clean; surplus ones are closed."""
        connection.idle_since_s = now_s
        self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        idle = self._idle.setdefault(connection.origin, [])
        if self._stopped or len(idle) >= self.idle_per_origin:
            connection.close()
        else:
            idle.append(connection)

    def idle_count(self) -> int:
        """Connections that wait for work."""
        return sum(map(len, self._idle.values()))

    def busiest(self) -> int:
        """Idle connections of the origin that has most."""
        return max(map(len, self._idle.values()), default=0)

    async def run(self) -> None:
        """Close what idled too long, until cancelled; then close all, and keep none any more."""
        try:
            while True:
                await trio.sleep(self._idle_s / 3)
                oldest = trio.current_time() - self._idle_s
                for origin, idle in list(self._idle.items()):
                    stale = [connection for connection in idle if connection.idle_since_s < oldest]
                    self._idle[origin] = [connection for connection in idle if connection.idle_since_s >= oldest]
                    for connection in stale:
                        connection.close()
                    if not self._idle[origin]:
                        del self._idle[origin]
        finally:
            self._stopped = True
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()


def _system_error(reason: BaseException) -> OSError | None:
    """The system's error in a failed connection, the first one's if there were several; None: it was none of those."""
    nested: BaseException | None = reason
    while nested is not None:
        if isinstance(nested, BaseExceptionGroup):
            nested = nested.exceptions[0]
        elif isinstance(nested, OSError) and (nested.errno or isinstance(nested, socket.gaierror)):
            return nested
        else:
            nested = nested.__cause__
    return None


def _plain(system: OSError | None) -> str:
    """A system error in its own fixed words (never the peer's, nor an address)."""
    if isinstance(system, socket.gaierror):
        return system.strerror or "the name was not found"
    return os.strerror(system.errno) if system is not None and system.errno else "the connection failed"


def _garbled(refusal: ProtocolRefusal, phase: str) -> UpstreamFault:
    return UpstreamFault("provider_garbled", f"The provider broke HTTP/1.1: {refusal.detail}", phase=phase)


class Exchange:
    """One request and its answer on one connection. Every ending that is not clean closes the socket.

    `request` may replace a stale connection once; after the first received byte nothing is ever sent again.
    """

    __slots__ = (
        "_decoder",
        "_ended",
        "_pool",
        "_unsent",
        "again",
        "connection",
        "opening_s",
        "reader",
        "received_bytes",
        "retries",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._decoder: ContentDecoder | None = None
        self._ended = False
        self._unsent = True
        self.again = True
        """Whether a stale connection may be replaced: False once the body was forgotten."""
        self.connection: Connection | None = None
        self.reader: ResponseReader | None = None
        self.opening_s = 0.0
        self.received_bytes = 0
        self.retries = 0

    async def request(
        self, origin: Origin, make_head: Callable[[], bytes], body: Callable[[], bytes], sent: Callable[[], None]
    ) -> ResponseHead:
        """Send head and body, and read the answer's head. Raises UpstreamFault, and what `make_head` raises.

        The head has the credential in it: it is made when it is sent, and nothing here holds it while we wait; nor the
        body, which is asked for in the same way. `sent` is told when all is sent.
        """
        now_s = self._pool.now_s()
        connection = self._pool.take(origin, now_s)
        if connection is not None:
            try:
                return await self._try(connection, make_head, body, sent)
            except UpstreamFault:
                self._drop()
                if self._ended or not self.again or self.received_bytes or trio.current_time() - now_s > RETRY_WITHIN_S:
                    raise
            self.retries = 1
        opening_since_s = trio.current_time()
        connection = await self._pool.open(origin)
        self.opening_s = trio.current_time() - opening_since_s
        return await self._try(connection, make_head, body, sent)

    async def _try(
        self,
        connection: Connection,
        make_head: Callable[[], bytes],
        body: Callable[[], bytes],
        sent: Callable[[], None],
    ) -> ResponseHead:
        if self._ended:  # while the connection was opened
            self._pool.release(connection, trio.current_time())
            raise UpstreamFault("provider_cut_off", "The call was ended.", phase="connect")
        self.connection = connection
        self._unsent = True
        self.reader = reader = ResponseReader(self._pool.limits)
        try:
            await connection.stream.send_message(make_head(), body())
            self._unsent = False
            sent()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # a provider may answer (413, 401) and close while we still send: what it said counts
        phase = "send" if self._unsent else "head"
        try:
            while (head := reader.next_head()) is None:
                if self.connection is None:
                    raise UpstreamFault("provider_cut_off", "The call was ended.", phase=phase)
                data = await connection.stream.receive_some()
                self.received_bytes += len(data)
                if not data:
                    raise UpstreamFault(
                        "provider_cut_off", "The provider closed the connection without an answer.", phase=phase
                    )
                reader.feed(data)
        except ProtocolRefusal as refusal:
            raise _garbled(refusal, phase) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise UpstreamFault("provider_cut_off", "The connection to the provider broke.", phase=phase) from None
        encoding = head.get(b"content-encoding")
        if encoding is not None:
            self._decoder = content_decoder(encoding, self._pool.limits.body_bytes)
        return head

    @property
    def complete(self) -> bool:
        """Whether `body` has given all: it may be asked once more, and then gives b"" at once."""
        return self._decoder is None and self.reader is not None and self.reader.complete

    async def body(self) -> bytes:
        """The next bytes of the answer's body, b"" at its end. Raises UpstreamFault when it ends too soon."""
        decoder = self._decoder
        if decoder is None:
            return await self._coded()
        while not (data := decoder.read()):
            coded = await self._coded()
            if not coded:
                decoder.end()
                return b""
            decoder.feed(coded)
        await trio.lowlevel.checkpoint()  # a few bytes may stand for many: let the others have their turn
        return data

    async def _coded(self) -> bytes:
        reader = self.reader
        if reader is None:
            return b""
        try:
            while True:
                data = reader.body()
                if data:
                    return data
                if reader.complete:
                    return b""
                if self.connection is None:
                    raise UpstreamFault("provider_cut_off", "The call was ended.", phase="body")
                received = await self.connection.stream.receive_some()
                self.received_bytes += len(received)
                if received:
                    reader.feed(received)
                else:
                    reader.eof()
        except ProtocolRefusal as refusal:
            raise _garbled(refusal, "body") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise UpstreamFault("provider_cut_off", "The connection to the provider broke.", phase="body") from None
        except TruncatedBody:
            raise UpstreamFault("provider_cut_off", "The answer ended before it was complete.", phase="body") from None

    def finish(self, now_s: float | None = None) -> None:
        """Give the connection back if request and answer went over it whole and clean, else close it."""
        connection, reader = self.connection, self.reader
        if connection is None:
            return
        self.connection = None
        if reader is not None and reader.reusable and not self._unsent:
            self._pool.release(connection, trio.current_time() if now_s is None else now_s)
        else:
            connection.close()

    def close(self) -> None:
        """Close the socket at once: the provider sees that nobody waits any more, and nothing is sent from now on."""
        self._ended = True
        self._drop()

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
