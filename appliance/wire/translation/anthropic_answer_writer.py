"""Messages answers written as a stream. The rule: every event of the official SDK's order, each block's index its own.

`message_start`; for each block its start, deltas and stop; `message_delta` with stop reason and usage; `message_stop`.
Usage is zero at the start, where other providers have not told it, and whole in `message_delta`. A block of reasoning
opens with its first words or its seal, which says what kind it is; one with neither is left out.
"""

from typing import Any, Final

import msgspec

from appliance.domain.chat import Seal
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
    RefusalDelta,
    Sealed,
    Started,
    Stopped,
    TextDelta,
    UsageTold,
)
from appliance.wire.anthropic_messages import error_event, keep_alive
from appliance.wire.sse import one_line
from appliance.wire.translation.anthropic_answer_shapes import citation_object, stop_fields, usage_object
from appliance.wire.translation.codec import Reply
from appliance.wire.translation.seals import stamp

_ENCODER = msgspec.json.Encoder()
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":'
_BEFORE: Final = frozenset({Started, Failed, Ping})
"""Events that may come before `message_start`."""


class AnswerWriter:
    """See `codec.AnswerWriter`."""

    __slots__ = ("_begun", "_heads", "_indexes", "_next", "_refused", "_reply", "_stopped", "_usage", "_waiting")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._indexes: dict[int, int] = {}  # open part → block
        self._heads: dict[int, bytes] = {}  # open part → what its deltas begin with
        self._next = 0
        self._waiting: set[int] = set()  # parts of reasoning without a block yet
        self._stopped = Stopped("end")
        self._usage: UsageTold | None = None
        self._refused = self._begun = False

    def write(self, event: Event) -> bytes:
        """See `codec.AnswerWriter`."""
        kind = type(event)
        if not self._begun and kind not in _BEFORE:
            return self._started(Started()) + self.write(event)  # a provider that did not say that it starts
        if isinstance(event, TextDelta | RefusalDelta):
            return self._heads[event.index] + b'{"type":"text_delta","text":' + _ENCODER.encode(event.text) + b"}}\n\n"
        if isinstance(event, ArgumentsDelta):
            piece = _ENCODER.encode(event.json)
            return self._heads[event.index] + b'{"type":"input_json_delta","partial_json":' + piece + b"}}\n\n"
        if isinstance(event, ReasoningDelta):
            words = self._think(event.index) + self._heads[event.index]
            return words + b'{"type":"thinking_delta","thinking":' + _ENCODER.encode(event.text) + b"}}\n\n"
        if isinstance(event, PartOpened):
            return self._opened(event)
        if isinstance(event, PartClosed):
            self._waiting.discard(event.index)
            self._heads.pop(event.index, None)
            block = self._indexes.pop(event.index, None)
            return b"" if block is None else _STOP % block
        if isinstance(event, Started):
            return self._started(event)
        if isinstance(event, Sealed):
            return self._sealed(event.index, event.seal)
        if isinstance(event, Cited):
            citation = citation_object(event.citation)
            if citation is None:
                return b""
            return (
                self._heads[event.index]
                + one_line(_ENCODER.encode({"type": "citations_delta", "citation": citation}))
                + b"}\n\n"
            )
        if isinstance(event, UsageTold):
            self._usage = event
            return b""
        if isinstance(event, Stopped):
            self._stopped = event
            return b""
        if isinstance(event, Ended):
            return self._ended()
        if isinstance(event, Failed):
            return error_event(event.fault)
        if isinstance(event, Ping):
            return keep_alive()
        raise TypeError(f"not an event: {kind.__name__}")

    def _started(self, event: Started) -> bytes:
        self._begun = True
        message: dict[str, Any] = {
            "id": event.id or self._reply.id,
            "type": "message",
            "role": "assistant",
            "model": event.model or self._reply.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(None),
        }
        return (
            b"event: message_start\ndata: " + _ENCODER.encode({"type": "message_start", "message": message}) + b"\n\n"
        )

    def _block(self, part: int, block: Any) -> bytes:
        index = self._indexes[part] = self._next
        self._next += 1
        self._heads[part] = _DELTA % index
        return _START % index + one_line(_ENCODER.encode(block)) + b"}\n\n"

    def _opened(self, event: PartOpened) -> bytes:
        if event.call is not None:
            return self._block(
                event.index, {"type": "tool_use", "id": event.call.id, "name": event.call.name, "input": {}}
            )
        if event.kind == "reasoning":
            self._waiting.add(event.index)
            return b""
        if event.opaque is not None:
            if event.opaque.dialect != "anthropic_messages":
                return b""
            return self._block(event.index, event.opaque.raw)
        if event.kind == "refusal":
            self._refused = True
        return self._block(event.index, {"type": "text", "text": ""})

    def _think(self, part: int) -> bytes:
        if part not in self._waiting:
            return b""
        self._waiting.discard(part)
        return self._block(part, {"type": "thinking", "thinking": "", "signature": ""})

    def _sealed(self, part: int, seal: Seal) -> bytes:
        if part in self._waiting and seal.kind == "redacted":
            self._waiting.discard(part)
            return self._block(part, {"type": "redacted_thinking", "data": stamp(seal, "anthropic", ("redacted",))})
        signature = _ENCODER.encode(stamp(seal, "anthropic", ("signature",)))
        opened = self._think(part)
        return opened + self._heads[part] + b'{"type":"signature_delta","signature":' + signature + b"}}\n\n"

    def _ended(self) -> bytes:
        delta = {
            "type": "message_delta",
            "delta": stop_fields(self._stopped, refused=self._refused),
            "usage": usage_object(None if self._usage is None else self._usage.tokens),
        }
        stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        return b"event: message_delta\ndata: " + _ENCODER.encode(delta) + b"\n\n" + stop
