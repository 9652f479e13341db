"""Chat Completions answers read, streamed and whole. The rule: what is content becomes a part; unknown fields do not.

A chat stream does not say where a part ends: text, reasoning and refusals end when something else begins, calls with
the finish reason. It is whole with [DONE], or when it ends after a finish reason.
Source: the official SDK's `ChatCompletionChunk` and `ChatCompletion`; reasoning fields as in openai_chat_reasoning.
"""

from msgspec import Raw

from appliance.domain.chat import ToolCall
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
    RefusalDelta,
    Sealed,
    Stopped,
    TextDelta,
    UsageTold,
)
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.sse import SseSplitter, event_fields
from appliance.wire.tokens_openai import read_usage
from appliance.wire.translation.codec import Source
from appliance.wire.translation.openai_chat_answer_shapes import (
    CHUNK,
    CallShape,
    ChoiceShape,
    DetailShape,
    arguments_of,
    citations_of,
    details_of,
    fault_of,
    logprobs_of,
    started_of,
    stop_of,
    words_of,
)
from appliance.wire.translation.openai_chat_reasoning import seal_of


class AnswerReader:
    """See `codec.AnswerReader`."""

    __slots__ = (
        "_begun",
        "_called",
        "_calls",
        "_chars",
        "_done",
        "_events",
        "_kind",
        "_next",
        "_open",
        "_source",
        "_splitter",
        "_stop",
        "_text_start",
        "_thought",
        "_tier",
        "_tokens",
    )

    def __init__(self, source: Source) -> None:
        self._source = source
        self._splitter = SseSplitter()
        self._events: list[Event] = []
        self._begun = self._called = self._done = False
        self._next = 0  # index of the part that opens next
        self._kind: PartKind | None = None  # of the open part that is not a call
        self._open = 0
        self._calls: list[tuple[int | None, str, int]] = []  # open calls: (provider's index, id, part)
        self._thought: int | None = None  # which entry of reasoning_details is open
        self._chars = self._text_start = 0
        self._stop: Stopped | None = None
        self._tier: str | None = None
        self._tokens: Tokens | None = None

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
            self._fail(UpstreamFault("provider_garbled", provider=self._source.provider, phase="stream"))
        return self._events

    def eof(self) -> list[Event]:
        """See `codec.AnswerReader`."""
        self._events = []
        if self.ended:
            return []
        if rest := self._splitter.rest:
            self._look(rest.rstrip(b"\r\n") + b"\n\n", at_end=True)
        if not self.ended:
            if self._stop is not None:
                self._end()
            else:
                self._fail(UpstreamFault("provider_cut_off", provider=self._source.provider, phase="stream"))
        return self._events

    def _look(self, raw: bytes, *, at_end: bool = False) -> None:
        name: bytes | None = None
        if raw.startswith(b"data: {") and raw.find(b"\n") == len(raw) - 2 and not self._splitter.carriage:
            data = raw[6:-2]  # the usual framing, without a search for fields
        else:
            name, data = event_fields(raw)
            if not data:
                return
            if data.startswith(b"[DONE]"):
                self._end()
                return
        try:
            chunk = decode_event(CHUNK, data)
        except UNREADABLE:
            if not at_end:  # a cut event at the end is told as cut off
                self._fail(UpstreamFault("provider_garbled", provider=self._source.provider, phase="stream"))
            return
        if chunk.error or chunk.object == "error" or name == b"error":
            self._fail(fault_of(chunk, data, self._source))
            return
        if not self._begun and (chunk.id or chunk.choices):  # Azure's first chunk has neither
            self._begun = True
            self._events.append(started_of(chunk))
        if chunk.service_tier is not None or chunk.service_tier_used is not None:
            self._tier = word(chunk.service_tier_used) or word(chunk.service_tier) or self._tier
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choose(choice)
        if chunk.usage is not None:
            self._tokens = read_usage(chunk.usage)
            self._events.append(UsageTold(self._tokens, self._tier))

    def _choose(self, choice: ChoiceShape) -> None:
        delta = choice.delta
        if delta is not None:
            if delta.reasoning_details and (details := details_of(delta.reasoning_details)):
                self._think(details)
            elif delta.reasoning_content or delta.reasoning:
                part = self._part("reasoning")
                self._events.append(ReasoningDelta(part, delta.reasoning_content or delta.reasoning or ""))
            content = delta.content
            thought, text = ("", content) if isinstance(content, str) else words_of(content)
            if thought:
                self._events.append(ReasoningDelta(self._part("reasoning"), thought))
            if text:
                part = self._part("text")
                self._chars += len(text)
                self._events.append(TextDelta(part, text, logprobs_of(choice.logprobs)))
            if delta.annotations:
                self._cite(delta.annotations)
            if delta.refusal:
                self._events.append(RefusalDelta(self._part("refusal"), delta.refusal))
            if delta.tool_calls:
                for fragment in delta.tool_calls:
                    self._call(fragment)
            if delta.function_call is not None:
                self._call(CallShape(function=delta.function_call))
        if choice.finish_reason:
            self._close()
            self._stop = Stopped(stop_of(choice.finish_reason, called=self._called))

    def _part(self, kind: PartKind) -> int:
        """The open part of this kind; another is closed and this one opened."""
        if self._kind != kind or self._calls:
            self._close()
            self._kind = kind
            self._thought = None
            self._open = self._next
            self._next += 1
            self._text_start = self._chars
            self._events.append(PartOpened(self._open, kind))
        return self._open

    def _close(self) -> None:
        if self._kind is not None:
            self._events.append(PartClosed(self._open))
            self._kind = None
        for _, _, part in self._calls:
            self._events.append(PartClosed(part))
        self._calls = []

    def _think(self, details: list[DetailShape]) -> None:
        for detail in details:
            if self._kind == "reasoning" and detail.index != self._thought and detail.index is not None:
                self._close()
            part = self._part("reasoning")
            self._thought = detail.index
            words = detail.text or detail.summary
            if words:
                self._events.append(ReasoningDelta(part, words))
            seal = seal_of(detail)
            if seal is not None:
                self._events.append(Sealed(part, seal))
                self._close()

    def _cite(self, annotations: list[Raw]) -> None:
        part = self._part("text")
        self._events += [Cited(part, citation) for citation in citations_of(annotations, self._text_start)]

    def _call(self, fragment: CallShape) -> None:
        found: int | None = None
        for index, call_id, part in reversed(self._calls):
            if fragment.index is None or index == fragment.index:
                # Some servers give every parallel call the same index, or none: a new id opens a new call.
                if not fragment.id or fragment.id == call_id:
                    found = part
                break
        custom = fragment.custom
        if found is None:
            self._called = True
            if self._kind is not None:
                self._close()
            found = self._next
            self._next += 1
            name = (custom.name if custom is not None else fragment.function and fragment.function.name) or ""
            call = ToolCall(fragment.id or f"call_{found}", name, "", custom=custom is not None)
            self._calls.append((fragment.index, call.id, found))
            self._events.append(PartOpened(found, "tool_call", call))
        if custom is not None:
            piece = custom.input
        else:
            piece = None if fragment.function is None else arguments_of(fragment.function)
        if piece:
            self._events.append(ArgumentsDelta(found, piece))

    def _end(self) -> None:
        self._close()
        if self._tier is not None and self._tokens is None:
            self._events.append(UsageTold(UNKNOWN_TOKENS, self._tier))
        self._events.append(self._stop or Stopped("end"))
        self._events.append(Ended())
        self._done = True

    def _fail(self, fault: UpstreamFault) -> None:
        self._events.append(Failed(fault))
        self._done = True
