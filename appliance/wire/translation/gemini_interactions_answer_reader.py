"""Streams of Interactions read. The rule: a step is a part; the stream is whole with `interaction.completed`."""

from typing import Any

from msgspec import UNSET, Raw

from appliance.domain.chat import Opaque, ToolCall
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
from appliance.domain.tokens import UNKNOWN_TOKENS
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.sse import SseSplitter, event_fields
from appliance.wire.tokens_gemini import read_interaction_usage
from appliance.wire.translation.codec import Source
from appliance.wire.translation.gemini_interactions_answer_shapes import (
    EVENT,
    FAILURES,
    STEP,
    AnnotationShape,
    DeltaShape,
    EventShape,
    InteractionShape,
    citation_of,
    fault_of,
    second_of,
    stop_of,
)
from appliance.wire.translation.gemini_interactions_shapes import NATIVE_STEPS
from appliance.wire.translation.gemini_seals import seal_of

_EMPTY = (UNSET, Raw(b"{}"), Raw(b"null"))


class AnswerReader:
    """See `codec.AnswerReader`."""

    __slots__ = ("_begun", "_called", "_done", "_events", "_filled", "_given", "_next", "_open", "_source", "_splitter")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._splitter = SseSplitter()
        self._events: list[Event] = []
        self._begun = self._called = self._done = False
        self._next = 0  # index of the part that opens next
        self._open: dict[int, tuple[PartKind, int]] = {}  # step → its part
        self._given: dict[int, Raw] = {}  # step → arguments that came with its start
        self._filled: set[int] = set()  # steps whose arguments stream

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
        except ValueError:
            self._garbled()
        return self._events

    def eof(self) -> list[Event]:
        """See `codec.AnswerReader`."""
        self._events = []
        if self.ended:
            return []
        if rest := self._splitter.rest:
            self._look(rest.rstrip(b"\r\n") + b"\n\n", at_end=True)
        if not self.ended:
            self._fail(UpstreamFault("provider_cut_off", provider=self._source.provider, phase="stream"))
        return self._events

    def _look(self, raw: bytes, *, at_end: bool = False) -> None:
        data = event_fields(raw)[1]
        if not data or data.startswith(b"[DONE]"):
            return
        try:
            self._take(decode_event(EVENT, data))
        except UNREADABLE:
            if not at_end:  # a cut event at the end is told as cut off
                self._garbled()

    def _take(self, event: EventShape) -> None:
        kind = event.event_type
        if kind == "step.delta":
            if event.delta is not None:
                self._delta(event.index, event.delta)
        elif kind == "step.start":
            self._start(event)
        elif kind == "step.stop":
            self._stop(event.index)
        elif kind == "interaction.completed":
            self._finish(event.interaction or InteractionShape())
        elif kind == "error":
            self._fail(fault_of(event.error, self._source))
        elif event.interaction is not None and not self._begun:
            self._begin(event.interaction)

    def _begin(self, told: InteractionShape) -> None:
        self._begun = True
        self._events.append(Started(told.id or "", told.model or "", second_of(told.created)))

    def _part(self, step: int, kind: PartKind, call: ToolCall | None = None, opaque: Opaque | None = None) -> int:
        """The part of a step; others that are no calls are closed first."""
        known = self._open.get(step)
        if known is not None and known[0] == kind:
            return known[1]
        for other, (open_kind, part) in list(self._open.items()):
            if other == step or kind != "tool_call" or open_kind != "tool_call":
                self._events.append(PartClosed(part))
                del self._open[other]
        part = self._next
        self._next += 1
        self._open[step] = (kind, part)
        self._events.append(PartOpened(part, kind, call, opaque))
        return part

    def _start(self, event: EventShape) -> None:
        if event.step is UNSET:
            return
        step = STEP.decode(event.step)
        if step.type == "function_call":
            self._called = True
            call = ToolCall(step.id or f"call_{event.index}", step.name or "", "")
            self._part(event.index, "tool_call", call)
            if step.arguments not in _EMPTY:
                self._given[event.index] = step.arguments
        elif step.type in NATIVE_STEPS:
            raw = Raw(bytes(event.step))
            self._part(event.index, "opaque", opaque=Opaque("gemini_interactions", step.type, raw))
        elif step.type == "model_output":
            for content in step.content or ():
                self._say(event.index, content.text, content.annotations)
        elif step.type == "thought":
            summary = "".join(content.text or "" for content in step.summary or ())
            self._think(event.index, summary, step.signature)

    def _delta(self, step: int, delta: DeltaShape) -> None:
        if delta.type == "text":
            self._say(step, delta.text, delta.annotations)
        elif delta.type == "arguments_delta":
            known = self._open.get(step)
            if known is not None and known[0] == "tool_call" and delta.arguments:
                self._filled.add(step)
                self._events.append(ArgumentsDelta(known[1], delta.arguments))
        elif delta.type == "thought_summary":
            self._think(step, delta.content.text if delta.content is not None else None, None)
        elif delta.type == "thought_signature":
            self._think(step, None, delta.signature)
        elif delta.type == "text_annotation_delta":
            self._say(step, None, delta.annotations)

    def _say(self, step: int, text: str | None, notes: list[AnnotationShape] | None) -> None:
        if text:
            self._events.append(TextDelta(self._part(step, "text"), text))
        for note in notes or ():
            citation = citation_of(note)
            if citation is not None:
                self._events.append(Cited(self._part(step, "text"), citation))

    def _think(self, step: int, text: str | None, signature: str | None) -> None:
        if text:
            self._events.append(ReasoningDelta(self._part(step, "reasoning"), text))
        seal = seal_of(signature, kind="signature") if signature else None
        if seal is not None:
            self._events.append(Sealed(self._part(step, "reasoning"), seal))

    def _stop(self, step: int) -> None:
        known = self._open.pop(step, None)
        if known is None:
            return
        kind, part = known
        if kind == "tool_call" and step not in self._filled:
            given = self._given.pop(step, None)
            self._events.append(ArgumentsDelta(part, "{}" if given is None else str(given, "utf-8")))
        self._events.append(PartClosed(part))

    def _finish(self, told: InteractionShape) -> None:
        if told.status in FAILURES:
            error: Any = told.error or {"code": told.status, "message": None}
            self._fail(fault_of(error, self._source))
            return
        if not self._begun:
            self._begin(told)
        for step in list(self._open):
            self._stop(step)
        tier = word(told.service_tier)
        if told.usage is not None or tier is not None:
            tokens = UNKNOWN_TOKENS if told.usage is None else read_interaction_usage(told.usage)
            self._events.append(UsageTold(tokens, tier))
        self._events.append(Stopped(stop_of(told.status, called=self._called)))
        self._events.append(Ended())
        self._done = True

    def _garbled(self) -> None:
        self._fail(UpstreamFault("provider_garbled", provider=self._source.provider, phase="stream"))

    def _fail(self, fault: UpstreamFault) -> None:
        if not self._done:
            self._events.append(Failed(fault))
            self._done = True
