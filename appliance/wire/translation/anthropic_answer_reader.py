"""Messages answers read from a stream. The rule: a block is a part, whatever its number; unknown events are ignored.

A server tool's block is opaque as it starts; what streams into it is its own provider's affair. The counts of a
`message_delta` replace those of `message_start`, where it has them. A stream is whole with `message_stop`, or when it
ends after a stop reason. Source: the official SDK's `RawMessageStreamEvent` and the accumulator in `lib/streaming`.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import Opaque, Seal, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import (
    ArgumentsDelta,
    Cited,
    Ended,
    Event,
    Failed,
    PartClosed,
    PartOpened,
    Ping,
    ReasoningDelta,
    Sealed,
    Started,
    Stopped,
    TextDelta,
    UsageTold,
)
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.sse import SseSplitter, event_fields
from appliance.wire.tokens_anthropic import read_usage, served_tier
from appliance.wire.translation.anthropic_answer_shapes import (
    BLOCK,
    MessageShape,
    StopDetails,
    citation_of,
    fault_of,
    stop_of,
)
from appliance.wire.translation.codec import Source

_PING: Final = Ping()


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    citation: Raw | UnsetType = UNSET
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: Raw | UnsetType = UNSET
    message: MessageShape | None = None
    usage: Any = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class _Block:
    """An open block: its part, and what is told only when it closes."""

    __slots__ = ("call", "kind", "part", "signature")

    def __init__(self, part: int, kind: str) -> None:
        self.part = part
        self.kind = kind
        self.call = False  # a call without any arguments yet
        self.signature = ""


class AnswerReader:
    """See `codec.AnswerReader`."""

    __slots__ = ("_blocks", "_done", "_events", "_next", "_source", "_splitter", "_stop", "_usage")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._splitter = SseSplitter()
        self._events: list[Event] = []
        self._blocks: dict[int, _Block] = {}
        self._next = 0
        self._stop: Stopped | None = None
        self._usage: dict[str, Any] = {}
        self._done = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will come out."""
        return self._done

    def feed(self, data: bytes) -> list[Event]:
        """See `codec.AnswerReader`."""
        if self._done:
            return []
        self._events = []
        try:
            for raw in self._splitter.feed(data):
                self._look(raw)
                if self.ended:
                    break
        except (ValueError, *UNREADABLE):
            self._fail("provider_garbled")
        return self._events

    def eof(self) -> list[Event]:
        """See `codec.AnswerReader`."""
        self._events = []
        if self.ended:
            return []
        if rest := self._splitter.rest:
            try:
                self._look(rest.rstrip(b"\r\n") + b"\n\n")
            except UNREADABLE:
                self._events = []  # a cut event is told as cut off
        if not self.ended:
            if self._stop is not None:
                self._end()
            else:
                self._fail("provider_cut_off")
        return self._events

    def _look(self, raw: bytes) -> None:
        name, data = event_fields(raw)
        if not data:
            return
        event = decode_event(_EVENT, data)
        kind = event.type
        if kind == "content_block_delta":
            block = self._blocks.get(event.index)
            if block is not None and event.delta is not None:
                self._change(block, event.delta)
        elif kind == "content_block_start" and event.content_block is not UNSET:
            self._start(event.index, event.content_block)
        elif kind == "content_block_stop":
            self._close(event.index)
        elif kind == "ping":
            self._events.append(_PING)
        elif kind == "message_start" and event.message is not None:
            self._events.append(Started(event.message.id, event.message.model))
            self._count(event.message.usage)
        elif kind == "message_delta":
            if event.delta is not None and event.delta.stop_reason is not None:
                self._stop = stop_of(event.delta.stop_reason, event.delta.stop_sequence, event.delta.stop_details)
            self._count(event.usage)
        elif kind == "message_stop":
            self._end()
        elif kind == "error" or name == b"error":
            self._events.append(Failed(fault_of(event.error, data, self._source)))
            self._done = True

    def _start(self, index: int, raw: Raw) -> None:
        told = decode_event(BLOCK, raw)
        part = self._next
        self._next += 1
        block = self._blocks[index] = _Block(part, told.type)
        if told.type == "text":
            self._events.append(PartOpened(part, "text"))
            if told.text:
                self._events.append(TextDelta(part, told.text))
            for citation in told.citations or ():
                self._events.append(Cited(part, citation_of(citation)))
        elif told.type in ("thinking", "redacted_thinking"):
            self._events.append(PartOpened(part, "reasoning"))
            if told.thinking:
                self._events.append(ReasoningDelta(part, told.thinking))
            block.signature = told.signature or told.data or ""
        elif told.type == "tool_use":
            call = ToolCall(told.id or f"call_{part}", told.name or "", "")
            self._events.append(PartOpened(part, "tool_call", call))
            block.call = not told.input
            if told.input:
                self._events.append(ArgumentsDelta(part, msgspec.json.encode(told.input).decode()))
        else:
            self._events.append(PartOpened(part, "opaque", None, Opaque("anthropic_messages", told.type, raw.copy())))

    def _change(self, block: _Block, delta: _Delta) -> None:
        kind = delta.type
        if kind == "text_delta":
            if block.kind == "text":
                self._events.append(TextDelta(block.part, delta.text))
        elif kind == "input_json_delta":
            if delta.partial_json and block.kind == "tool_use":
                block.call = False
                self._events.append(ArgumentsDelta(block.part, delta.partial_json))
        elif kind == "thinking_delta":
            if delta.thinking and block.kind == "thinking":
                self._events.append(ReasoningDelta(block.part, delta.thinking))
        elif kind == "signature_delta":
            block.signature = delta.signature
        elif kind == "citations_delta" and delta.citation is not UNSET and block.kind == "text":
            self._events.append(Cited(block.part, citation_of(delta.citation)))

    def _close(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.call:
            self._events.append(ArgumentsDelta(block.part, "{}"))  # elsewhere no text at all is no arguments
        if block.signature and block.kind in ("thinking", "redacted_thinking"):
            kind: Any = "signature" if block.kind == "thinking" else "redacted"
            self._events.append(Sealed(block.part, Seal(self._source.home, block.signature, kind)))
        self._events.append(PartClosed(block.part))

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}
            self._events.append(UsageTold(read_usage(self._usage), word(served_tier(self._usage))))

    def _end(self) -> None:
        for index in list(self._blocks):
            self._close(index)
        self._events += (self._stop or Stopped("end"), Ended())
        self._done = True

    def _fail(self, code: str) -> None:
        self._events.append(Failed(UpstreamFault(code, provider=self._source.provider, phase="stream")))
        self._done = True
