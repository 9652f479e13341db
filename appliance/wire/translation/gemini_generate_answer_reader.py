"""generateContent streams read. The rule: what is content becomes a part; a stream is whole after a finish reason.

Parts do not say where they end: texts and thoughts go on from chunk to chunk until something else begins. A signature
signs its part, so a signed text is a part of its own, with the seal as a part before it. Server-sent events and the
JSON array that Google sends without `alt=sse` are told apart by their first byte.
"""

import contextlib

from appliance.domain.chat import Opaque, Seal, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import (
    ArgumentsDelta,
    Cited,
    Ended,
    Event,
    Failed,
    PartClosed,
    PartKind,
    PartOpened,
    ReasoningDelta,
    Sealed,
    Started,
    Stopped,
    TextDelta,
    UsageTold,
)
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.sse import SseSplitter, event_fields
from appliance.wire.translation.codec import Source
from appliance.wire.translation.gemini_generate_answer_shapes import (
    FAILURES,
    RESPONSE,
    CallShape,
    CandidateShape,
    PartShape,
    ResponseShape,
    UsageShape,
    failure_of,
    fault_of,
    logprobs_of,
    stop_of,
    tier_of,
    tokens_of,
)
from appliance.wire.translation.gemini_generate_parts import call_of, opaque_of
from appliance.wire.translation.gemini_grounding import Places, citations_of
from appliance.wire.translation.gemini_seals import seal_of
from appliance.wire.translation.json_array import ArraySplitter


