"""A client's connection in the shape that Hypercorn expects. The rule: sends are bounded, and the last answer is seen.

Unread bytes of the fast lane come first. After the last answer the client gets a while to end the connection, since a
reset over unread bytes would overtake what it was told.
"""

import trio

from appliance.net.stream import SocketStream

LINGER_S = 2.0
LINGER_BYTES = 1024 * 1024


class LaneStream:
    """Our stream in the shape that Hypercorn expects, unread bytes of the fast lane in front."""

    def __init__(self, stream: SocketStream, replay: bytes, send_timeout_s: float) -> None:
        self._stream = stream
        self._replay = replay
        self._end_s = float("inf")
        self._receiving: trio.CancelScope | None = None
        self._lingered_bytes = 0
        stream.write_timeout_s = send_timeout_s
        self.socket = stream.socket
        self.finished = False
        """Whether the last answer was sent: what still comes is dropped."""

    @property
    def closed(self) -> bool:
        """Whether the connection is closed, by whomever."""
        return self._stream.closed

    async def receive_some(self, max_bytes: int) -> bytes:
        """The replayed bytes first, then what the client sends; b"" at its end, or when it had its time to end."""
        if self._replay and not self.finished:
            data, self._replay = self._replay[:max_bytes], self._replay[max_bytes:]
            return data
        with trio.CancelScope(deadline=self._end_s) as self._receiving:
            while data := await self._stream.receive_some(max_bytes):
                if not self.finished:
                    return data
                self._lingered_bytes += len(data)
                if self._lingered_bytes > LINGER_BYTES:
                    break
        return b""

    async def send_all(self, data: bytes) -> None:
        """Send, bounded; raises BrokenResourceError at once ever after a send has failed."""
        if self._stream.closed or self.finished:
            raise trio.BrokenResourceError
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self._stream.close()
            raise

    def finish(self) -> None:
        """The last answer is sent: read on for a while, since a reset over unread bytes would overtake it."""
        if not self.finished and not self._stream.closed:
            self.finished = True
            self._stream.end_sending()
            self._end_s = trio.current_time() + LINGER_S
            if self._receiving is not None:
                self._receiving.deadline = self._end_s

    def close(self) -> None:
        """Close at once."""
        self._stream.close()
