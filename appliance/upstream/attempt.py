"""One attempt at one provider: send the request, wait for the start of the answer, then relay it piece by piece.

The rule: an attempt ends with its connection given back clean or its socket closed, on every way out. What it does
not do is decide: it reports what happened (`started`, `fault`) and when, and the race draws the conclusions. It keeps
no secret: the credential is in the bytes of the head, made when it begins and dropped when they are sent.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import trio

from appliance.domain.catalog import Rung
from appliance.domain.errors import Fault, UpstreamFault
from appliance.http1.response import ResponseHead
from appliance.net.stream import RECEIVE_BYTES
from appliance.upstream.headers import Header, to_client
from appliance.upstream.target import Target, request_head
from appliance.upstream.transport import Exchange, Pool
from appliance.wire.dialect import Dialect, StreamReader
from appliance.wire.provider_errors import read_error, word

ERROR_BODY_BYTES = 1024 * 1024
ERROR_BODY_S = 2.0
"""Time for the body of an error, whose status is known already: the next rung may be waiting for the verdict."""

DRAIN_S = 0.05
MOST_BYTES = 64 * 1024 * 1024
"""Default bound of what is held of one answer: a whole one, or what came of a stream before it started."""

End = Literal["running", "complete", "failed", "cancelled"]


class Attempt:
    """One rung being tried. `begin` returns when the answer has started, is whole, or has failed.

    After `begin`: `fault` is set and the socket closed, or `started_s` is set and either `whole` (an unstreamed
    answer) or `first` (the events so far) is there, `more()` giving the rest of a stream. Times are monotonic. `hold`
    is told the size of each part of an answer that is held beyond its first receive.
    """

    __slots__ = (
        "_exchange",
        "_hold",
        "_most_bytes",
        "_now_s",
        "_now_unix_s",
        "_secret",
        "body",
        "body_bytes",
        "content_s",
        "dialect",
        "end",
        "end_s",
        "fault",
        "first",
        "head",
        "headers",
        "ordinal",
        "reader",
        "rung",
        "sent_s",
        "start_s",
        "started_s",
        "stream",
        "target",
        "tier_told",
        "touched_s",
        "whole",
    )

    def __init__(
        self,
        pool: Pool,
        target: Target,
        rung: Rung,
        ordinal: int,
        *,
        dialect: Dialect,
        headers: Sequence[Header],
        body: bytes,
        reader: StreamReader | None,
        now_unix_s: Callable[[], float],
        most_bytes: int = MOST_BYTES,
        hold: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._exchange = Exchange(pool)
        self._most_bytes = most_bytes
        self._hold = hold
        self._secret: Callable[[], str] | None = None
        self._now_unix_s = now_unix_s
        self.target = target
        self.rung = rung
        self.ordinal = ordinal
        self.dialect = dialect
        self.headers = headers
        self.body = body
        self.body_bytes = len(body)
        self.reader = reader
        self.stream = reader is not None
        self._now_s = pool.now_s
        self.start_s = self._now_s()
        self.touched_s = self.start_s
        self.sent_s: float | None = None
        self.started_s: float | None = None
        self.content_s: float | None = None
        self.end_s: float | None = None
        self.end: End = "running"
        self.head: ResponseHead | None = None
        self.fault: Fault | None = None
        self.tier_told: str | None = None
        self.first = b""
        self.whole: bytes | None = None

    # -- until the start -----------------------------------------------------------------------------------------------

    async def begin(self, secret: Callable[[], str]) -> None:
        """Send the request and wait for the start. Failures become `fault`; only Cancelled and bugs are raised."""
        if self.end != "running":
            return  # cancelled before its task had run: nothing is sent
        self._secret = secret
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self.head = answer = await self._exchange.request(
                self.target.origin, self._make_head, self._make_body, self._sent
            )
            self.body = b""  # sent for good; a stream may last, and prompts are long
            if self.dialect.TIER_HEADER is not None:
                self.tier_told = word((answer.get(self.dialect.TIER_HEADER) or b"").decode("latin-1"))
            if not 200 <= answer.status < 300:
                await self._error(answer)
            elif self.stream:
                await self._until_started(answer)
            else:
                await self._whole(answer)
        except Fault as fault:
            self._fail(fault)
        except BaseException:
            self.close()
            raise
        finally:
            self._secret = None

    def _make_head(self) -> bytes:
        """The head with the credential: made when it is sent, and kept by nobody."""
        secret = self._secret
        return request_head(
            self.target,
            secret() if secret is not None else "",
            self.headers,
            stream=self.stream,
            length=self.body_bytes or (None if self.target.bodyless else 0),
            ordinal=self.ordinal,
        )

    def _make_body(self) -> bytes:
        """The body, which is held here alone, so that it can be forgotten."""
        return self.body

    def _sent(self) -> None:
        self.sent_s = self._now_s()

    async def _error(self, answer: ResponseHead) -> None:
        parts: list[bytes] = []
        size_bytes = 0
        with trio.move_on_after(ERROR_BODY_S):
            try:
                while size_bytes < ERROR_BODY_BYTES and (data := await self._exchange.body()):
                    parts.append(data)
                    size_bytes += len(data)
            except UpstreamFault:
                parts.clear()  # the status says enough; half an error body would only confuse
        fault = read_error(
            answer.status,
            answer.get,
            b"".join(parts),
            dialect=self.dialect.NAME,
            provider=self.target.provider.name,
            tier_asked=self.rung.tier,
            now_unix_s=self._now_unix_s(),
            refusal=self.target.refusal,
        )
        fault.headers = tuple(to_client(answer.headers))
        raise fault

    async def _until_started(self, answer: ResponseHead) -> None:
        reader = self.reader
        kind = answer.get(b"content-type") or b""
        if reader is None or not kind.lower().startswith(b"text/event-stream"):
            raise UpstreamFault("provider_garbled", "The provider did not answer with an event stream.", phase="head")
        parts: list[bytes] = []
        size_bytes = 0
        while not reader.started and not reader.terminal:
            data = await self._exchange.body()
            self.touched_s = self._now_s()
            if data:
                parts.append(reader.feed(data))
                if reader.fault is not None:
                    raise reader.fault
                size_bytes += len(data)
                if size_bytes > self._most_bytes and not reader.started:
                    raise UpstreamFault("provider_garbled", "The stream is long and has not started.", phase="stream")
            else:
                _check_end(reader)
                break
        self._started(reader)
        self.first = b"".join(parts)

    async def _whole(self, answer: ResponseHead) -> None:
        kind = answer.get(b"content-type") or b"application/json"
        if not kind.lower().startswith(b"application/json"):
            raise UpstreamFault("provider_garbled", "The provider did not answer with JSON.", phase="head")
        exchange = self._exchange
        parts: list[bytes] = []
        size_bytes = 0
        while data := await exchange.body():
            self.touched_s = self._now_s()
            parts.append(data)
            size_bytes += len(data)
            if size_bytes > self._most_bytes:
                raise UpstreamFault("provider_garbled", "The answer is larger than max_answer_bytes.", phase="body")
            if size_bytes > RECEIVE_BYTES:
                self._hold(len(data))
            if exchange.complete:
                break
        else:  # its end came apart from its last bytes
            self.touched_s = self._now_s()
        self.whole = b"".join(parts) if len(parts) != 1 else parts[0]
        self.started_s = self.content_s = self.end_s = self.touched_s
        self.end = "complete"
        exchange.finish(self.touched_s)

    def _started(self, reader: StreamReader) -> None:
        if self.started_s is None:
            self.started_s = self.touched_s
        if self.content_s is None and reader.content_started:
            self.content_s = self.touched_s

    # -- after the start -----------------------------------------------------------------------------------------------

    async def more(self) -> bytes:
        """The next whole events; b"" at the end: `reader.terminal` was seen, or `fault` says how the stream broke."""
        reader = self.reader
        if reader is None:
            return b""
        try:
            while True:
                if reader.fault is not None:
                    raise reader.fault
                if reader.terminal:
                    break
                data = await self._exchange.body()
                self.touched_s = self._now_s()
                if not data:
                    _check_end(reader)
                    break
                events = reader.feed(data)
                if self.content_s is None and reader.content_started:
                    self.content_s = self.touched_s
                if events:
                    return events
        except Fault as fault:
            self._fail(fault)
            return b""
        except BaseException:
            self.close()
            raise
        self.end = "complete"
        self.end_s = self._now_s()
        return b""

    async def drain(self) -> None:
        """After the terminal event only the end of the body may come; a provider that dawdles loses the connection.

        Call it when the client has its answer: this is only about using the connection again.
        """
        if self.end != "complete" or self._exchange.connection is None:
            return
        try:
            with trio.move_on_after(DRAIN_S):
                while await self._exchange.body():
                    pass
        except UpstreamFault:
            self._exchange.close()
        finally:
            self._exchange.finish()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _fail(self, fault: Fault) -> None:
        # A fault that is kept must not keep what its traceback holds: the bytes that were sent, the secret with them.
        fault.__traceback__ = fault.__cause__ = fault.__context__ = None
        if self.end == "cancelled":
            return  # closing the socket made it fail
        if not fault.provider:
            fault.provider = self.target.provider.name
        self.fault = fault
        self.body = b""  # another rung may answer for minutes
        self.end = "failed"
        self.end_s = self._now_s()
        self._exchange.finish()

    def refuse(self, fault: Fault) -> None:
        """Let it fail before it began: nothing is sent. `begin` then returns at once."""
        if self.end == "running":
            self._fail(fault)

    def outlive(self) -> None:
        """Hold nothing of the request any more, which ends before: what was sent is not sent again, nor kept."""
        self.body = b""
        self._exchange.again = False
        self._hold = _of_nobody

    def close(self) -> None:
        """Leave nothing open: a running attempt is cancelled and its socket closed, an ended one's given back if clean.

        May be called at any time and more than once.
        """
        if self.end == "running":
            self.body = b""
            self.end = "cancelled"
            self.end_s = self._now_s()
            self._exchange.close()
        else:
            self._exchange.finish()

    @property
    def retries(self) -> int:
        """Connections that were stale and replaced."""
        return self._exchange.retries

    @property
    def opening_s(self) -> float:
        """Time that it took to open a connection; 0 for one that was open."""
        return self._exchange.opening_s

    @property
    def received_bytes(self) -> int:
        """Bytes that came from the provider."""
        return self._exchange.received_bytes


def _of_nobody(size_bytes: int) -> None:
    """What is held of an answer that nobody waits for: a stream is not held."""


def _check_end(reader: StreamReader) -> None:
    """The body has ended: in good order, where the dialect ends so. Raises UpstreamFault."""
    fault = reader.eof()
    if fault is not None or not reader.terminal:
        raise fault or UpstreamFault("provider_cut_off", phase="stream")