class AnswerReader:
    """See `codec.AnswerReader`."""

    __slots__ = (
        "_array",
        "_begun",
        "_called",
        "_done",
        "_events",
        "_framed",
        "_id",
        "_kind",
        "_next",
        "_places",
        "_signed",
        "_source",
        "_splitter",
        "_stop",
        "_text_start",
        "_usage",
    )

    def __init__(self, source: Source) -> None:
        self._source = source
        self._splitter = SseSplitter()
        self._array: ArraySplitter | None = None
        self._events: list[Event] = []
        self._begun = self._called = self._done = self._framed = self._signed = False
        self._id = ""
        self._next = 0  # index of the part that opens next
        self._kind: PartKind | None = None  # of the open part
        self._places = Places()
        self._text_start = 0
        self._stop: Stopped | None = None
        self._usage: UsageTold | None = None

    def feed(self, data: bytes) -> list[Event]:
        """See `codec.AnswerReader`."""
        if self._done:
            return []
        self._events = []
        try:
            if not self._framed:
                self._frame(data)
            if self._array is not None:
                for element in self._array.feed(data):
                    self._read(element)
                if self._array.broken:
                    self._garbled()
            else:
                for raw in self._splitter.feed(data):
                    if told := event_fields(raw)[1]:
                        self._read(told)
        except ValueError:
            self._garbled()
        return self._events

    def eof(self) -> list[Event]:
        """See `codec.AnswerReader`."""
        self._events = []
        if self._done:
            return []
        if self._array is None and (rest := self._splitter.rest):
            told = event_fields(rest.rstrip(b"\r\n") + b"\n\n")[1]
            with contextlib.suppress(*UNREADABLE):  # a cut event at the end is told as cut off
                self._take(decode_event(RESPONSE, told))
        if not self._done:
            if self._stop is not None:
                self._end()
            else:
                self._fail(UpstreamFault("provider_cut_off", provider=self._source.provider, phase="stream"))
        return self._events

    def _frame(self, data: bytes) -> None:
        """Events or an array: the first byte that is not blank tells, wherever the bytes were cut."""
        if first := data.lstrip()[:1]:
            self._framed = True
            if first == b"[":
                self._array = ArraySplitter()

    def _read(self, data: bytes) -> None:
        if self._done:
            return
        try:
            chunk = decode_event(RESPONSE, data)
        except UNREADABLE:
            self._garbled()
            return
        self._take(chunk)

    def _take(self, chunk: ResponseShape) -> None:
        if chunk.error:
            self._fail(fault_of(chunk.error, self._source))
            return
        if not self._begun:
            self._begun = True
            self._id = chunk.response_id or ""
            self._events.append(Started(self._id, chunk.model_version or ""))
        for candidate in chunk.candidates or ():
            if candidate.index == 0 and not self._done:
                self._choose(candidate)
        if chunk.usage_metadata is not None and not self._done:
            self._use(chunk.usage_metadata)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._close()
            self._stop = Stopped("filtered", category=feedback.block_reason)

    def _use(self, usage: UsageShape) -> None:
        told = UsageTold(tokens_of(usage), tier_of(usage))
        if told != self._usage:
            self._usage = told
            self._events.append(told)

    def _choose(self, candidate: CandidateShape) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._part(part, candidate)
        if candidate.grounding_metadata is not None:
            self._cite(candidate)
        reason = candidate.finish_reason
        if reason in FAILURES:
            self._fail(failure_of(reason or "", self._source))
        elif reason:
            self._close()
            self._stop = Stopped(stop_of(reason, self._called))

    def _part(self, part: PartShape, candidate: CandidateShape) -> None:
        text, call = part.text, part.function_call
        seal = None
        if part.thought_signature is not None:
            seal = seal_of(part.thought_signature)
        if text is not None:
            self._say(text, part.thought, seal, candidate)
        elif call is not None:
            self._call(call, part.thought_signature)
        else:
            opaque = opaque_of(part)
            if opaque is not None:
                self._native(opaque)
            elif seal is not None:
                self._seal(seal)

    def _say(self, text: str, thought: bool, seal: Seal | None, candidate: CandidateShape) -> None:
        if seal is not None:
            if thought and seal.kind != "part":  # a stamped seal ends the thought that it is of
                self._open("reasoning")
                if text:
                    self._events.append(ReasoningDelta(self._next - 1, text))
                self._events.append(Sealed(self._next - 1, seal))
                self._close()
                return
            self._seal(seal)
            self._signed = True
        elif self._signed and text:
            self._close()
            self._signed = False
        if not text:
            return
        if thought:
            self._open("reasoning")
            self._events.append(ReasoningDelta(self._next - 1, text))
            return
        self._open("text")
        self._places.add(text)
        logprobs = None if candidate.logprobs_result is None else logprobs_of(candidate.logprobs_result)
        self._events.append(TextDelta(self._next - 1, text, logprobs))

    def _seal(self, seal: Seal) -> None:
        """A part that is a seal alone."""
        self._close()
        self._open("reasoning")
        self._events.append(Sealed(self._next - 1, seal))
        self._close()

    def _open(self, kind: PartKind, call: ToolCall | None = None, opaque: Opaque | None = None) -> None:
        if self._kind == kind:
            return
        self._close()
        self._kind = kind
        if kind == "text":
            self._text_start = self._places.chars
        self._events.append(PartOpened(self._next, kind, call, opaque))
        self._next += 1

    def _close(self) -> None:
        if self._kind is not None:
            self._events.append(PartClosed(self._next - 1))
            self._kind = None

    def _call(self, told: CallShape, signature: str | None) -> None:
        self._close()
        call = call_of(told, self._id, self._next)
        if signature is not None:
            seal = seal_of(signature, call.id)
            if seal is not None:
                self._seal(seal)
        arguments = call.arguments
        self._open("tool_call", ToolCall(call.id, call.name, ""))
        self._events.append(ArgumentsDelta(self._next - 1, arguments))
        self._close()
        self._called = True

    def _native(self, opaque: Opaque) -> None:
        self._close()
        self._open("opaque", opaque=opaque)
        self._close()

    def _cite(self, candidate: CandidateShape) -> None:
        ground = candidate.grounding_metadata
        if ground is None or not ground.grounding_supports:
            return
        self._open("text")
        for citation in citations_of(ground, self._places, self._text_start):
            self._events.append(Cited(self._next - 1, citation))

    def _end(self) -> None:
        self._close()
        self._events.append(self._stop or Stopped("end"))
        self._events.append(Ended())
        self._done = True

    def _garbled(self) -> None:
        self._fail(UpstreamFault("provider_garbled", provider=self._source.provider, phase="stream"))

    def _fail(self, fault: UpstreamFault) -> None:
        if not self._done:
            self._events.append(Failed(fault))
            self._done = True
