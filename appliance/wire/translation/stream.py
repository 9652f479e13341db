"""A provider's stream said in the caller's dialect. The rule: what is watched is the provider's, what goes out is not.

The provider's own reader decides what starts the answer, what broke it, what it used and when it is whole, exactly as
where bytes pass untouched; behind it each event is translated, and nothing is held but what one event needs.
"""

from appliance.domain.errors import Fault, UpstreamFault
from appliance.domain.stream import Event, Failed, Ping
from appliance.domain.tokens import Tokens
from appliance.wire.dialect import StreamReader
from appliance.wire.translation.codec import AnswerReader, AnswerWriter
from appliance.wire.translation.utf8 import as_utf8

_PING = Ping()


class TranslatedStream:
    """A `dialect.StreamReader` whose `feed` and `terminal_event` are in the writer's dialect."""

    __slots__ = (
        "_inner",
        "_reader",
        "_writer",
        "content_started",
        "early",
        "events",
        "fault",
        "fault_event",
        "response_id",
        "sequence_number",
        "started",
        "terminal",
        "terminal_event",
        "tier",
        "usage",
    )

    def __init__(self, inner: StreamReader, reader: AnswerReader, writer: AnswerWriter) -> None:
        self._inner = inner
        self._reader = reader
        self._writer = writer
        self.started = self.content_started = self.terminal = False
        self.terminal_event: bytes | None = None
        self.fault: UpstreamFault | None = None
        self.fault_event: bytes | None = None
        self.tier: str | None = None
        self.response_id: str | None = None
        self.usage: Tokens | None = None
        self.early: Tokens | None = None
        self.events = 0
        self.sequence_number = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come out: the terminal event or a fault was seen."""
        return self.terminal or self.fault is not None

    @property
    def output_bytes_estimate(self) -> int:
        """About how many bytes of output came from the provider, framing deducted."""
        return self._inner.output_bytes_estimate

    def feed(self, data: bytes) -> bytes:
        """What is said of the events that `data` completed, in the caller's dialect."""
        if self.terminal or self.fault is not None:
            return b""
        inner = self._inner
        raw = inner.feed(data)
        said = self._say(self._reader.feed(as_utf8(raw))) if raw else b""
        if not said and raw.startswith(b":") and inner.started:
            said = self._writer.write(_PING)  # the provider keeps its stream open, so we keep ours
        self._note()
        return said

    def eof(self) -> UpstreamFault | None:
        """The stream has ended: the fault of its end, or None if it was whole."""
        if not self.ended:
            self._inner.eof()
            self._note()
        return self.fault

    def tokens(self, estimated_input: int) -> Tokens:
        """The usage told, else an estimate from what was seen."""
        return self._inner.tokens(estimated_input)

    def failure(self, fault: Fault) -> bytes:
        """The events that end this stream as failed, in the caller's dialect."""
        return self._writer.write(Failed(fault))

    def _say(self, events: list[Event]) -> bytes:
        if len(events) == 1 and type(events[0]) is not Failed:  # the usual case: a delta
            return self._writer.write(events[0])
        said: list[bytes] = []
        for event in events:
            if isinstance(event, Failed):
                self.fault = self.fault or _upstream(event.fault)
                break
            said.append(self._writer.write(event))
        return b"".join(said)

    def _note(self) -> None:
        inner = self._inner
        self.started, self.content_started = inner.started, inner.content_started
        self.events, self.tier, self.usage = inner.events, inner.tier, inner.usage
        self.response_id, self.early = inner.response_id, inner.early
        if inner.terminal:
            last = [*self._reader.feed(as_utf8(inner.terminal_event or b"")), *self._reader.eof()]
            said = self._say(last)
            if self.fault is None:
                self.terminal_event, self.terminal = said, True
        elif inner.fault is not None and self.fault is None:
            self.fault, self.fault_event = inner.fault, inner.fault_event


def _upstream(fault: Fault) -> UpstreamFault:
    if isinstance(fault, UpstreamFault):
        return fault
    raise fault
