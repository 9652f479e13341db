"""Responses streams read. The rule: items and their parts become parts; a stream is whole with its terminal event.

Calls may overlap, since each item has its index; a message and a thought are closed by whatever opens next. Servers
that send an item only when it is done are read too: what no delta told is taken from the item.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

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
    Ping,
    ReasoningDelta,
    RefusalDelta,
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
from appliance.wire.tokens_openai import read_usage
from appliance.wire.translation.codec import Source
from appliance.wire.translation.openai_responses_answer_shapes import (
    BREAK,
    ITEM,
    AnnotationShape,
    PartShape,
    ResponseShape,
    call_of,
    citation_of,
    fault_of,
    logprobs_of,
    reasoning_of,
    stop_of,
    text_of,
)
from appliance.wire.translation.openai_responses_shapes import NATIVE_ITEMS


class _Event(msgspec.Struct):
    """An event: the fields of all kinds that matter."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: Any = None
    logprobs: Raw | UnsetType = UNSET
    item: Raw | UnsetType = UNSET
    part: PartShape | None = None
    annotation: AnnotationShape | None = None
    response: ResponseShape | None = None
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ARGUMENTS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_THOUGHT = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})


class AnswerReader:
    """See `codec.AnswerReader`."""

    __slots__ = (
        "_begun",
        "_called",
        "_calls",
        "_cited",
        "_done",
        "_events",
        "_filled",
        "_key",
        "_kind",
        "_next",
        "_open",
        "_seen",
        "_source",
        "_splitter",
        "_summary",
    )

    def __init__(self, source: Source) -> None:
        self._source = source
        self._splitter = SseSplitter()
        self._events: list[Event] = []
        self._begun = self._called = self._done = False
        self._next = 0  # index of the part that opens next
        self._kind: PartKind | None = None  # of the open part that is not a call
        self._key: tuple[int, int] | None = None  # which (item, part of its content) that is
        self._open = 0
        self._calls: dict[int, int] = {}  # item → part, of the open calls
        self._filled: set[int] = set()  # open calls with arguments
        self._seen: set[tuple[int, int]] = set()  # (item, part of its content) that were opened
        self._cited = 0  # of the open part
        self._summary = 0  # which part of the summary comes

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
            self._take(decode_event(_EVENT, data))
        except UNREADABLE:
            if not at_end:  # a cut event at the end is told as cut off
                self._garbled()

    def _take(self, event: _Event) -> None:
        kind = event.type
        if kind == "response.output_text.delta":
            self._text(event)
        elif kind in _ARGUMENTS:
            part = self._calls.get(event.output_index)
            if part is not None and event.delta:
                self._filled.add(event.output_index)
                self._events.append(ArgumentsDelta(part, str(event.delta)))
        elif kind in _THOUGHT:
            self._think(event)
        elif kind == "response.refusal.delta":
            if event.delta:
                self._events.append(RefusalDelta(self._part("refusal", event), str(event.delta)))
        elif kind == "response.output_item.added":
            self._added(event)
        elif kind == "response.output_item.done":
            self._item_done(event)
        elif kind == "response.output_text.annotation.added":
            self._cite([event.annotation] if event.annotation is not None else [], event)
        elif kind == "response.content_part.done":
            self._part_done(event)
        elif kind in _TERMINAL:
            self._finish(event)
        elif kind == "error":
            flat = {"message": event.message, "type": None, "param": event.param, "code": event.code}
            self._fail(fault_of(event.error or flat, self._source))
        elif kind == "keepalive":
            self._events.append(Ping())
        elif event.response is not None and not self._begun:
            self._start(event.response)

    def _start(self, response: ResponseShape) -> None:
        self._begun = True
        created = None if response.created_at is None else int(response.created_at)
        self._events.append(Started(response.id or "", response.model or "", created))

    def _part(self, kind: PartKind, event: _Event) -> int:
        """The open part of an item's content; another is closed and this one opened."""
        key = (event.output_index, event.content_index if kind != "reasoning" else 0)
        if self._key != key or self._kind != kind:
            self._open = self._begin(kind)
            self._key = key
            self._kind = kind
            self._seen.add(key)
            self._cited = self._summary = 0
        return self._open

    def _begin(self, kind: PartKind, call: ToolCall | None = None, opaque: Opaque | None = None) -> int:
        """Open a part; one that is no call ends all that are open, a call ends those that are none."""
        self._close()
        if kind != "tool_call":
            self._close_calls()
        part = self._next
        self._next += 1
        self._events.append(PartOpened(part, kind, call, opaque))
        return part

    def _close(self) -> None:
        if self._kind is not None:
            self._events.append(PartClosed(self._open))
            self._kind = None
            self._key = None

    def _close_calls(self) -> None:
        for part in self._calls.values():
            self._events.append(PartClosed(part))
        self._calls.clear()
        self._filled.clear()

    def _text(self, event: _Event) -> None:
        if event.delta:
            part = self._part("text", event)
            self._events.append(TextDelta(part, str(event.delta), logprobs_of(event.logprobs)))

    def _think(self, event: _Event) -> None:
        if not event.delta:
            return
        part = self._part("reasoning", event)
        words = str(event.delta)
        if event.summary_index != self._summary:
            self._summary = event.summary_index
            words = BREAK + words
        self._events.append(ReasoningDelta(part, words))

    def _added(self, event: _Event) -> None:
        if event.item is UNSET:
            return
        item = ITEM.decode(event.item)
        call = call_of(item, event.output_index)
        if call is not None:
            self._call(call, event.output_index)

    def _call(self, call: ToolCall, place: int) -> None:
        part = self._begin("tool_call", msgspec.structs.replace(call, arguments=""))
        self._called = True
        self._calls[place] = part
        if call.arguments:
            self._filled.add(place)
            self._events.append(ArgumentsDelta(part, call.arguments))

    def _cite(self, notes: list[AnnotationShape], event: _Event) -> None:
        for note in notes:
            part = self._part("text", event)
            self._cited += 1
            citation = citation_of(note)
            if citation is not None:
                self._events.append(Cited(part, citation))

    def _part_done(self, event: _Event) -> None:
        told = event.part
        if told is None or told.type not in ("output_text", "refusal"):
            return
        self._content_done(told, event)

    def _content_done(self, told: PartShape, event: _Event) -> None:
        """A part of a message is complete: what no event told of it is told now."""
        key = (event.output_index, event.content_index)
        if key not in self._seen:
            words = text_of(told)
            if words is None or not words.text:
                return
            if told.refusal is not None:
                self._events.append(RefusalDelta(self._part("refusal", event), told.refusal))
            else:
                event.delta, event.logprobs = told.text, told.logprobs
                self._text(event)
        if self._key == key:
            self._cite((told.annotations or [])[self._cited :], event)
            self._close()

    def _item_done(self, event: _Event) -> None:
        if event.item is UNSET:
            return
        item = ITEM.decode(event.item)
        place = event.output_index
        call = call_of(item, place)
        if call is not None:
            self._call_done(call, place)
        elif item.type == "message":
            for index, told in enumerate(item.content or ()):
                event.content_index = index
                self._content_done(told, event)
        elif item.type == "reasoning":
            thought = reasoning_of(item, self._source.home)
            if (place, 0) not in self._seen and (thought.text or thought.seal):
                part = self._part("reasoning", event)
                if thought.text:
                    self._events.append(ReasoningDelta(part, thought.text))
            if self._key == (place, 0):
                if thought.seal is not None:
                    self._events.append(Sealed(self._open, thought.seal))
                self._close()
        elif item.type in NATIVE_ITEMS:
            part = self._begin("opaque", opaque=Opaque("openai_responses", item.type, Raw(bytes(event.item))))
            self._events.append(PartClosed(part))

    def _call_done(self, call: ToolCall, place: int) -> None:
        if place not in self._calls:
            if (place, -1) in self._seen:
                return
            self._call(call, place)
        elif place not in self._filled and call.arguments:
            self._events.append(ArgumentsDelta(self._calls[place], call.arguments))
        self._seen.add((place, -1))
        self._events.append(PartClosed(self._calls.pop(place)))
        self._filled.discard(place)

    def _finish(self, event: _Event) -> None:
        response = event.response or ResponseShape()
        if event.type == "response.failed" or response.error:
            self._fail(fault_of(response.error, self._source))
            return
        if not self._begun:
            self._start(response)
        self._close()
        self._close_calls()
        tier = word(response.service_tier)
        if response.usage is not None or tier is not None:
            tokens = UNKNOWN_TOKENS if response.usage is None else read_usage(response.usage)
            self._events.append(UsageTold(tokens, tier))
        if event.type == "response.incomplete":
            response.status = "incomplete"
        self._events.append(Stopped(stop_of(response, called=self._called)))
        self._events.append(Ended())
        self._done = True

    def _garbled(self) -> None:
        self._fail(UpstreamFault("provider_garbled", provider=self._source.provider, phase="stream"))

    def _fail(self, fault: UpstreamFault) -> None:
        if not self._done:
            self._events.append(Failed(fault))
            self._done = True
