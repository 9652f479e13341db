"""What the readers of all dialects' streams have in common. The rule: watch, count, and change no byte.

Each event is decoded with msgspec into the few fields that matter; the rest of it is skipped. That costs less than
searching the bytes for marks (0.3 µs against 0.27 µs for each mark), and content can never be mistaken for structure.
"""

import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeVar

import msgspec

from appliance.domain.errors import UpstreamFault
from appliance.domain.tokens import Tokens
from appliance.wire.dialect import Framing, StartedAt
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.sse import MAX_EVENT_BYTES, SseSplitter

T = TypeVar("T")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON asked for."""

_ENCODER = msgspec.json.Encoder()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_EMPTY = frozenset({b"", b"null", b'""', b"[]", b"{}", b"false"})


class OpenAIStream(ABC):
    """The part of a `StreamReader` that all dialects share; a subclass says in `_look` what an event means."""

    FAMILY: ClassVar[str] = "openai"
    """Whose shape of errors it is."""

    __slots__ = (
        "_bytes",
        "_done",
        "_drop_usage",
        "_envelope_bytes",
        "_provider",
        "_splitter",
        "_tier_asked",
        "_wants_content",
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

    def __init__(
        self,
        *,
        started_at: StartedAt = "output",
        drop_usage: bool = False,
        provider: str = "",
        tier_asked: str | None = None,
        framing: Framing = "sse",
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self._splitter = SseSplitter(max_event_bytes)
        self._wants_content = started_at == "content"
        self._drop_usage = drop_usage
        self._provider = provider
        self._tier_asked = tier_asked
        self._done = False
        self._bytes = 0  # of the events counted
        self._envelope_bytes = 0  # of the first of them, without its content
        self.started = False
        self.content_started = False
        self.terminal = False
        self.terminal_event: bytes | None = None
        self.fault: UpstreamFault | None = None
        self.fault_event: bytes | None = None
        self.tier: str | None = None
        self.response_id: str | None = None
        self.usage: Tokens | None = None
        self.early: Tokens | None = None
        self.events = 0
        self.sequence_number = 0

    def feed(self, data: bytes) -> bytes:
        """The whole events that `data` completed, to be forwarded in order; empty when there are none."""
        if self._done:
            return b""
        try:
            events = self._splitter.feed(data)
        except ValueError:
            self._fail(UpstreamFault("provider_garbled", provider=self._provider, phase="stream"), None)
            return b""
        if len(events) == 1:
            return events[0] if self._look(events[0]) else b""
        kept = []
        for event in events:
            if self._look(event):
                kept.append(event)
            elif self.ended:
                break
        return b"".join(kept)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come out: the terminal event or a fault was seen."""
        return self._done

    def eof(self) -> UpstreamFault | None:
        """The stream has ended: the fault of its end (provider_cut_off without a terminal event), or None."""
        if not self._done:
            rest = self._splitter.rest
            if rest and self._closes(rest):  # some servers end with the line, without the blank one
                self._look(rest.rstrip(b"\r\n") + b"\n\n")
        if not self._done:
            self._fail(UpstreamFault("provider_cut_off", provider=self._provider, phase="stream"), None)
        return self.fault

    @property
    def output_bytes_estimate(self) -> int:
        """About how many bytes of output came, framing deducted; padding (`obfuscation`) counts as output."""
        return max(0, self._bytes - self.events * self._envelope_bytes)

    def tokens(self, estimated_input: int) -> Tokens:
        """The usage told, else an estimate: `estimated_input`, and one output token per delta."""
        return self.usage or Tokens(input=estimated_input, output=self.events, certainty="estimated")

    @abstractmethod
    def _look(self, raw: bytes) -> bool:
        """Take note of one event; whether it is to be forwarded."""

    def _closes(self, rest: bytes) -> bool:
        """Whether an event without its blank line is a whole terminal event; never, where no event is the end."""
        return False

    def _start(self, raw_bytes: int, content_bytes: int) -> None:
        self.started = self.content_started = True
        self._envelope_bytes = max(0, raw_bytes - content_bytes)

    def _end(self, raw: bytes) -> None:
        self.terminal = self._done = True
        self.terminal_event = raw

    def _fail(self, fault: UpstreamFault, raw: bytes | None) -> None:
        if self.fault is None:
            self.fault = fault
            self.fault_event = raw
        self._done = True

    def _garbled(self) -> bool:
        self._fail(UpstreamFault("provider_garbled", provider=self._provider, phase="stream"), None)
        return False

    def _error(self, error: Any, raw: bytes, body: bytes | None = None) -> bool:
        """An error object inside the stream; as a body of its own it takes the usual envelope."""
        if body is None:
            body = _ENCODER.encode({"error": error})
        fault = in_stream(error, body, provider=self._provider, tier_asked=self._tier_asked, dialect=self.FAMILY)
        self._fail(fault, raw)
        return False

    def _note_tier(self, tier: Any) -> None:
        known = word(tier)
        if known is not None:
            self.tier = known


def decode_event(decoder: "msgspec.json.Decoder[T]", data: bytes) -> T:
    """`data` decoded; half of a surrogate pair, from servers that cut text by UTF-16 units, reads as U+FFFD.

    Raises one of UNREADABLE.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = _SURROGATE.sub(rb"\\ufffd", data)
        if mended == data:
            raise
        return decoder.decode(mended)


def content_bytes(value: msgspec.Raw) -> int:
    """The length of a JSON value that may be content, without a string's quotes; 0 if it is empty."""
    text = bytes(value)
    return 0 if text in _EMPTY else len(text) - 2 if text.startswith(b'"') else len(text)


def short_id(value: Any) -> str | None:
    """A provider's response id if it may go into a record: printable ASCII, at most 128 characters."""
    if isinstance(value, str) and 0 < len(value) <= 128 and value.isascii() and value.isprintable():
        return value
    return None
