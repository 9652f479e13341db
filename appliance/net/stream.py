"""One stream class over a non-blocking socket, plain or TLS. The rule: as few scheduler passes as correctness allows.

trio's own SocketStream takes a checkpoint on every operation, also when it did not have to wait; here an operation
that need not wait does not, but a peer that never lets us wait yields to other tasks every few reads. TLS is
OpenSSL's own non-blocking socket, not a memory BIO: the bytes are copied once less. `close` is synchronous and
forceful, so that a loser's socket is closed the moment its scope is left.
"""

import socket
import ssl
from typing import NoReturn

import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

RECEIVE_BYTES = 65_536
READS_WITHOUT_WAIT = 8
TLS_RECORD_BYTES = 16_384
TLS_RETRY_S = 0.01


class SocketStream:
    """Bytes in and out of one connected socket. One task may receive and one may send at the same time.

    Raises trio.BrokenResourceError when the peer or the network ended the connection in disorder, and
    trio.ClosedResourceError when we closed it ourselves. `receive_some` gives b"" at the peer's orderly end.
    """

    __slots__ = ("_fd", "_full", "_socket", "_streak", "_tls", "_wants_read", "closed", "write_timeout_s")

    def __init__(self, connected: socket.socket, write_timeout_s: float = 60.0) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._fd = connected.fileno()
        self._tls: ssl.SSLSocket | None = connected if isinstance(connected, ssl.SSLSocket) else None
        self._full = False
        self._streak = 0
        self._wants_read = False
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

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None, *, server_side: bool) -> None:
        """Do the TLS handshake. Raises ssl.SSLError (certificate errors included) or trio.BrokenResourceError."""
        tls = context.wrap_socket(
            self._socket, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
        )
        self._socket = self._tls = tls
        while True:
            try:
                tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                await wait_readable(self._fd)
            except ssl.SSLWantWriteError:
                await wait_writable(self._fd)
            except ssl.SSLError:
                raise
            except OSError as reason:
                raise trio.BrokenResourceError from reason

    async def receive_some(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        """The next bytes, at most `max_bytes`; b"" when the peer has ended its side."""
        if self._full or (self._tls is not None and self._tls.pending()):
            self._streak += 1
            if self._streak >= READS_WITHOUT_WAIT:
                self._streak = 0
                await checkpoint()
        else:
            self._streak = 0
            await self._readable()
        while True:
            try:
                data = self._socket.recv(max_bytes)
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._readable()
            except ssl.SSLWantWriteError:
                await wait_writable(self._fd)
            except ssl.SSLEOFError:
                return b""
            except (OSError, ValueError) as reason:
                self._raise(reason)
            else:
                self._full = len(data) >= (max_bytes if self._tls is None else min(max_bytes, TLS_RECORD_BYTES))
                return data

    async def _readable(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError
        await wait_readable(self._fd)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. A peer that takes nothing for `write_timeout_s` breaks the connection."""
        sent = self._send(data)
        if sent == len(data):
            return
        with memoryview(data) as view, trio.move_on_after(self.write_timeout_s) as patience:
            while sent < len(view):
                if self._wants_read:  # TLS waits for the peer's word; another task may be the one that reads it
                    await trio.sleep(TLS_RETRY_S)
                else:
                    await wait_writable(self._fd)
                if taken := self._send(view[sent:]):
                    sent += taken
                    patience.deadline = trio.current_time() + self.write_timeout_s
        if sent < len(data):
            self.close()
            raise trio.BrokenResourceError("the peer takes no bytes")

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._wants_read = False
            return 0
        except ssl.SSLWantReadError:
            self._wants_read = True
            return 0
        except (OSError, ValueError) as reason:
            self._raise(reason)

    def _raise(self, reason: Exception) -> NoReturn:
        if self.closed:
            raise trio.ClosedResourceError from None
        raise trio.BrokenResourceError(type(reason).__name__) from reason

    def send_now(self, data: bytes) -> int:
        """Send what goes without waiting; the number of bytes taken, 0 when the connection is broken or full."""
        try:
            return self._send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return 0

    def only_records(self) -> bool:
        """Whether what made an idle TLS connection readable was not for us: session tickets, which TLS 1.3 sends late.

        Call it when the socket is readable and nothing may come: False means the peer's end, or bytes, which are lost.
        """
        if self._tls is None or self.closed:
            return False
        try:
            self._tls.recv(1)
        except ssl.SSLWantReadError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def end_sending(self) -> None:
        """Tell the peer that nothing more comes, and go on reading (for a lingering close)."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def close(self) -> None:
        """Close at once, without a farewell; wakes whoever waits on it with trio.ClosedResourceError."""
        if not self.closed:
            self.closed = True
            notify_closing(self._fd)
            self._socket.close()
