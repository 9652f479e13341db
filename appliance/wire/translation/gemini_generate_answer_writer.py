"""generateContent streams written. The rule: each chunk is a whole response with what is new, and the last says why.

A call's arguments are an object here, so a call goes out when it is complete. Reason to finish, usage and citations
stand in the last chunk. A seal stands on the part that it signs, or on the thought that it is of.
"""

from typing import Any

import msgspec

from appliance.domain.chat import Citation, Seal, ToolCall
from appliance.domain.errors import Fault
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
from appliance.wire.gemini_generate import error_event
from appliance.wire.sse import one_line
from appliance.wire.translation.codec import Reply
from appliance.wire.translation.gemini_generate_answer_shapes import FINISH, logprobs_object, usage_object
from appliance.wire.translation.gemini_grounding import Places, grounding_object
from appliance.wire.translation.gemini_seals import signature_of

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MALFORMED = "MALFORMED_FUNCTION_CALL"


class AnswerWriter:
    """See `codec.AnswerWriter`."""

    __slots__ = (
        "_after",
        "_array",
        "_before",
        "_begins",
        "_begun",
        "_broken",
        "_calls",
        "_cited",
        "_end",
        "_places",
        "_reply",
        "_seal",
        "_stopped",
        "_tail",
        "_usage",
    )

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._array = reply.framing == "array"
        self._end = b"" if self._array else b"\n\n"
        self._before = b"" if self._array else b"data: "
        self._tail = b""  # of every chunk, after its candidates
        self._after = b""  # of a chunk with one part, after that part
        self._begun = self._broken = False
        self._calls: dict[int, tuple[ToolCall, list[str]]] = {}
        self._seal: str | None = None  # the signature of the next part
        self._begins: dict[int, int] = {}  # text part → the character at which it begins
        self._cited: list[tuple[Citation, int]] = []
        self._places = Places()
        self._usage: UsageTold | None = None
        self._stopped: Stopped | None = None

    def write(self, event: Event) -> bytes:
        """See `codec.AnswerWriter`."""
        kind = type(event)
        if kind is TextDelta:
            return self._text(event)  # type: ignore[arg-type]  # as its type says; isinstance costs more
        if isinstance(event, ArgumentsDelta):
            self._calls[event.index][1].append(event.json)
            return b""
        if isinstance(event, ReasoningDelta):
            return self._part(b'{"text":' + _ENCODER.encode(event.text) + b',"thought":true}')
        if isinstance(event, RefusalDelta):
            return self._part(b'{"text":' + _ENCODER.encode(event.text) + b"}")
        if isinstance(event, PartOpened):
            return self._opened(event)
        if isinstance(event, PartClosed):
            return self._closed(event)
        if isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Sealed):
            return self._sealed(event.seal)
        elif isinstance(event, Cited):
            self._cited.append((event.citation, self._begins.get(event.index, 0)))
        elif isinstance(event, UsageTold):
            self._usage = event
        elif isinstance(event, Stopped):
            self._stopped = event
        elif isinstance(event, Ended):
            return self._ended()
        elif isinstance(event, Failed):
            return self._failed(event.fault)
        elif isinstance(event, Ping):
            return b"\n"  # Google's Python SDK takes a comment for a chunk; an empty line all of them skip
        return b""

    def _started(self, event: Started) -> None:
        reply = self._reply
        top = {"modelVersion": event.model or reply.model, "responseId": event.id or reply.id}
        self._tail = b"," + _ENCODER.encode(top)[1:] + self._end
        self._after = b'],"role":"model"},"index":0}]' + self._tail

    def _head(self) -> bytes:
        """What stands before a response."""
        if not self._array:
            return self._before
        begun, self._begun = self._begun, True
        return b",\r\n" if begun else b"["

    def _part(self, part: bytes) -> bytes:
        return self._head() + b'{"candidates":[{"content":{"parts":[' + part + self._after

    def _signature(self) -> bytes:
        signature, self._seal = self._seal, None
        return b"" if signature is None else b',"thoughtSignature":' + _ENCODER.encode(signature)

    def _text(self, event: TextDelta) -> bytes:
        self._places.add(event.text)
        part = b'{"text":' + _ENCODER.encode(event.text)
        if self._seal is not None:
            part += self._signature()
        if event.logprobs is None:
            return self._part(part + b"}")
        told = _ENCODER.encode(logprobs_object(event.logprobs))
        return (
            self._head()
            + b'{"candidates":[{"content":{"parts":['
            + part
            + b'}],"role":"model"},"index":0,"logprobsResult":'
            + told
            + b"}]"
            + self._tail
        )

    def _opened(self, event: PartOpened) -> bytes:
        if event.call is not None:
            self._calls[event.index] = (event.call, [])
        elif event.kind == "text":
            self._begins[event.index] = self._places.chars
        elif event.opaque is not None and event.opaque.dialect == "gemini_generate":
            return self._part(one_line(bytes(event.opaque.raw)))
        return b""

    def _closed(self, event: PartClosed) -> bytes:
        if event.index not in self._calls:
            return b""
        call, pieces = self._calls.pop(event.index)
        told = function_call(call, "".join(pieces))
        if told is None:
            self._broken = True
            return b""
        return self._part(b'{"functionCall":' + one_line(_ENCODER.encode(told)) + self._signature() + b"}")

    def _sealed(self, seal: Seal) -> bytes:
        signature = signature_of(seal)
        if seal.home == "gemini" and seal.kind == "part":
            flushed = self._flush()
            self._seal = signature
            return flushed
        return self._part(b'{"text":"","thought":true,"thoughtSignature":' + _ENCODER.encode(signature) + b"}")

    def _flush(self) -> bytes:
        return b"" if self._seal is None else self._part(b'{"text":""' + self._signature() + b"}")

    def _ended(self) -> bytes:
        flushed = self._flush()
        candidate: dict[str, Any] = {
            "content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": finish_reason(self._stopped, broken=self._broken),
            "index": 0,
        }
        ground = grounding_object(self._cited, self._places)
        if ground is not None:
            candidate["groundingMetadata"] = ground
        last = {"candidates": [candidate]}
        usage = None if self._usage is None else usage_object(self._usage.tokens)
        if usage is not None:
            last["usageMetadata"] = usage  # type: ignore[assignment]
        return flushed + self._head() + _ENCODER.encode(last)[:-1] + self._tail + (b"]" if self._array else b"")

    def _failed(self, fault: Fault) -> bytes:
        return error_event(fault, sequence_number=int(self._begun), framing=self._reply.framing)


def function_call(call: ToolCall, arguments: str) -> dict[str, Any] | None:
    """`functionCall`; None if the arguments are no object (cut off by a limit, or the model's fault)."""
    if call.custom:
        return {"id": call.id, "name": call.name, "args": {"input": arguments}}
    if not arguments.strip():
        return {"id": call.id, "name": call.name, "args": {}}
    try:
        _OBJECT.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return {"id": call.id, "name": call.name, "args": msgspec.Raw(arguments)}


def finish_reason(stopped: Stopped | None, *, broken: bool) -> str:
    """`finishReason`; `broken`: a call had to be left out, since its arguments are no object."""
    told = "STOP" if stopped is None else FINISH[stopped.reason]
    return _MALFORMED if broken and told == "STOP" else told
