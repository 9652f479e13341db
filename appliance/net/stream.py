"""One stream class over a non-blocking socket, plain or TLS. The rule: as few scheduler passes as correctness allows.

trio's own SocketStream takes a checkpoint on every operation, also when it did not have to wait; here an operation
that need not wait does not, but a peer that never lets us wait yields to other tasks every few reads. TLS goes through
memory: OpenSSL on a socket sends each record of 16 KB on its own, seven system calls for a long prompt where one does.
`close` is synchronous and forceful, so that a loser's socket is closed the moment its scope is left.
"""

import socket
import ssl
from typing import NoReturn

import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

from appliance.net.outbox import SOON_BYTES, Outbox

RECEIVE_BYTES = 65_536
READS_WITHOUT_WAIT = 8
APART_BYTES = 16_384
"""A message's body from this size on is not copied to stand behind its head: handing over two parts costs less."""

ENCRYPT_BYTES = 262_144
"""How much is encrypted at a time: what a slow peer makes us hold, beside the bytes themselves."""


class SocketStream:
    """Bytes in and out of one connected socket. One task may receive and one may send at the same time.

    Raises trio.BrokenResourceError when the peer or the network ended the connection in disorder, and
    trio.ClosedResourceError when we closed it ourselves. `receive_some` gives b"" at the peer's orderly end.
    """

    __slots__ = (
        "_fd",
        "_full",
        "_incoming",
        "_kept",
        "_outgoing",
        "_socket",
        "_streak",
        "_tls",
        "closed",
        "outbox",
        "write_timeout_s",
    )

    def __init__(self, connected: socket.socket, write_timeout_s: float = 60.0) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._fd = connected.fileno()
        self._tls: ssl.SSLObject | None = None
        self._incoming: ssl.MemoryBIO | None = None
        self._outgoing: ssl.MemoryBIO | None = None
        self._full = False
        self._streak = 0
        self._kept = b""  # taken by `send_soon`, and still to be sent before anything else
        self.outbox: Outbox | None = None
        self.closed = False
        self.write_timeout_s = write_timeout_s

    @property
    def socket(self) -> socket.socket:
        """The socket itself: for options, addresses and polling, never to read or write."""
        return self._socket

    @property
    def tls(self) -> bool:
        """Whether the bytes are encrypted on the way."""
        return self._tls is not None

    # -- receiving -----------------------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        """The next bytes, at most `max_bytes`; b"" when the peer has ended its side."""
        tls = self._tls
        if tls is not None:
            return await self._decrypted(tls, max_bytes)
        if self._full:
            self._streak += 1
            if self._streak >= READS_WITHOUT_WAIT:
                self._streak = 0
                await checkpoint()
        else:
            self._streak = 0
            if self.closed:
                raise trio.ClosedResourceError
            await wait_readable(self._fd)
        while True:
            try:
                data = self._socket.recv(max_bytes)
            except BlockingIOError:
                await wait_readable(self._fd)
            except (OSError, ValueError) as reason:
                self._raise(reason)
            else:
                self._full = len(data) >= max_bytes
                return data

    # -- sending -------------------------------------------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. A peer that takes nothing for `write_timeout_s` breaks the connection."""
        tls = self._tls
        if tls is not None:
            if len(data) > ENCRYPT_BYTES:
                with memoryview(data) as view:
                    for at in range(0, len(view), ENCRYPT_BYTES):
                        await self.send_all(view[at : at + ENCRYPT_BYTES])
                return
            data = self._encrypt(tls, data).read()
        sent = self._send(data)
        if sent != len(data):
            await self._send_rest(data, sent)

    async def send_message(self, head: bytes, body: bytes) -> None:
        """Send a head and its body as `send_all` does, in one system call if the body is not very long."""
        if len(body) < APART_BYTES:
            data = head + body
            sent = self.send_soon(data)
            if sent != len(data):
                await self.send_all(data[sent:] if sent else data)
        elif len(body) > ENCRYPT_BYTES:
            await self.send_all(head)
            await self.send_all(body)
        elif self._tls is not None:
            self._encrypt(self._tls, head)
            await self.send_all(body)  # what was encrypted before goes with it
        else:
            sent = self._send_parts(head, body)
            if sent < len(head):
                await self.send_all(head[sent:])
                sent = len(head)
            if sent < len(head) + len(body):
                await self._send_rest(body, sent - len(head))

    async def _send_rest(self, data: bytes | bytearray | memoryview, sent: int) -> None:
        with memoryview(data) as view, trio.move_on_after(self.write_timeout_s) as patience:
            while sent < len(view):
                await wait_writable(self._fd)
                if taken := self._send(view[sent:]):
                    sent += taken
                    patience.deadline = trio.current_time() + self.write_timeout_s
        if sent < len(data):
            self.close()
            raise trio.BrokenResourceError("the peer takes no bytes")

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        if self._kept and not self.send_kept():
            return 0
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except (OSError, ValueError) as reason:
            self._raise(reason)

    def _send_parts(self, *parts: bytes) -> int:
        if self._kept and not self.send_kept():
            return 0
        try:
            return self._socket.sendmsg(parts)
        except BlockingIOError:
            return 0
        except (OSError, ValueError) as reason:
            self._raise(reason)

    def _raise(self, reason: Exception) -> NoReturn:
        if self.closed:
            raise trio.ClosedResourceError from None
        raise trio.BrokenResourceError(type(reason).__name__) from reason

    def send_now(self, data: bytes) -> int:
        """Send what goes without waiting; the number of bytes taken, 0 when the connection is broken or full.

        Only for plain connections: what was encrypted must be sent, in order.
        """
        if self._tls is not None:
            return 0
        try:
            return self._send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return 0

    def send_soon(self, data: bytes) -> int:
        """As `send_now`, but a short message may wait for the end of this pass of the event loop (see `net/outbox.py`).

        It then counts as taken: that its peer is gone shows at the next operation, as it does when the system has
        taken the bytes. What is sent by other means goes out behind it.
        """
        outbox = self.outbox
        if outbox is None or self.closed or self._tls is not None or len(self._kept) + len(data) > SOON_BYTES:
            return self.send_now(data)
        if self._kept:
            self._kept += data
        elif outbox.keeps():
            self._kept = data
            outbox.remind(self)
        else:
            return self.send_now(data)
        return len(data)

    def send_kept(self) -> bool:
        """Send what `send_soon` has kept; False if the socket did not take all. A broken connection has nothing kept.

        Raises nothing: the next operation finds the connection broken, or closed.
        """
        kept = self._kept
        if kept and not self.closed:
            try:
                kept = kept[self._socket.send(kept) :]
            except BlockingIOError:
                pass
            except ConnectionError:
                kept = b""
            except (OSError, ValueError):
                kept = self._kept = b""
                self.close()
            self._kept = kept
        return not kept or self.closed

    # -- TLS -----------------------------------------------------------------------------------------------------------

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None, *, server_side: bool) -> None:
        """Do the TLS handshake. Raises ssl.SSLError (certificate errors included) or trio.BrokenResourceError."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=server_hostname)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                if outgoing.pending:
                    await self.send_all(outgoing.read())
                received = await self.receive_some()
                if not received:
                    raise trio.BrokenResourceError("the peer left in the handshake") from None
                incoming.write(received)
            except ssl.SSLError:
                if outgoing.pending:  # the alert that tells the peer why
                    self._send(outgoing.read())
                raise
            else:
                break
        if outgoing.pending:
            await self.send_all(outgoing.read())
        self._incoming, self._outgoing, self._tls = incoming, outgoing, tls

    def _encrypt(self, tls: ssl.SSLObject, data: bytes | bytearray | memoryview) -> ssl.MemoryBIO:
        outgoing = self._outgoing
        if self.closed or outgoing is None:
            raise trio.ClosedResourceError
        try:
            if data:
                tls.write(data)  # into memory: it takes all
        except (ssl.SSLError, ValueError) as reason:
            self._raise(reason)
        return outgoing

    async def _decrypted(self, tls: ssl.SSLObject, max_bytes: int) -> bytes:
        incoming = self._incoming
        if incoming is None:
            raise trio.ClosedResourceError
        while True:
            if tls.pending() or incoming.pending:
                try:
                    data = tls.read(max_bytes)
                except ssl.SSLWantReadError:
                    pass  # a part of a record, or one that carried no bytes for us
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
                except (ssl.SSLError, ValueError) as reason:
                    self._raise(reason)
                else:
                    self._streak += 1
                    if self._streak >= READS_WITHOUT_WAIT:
                        self._streak = 0
                        await checkpoint()
                    return data
            if self.closed:
                raise trio.ClosedResourceError
            await wait_readable(self._fd)
            self._streak = 0
            if not self._take_in(incoming):
                return b""

    def _take_in(self, incoming: ssl.MemoryBIO) -> bool:
        """Read what the socket has; False at its end. Without waiting."""
        try:
            received = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except (OSError, ValueError) as reason:
            self._raise(reason)
        incoming.write(received)
        return bool(received)

    def only_records(self) -> bool:
        """Whether what made an idle TLS connection readable was not for us: session tickets, which TLS 1.3 sends late.

        Call it when the socket is readable and nothing may come: False means the peer's end, or bytes, which are lost.
        """
        if self._tls is None or self._incoming is None or self.closed:
            return False
        try:
            if self._take_in(self._incoming):
                self._tls.read(1)
        except ssl.SSLWantReadError:
            return True
        except (ssl.SSLError, OSError, ValueError, trio.BrokenResourceError):
            return False
        return False

    # -- the end -------------------------------------------------------------------------------------------------------

    def end_sending(self) -> None:
        """Tell the peer that nothing more comes, and go on reading (for a lingering close)."""
        self.send_kept()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def close(self) -> None:
        """Close at once, without a farewell; wakes whoever waits on it with trio.ClosedResourceError.

        What `send_soon` has kept counts as sent: it still goes out, as far as the socket takes it.
        """
        if not self.closed:
            self.send_kept()
            self.closed = True
            notify_closing(self._fd)
            self._socket.close()
