"""One request as a lane hands it over, and the reply it wants. The rule: both lanes speak through these two alone.

`Call.leave` is how anything outside ends a request: the reader of the connection when the client has gone, the
directory when the key was revoked, the listener at a stop.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from appliance.domain.identity import ApiKey
from appliance.domain.record import CancelCause
from appliance.request.endpoint import Endpoint

Header = tuple[bytes, bytes]


class Reply(Protocol):
    """How an answer goes back, whichever lane. Raises trio.BrokenResourceError when the client is gone."""

    started: bool
    """Whether a status line was handed to the connection; one that is found broken right then has taken nothing."""
    sent_bytes: int
    """Body bytes handed to the connection so far, whether or not it has sent them."""

    ended: bool
    """Whether the whole answer was handed to the connection."""
    busy: bool
    """Whether bytes wait for the client to take them."""
    commented_s: float
    """Monotonic time of the last keep-alive comment, 0 if there was none."""

    async def whole(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """The whole answer at once; framing, date and connection headers are the lane's."""
        ...

    async def start(self, headers: Sequence[Header], first: bytes = b"") -> None:
        """Begin a 200 answer of unknown length, with its first bytes if there are any."""
        ...

    async def send(self, data: bytes) -> None:
        """More of the answer that was begun."""
        ...

    async def end(self, last: bytes = b"") -> None:
        """The end of the answer that was begun, with its last bytes if there are any."""
        ...

    def keep_alive(self, headers: Sequence[Header], comment: bytes, now_s: float) -> None:
        """Send a comment if that needs no waiting; begins the answer (200 with `headers`) if nothing was sent yet."""
        ...


class Call:
    """One request: head, whole body, who asks, and where the reply goes. `argument` is the `{id}` of its path.

    `held_bytes` is what it has of `request/bodies.py`, to be given back. `arrived_s` is the monotonic time of the last
    byte of the body, the start of every clock of this request. `scope` is the lane's, around `Gateway.answer`: it may
    serve one call after the other, until one of them was left.
    """

    __slots__ = (
        "argument",
        "arrived_s",
        "at_unix_us",
        "body",
        "cause",
        "endpoint",
        "get",
        "headers",
        "held_bytes",
        "key",
        "method",
        "path",
        "peer",
        "query",
        "received_bytes",
        "reply",
        "request_id",
        "scope",
    )

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        argument: str,
        method: bytes,
        path: bytes,
        query: bytes,
        headers: Sequence[Header],
        get: Callable[[bytes], bytes | None],
        body: bytes,
        key: ApiKey,
        peer: str | None,
        reply: Reply,
        scope: trio.CancelScope,
        request_id: str,
        arrived_s: float,
        at_unix_us: int,
        held_bytes: int = 0,
    ) -> None:
        self.endpoint = endpoint
        self.argument = argument
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.get = get
        self.body = body
        self.received_bytes = len(body)
        self.held_bytes = held_bytes
        self.key = key
        self.peer = peer
        self.reply = reply
        self.request_id = request_id
        self.arrived_s = arrived_s
        self.at_unix_us = at_unix_us
        self.scope = scope
        self.cause: CancelCause | None = None

    def leave(self, cause: CancelCause) -> None:
        """End this request from outside, at once; the first cause counts."""
        if self.cause is None:
            self.cause = cause
            self.scope.cancel()
