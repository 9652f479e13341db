"""Streams of Interactions written. The rule: a part is a step, started, told and stopped under one index."""

from typing import Any

import msgspec

from appliance.domain.chat import ToolCall
from appliance.domain.stream import (
    Answer,
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
from appliance.wire.gemini_interactions import error_event
from appliance.wire.translation.codec import Reply
from appliance.wire.translation.gemini_interactions_answer_shapes import (
    annotation_object,
    interaction_object,
    status_of,
)
from appliance.wire.translation.gemini_seals import signature_of

_ENCODER = msgspec.json.Encoder()
_STARTS = {"text": "model_output", "refusal": "model_output", "reasoning": "thought"}
_DONE = b"event: done\ndata: [DONE]\n\n"


class AnswerWriter:
    """See `codec.AnswerWriter`."""

    __slots__ = ("_answer", "_custom", "_next", "_reply", "_steps", "_stopped", "_used")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._answer = Answer()  # what the interaction tells
        self._steps: dict[int, tuple[int, bytes]] = {}  # part → its step, and what stands before a delta's content
        self._custom: dict[int, list[str]] = {}  # free text of a custom tool's call, which must become an object
        self._next = 0
        self._used: UsageTold | None = None
        self._stopped: Stopped | None = None

    def write(self, event: Event) -> bytes:
        """See `codec.AnswerWriter`."""
        if isinstance(event, TextDelta | RefusalDelta):
            return self._steps[event.index][1] + b'"text","text":' + _ENCODER.encode(event.text) + b"}}\n\n"
        if isinstance(event, ArgumentsDelta):
            if event.index in self._custom:
                self._custom[event.index].append(event.json)
                return b""
            return self._arguments(event.index, event.json)
        if isinstance(event, ReasoningDelta):
            content = {"type": "text", "text": event.text}
            return self._steps[event.index][1] + b'"thought_summary","content":' + _ENCODER.encode(content) + b"}}\n\n"
        if isinstance(event, PartOpened):
            return self._opened(event)
        if isinstance(event, PartClosed):
            return self._closed(event.index)
        if isinstance(event, Started):
            return self._started(event)
        if isinstance(event, Sealed):
            signature = _ENCODER.encode(signature_of(event.seal, "signature"))
            return self._steps[event.index][1] + b'"thought_signature","signature":' + signature + b"}}\n\n"
        if isinstance(event, Cited):
            note = annotation_object(event.citation)
            if note is None:
                return b""
            notes = _ENCODER.encode([note])
            return self._steps[event.index][1] + b'"text_annotation_delta","annotations":' + notes + b"}}\n\n"
        if isinstance(event, UsageTold):
            self._used = event
        elif isinstance(event, Stopped):
            self._stopped = event
        elif isinstance(event, Ended):
            return self._ended()
        elif isinstance(event, Failed):
            return error_event(event.fault) + _DONE
        elif isinstance(event, Ping):
            return b"\n"
        return b""

    @staticmethod
    def _event(name: str, fields: dict[str, Any]) -> bytes:
        return b"event: " + name.encode() + b"\ndata: " + _ENCODER.encode({"event_type": name} | fields) + b"\n\n"

    def _started(self, event: Started) -> bytes:
        reply = self._reply
        self._answer = Answer(
            id=event.id or reply.id,
            model=event.model or reply.model,
            created=reply.created if event.created is None else event.created,
        )
        told = interaction_object(self._answer, "in_progress")
        status = {"interaction_id": self._answer.id, "status": "in_progress"}
        return self._event("interaction.created", {"interaction": told}) + self._event(
            "interaction.status_update", status
        )

    def _opened(self, event: PartOpened) -> bytes:
        step: Any
        if event.opaque is not None:
            if event.opaque.dialect != "gemini_interactions":
                return b""
            step = event.opaque.raw
        elif event.call is not None:
            step = call_step(event.call, msgspec.Raw(b"{}"))
            if event.call.custom:
                self._custom[event.index] = []
        else:
            step = {"type": _STARTS[event.kind]}
        index = self._next
        self._next += 1
        head = b'event: step.delta\ndata: {"event_type":"step.delta","index":%d,"delta":{"type":' % index
        self._steps[event.index] = (index, head)
        return self._event("step.start", {"index": index, "step": step})

    def _arguments(self, part: int, text: str) -> bytes:
        return self._steps[part][1] + b'"arguments_delta","arguments":' + _ENCODER.encode(text) + b"}}\n\n"

    def _closed(self, part: int) -> bytes:
        if part not in self._steps:
            return b""
        told = b""
        if part in self._custom:
            text = "".join(self._custom.pop(part))
            told = self._arguments(part, _ENCODER.encode({"input": text}).decode())
        index, _ = self._steps.pop(part)
        return told + self._event("step.stop", {"index": index})

    def _ended(self) -> bytes:
        used = self._used
        answer = msgspec.structs.replace(
            self._answer,
            usage=None if used is None else used.tokens,
            tier=None if used is None else used.tier,
        )
        status = status_of(None if self._stopped is None else self._stopped.reason)
        return self._event("interaction.completed", {"interaction": interaction_object(answer, status)}) + _DONE


def call_step(call: ToolCall, arguments: Any) -> dict[str, Any]:
    """A call with its arguments as an object."""
    return {"type": "function_call", "id": call.id, "name": call.name, "arguments": arguments}
