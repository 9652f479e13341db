"""Chat Completions answers written, streamed and whole. The rule: chunks as OpenAI cuts them, one id in all of them.

The first chunk has the role, the last with a choice the finish reason; then the usage if it was asked for, and [DONE].
Citations stand in the chunk of the finish reason, all together, since the official SDK cannot join two lists of them.
Reasoning goes out as `reasoning_content` for clients that show it and as `reasoning_details` for those that give it
back (see openai_chat_reasoning); a block that only another dialect knows goes out not at all.
"""

from typing import Any, Final

import msgspec

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
from appliance.domain.tier import canonical_tier
from appliance.wire.openai_chat import error_event, keep_alive
from appliance.wire.translation.codec import Reply
from appliance.wire.translation.openai_chat_answer_shapes import (
    FINISH,
    annotation_object,
    logprob_object,
    usage_object,
)
from appliance.wire.translation.openai_chat_reasoning import detail_of_seal

_ENCODER = msgspec.json.Encoder()
_BEFORE: Final = frozenset({Started, Failed, Ping})
"""Events that may come before the head."""


class AnswerWriter:
    """See `codec.AnswerWriter`."""

    __slots__ = (
        "_before",
        "_begins",
        "_calls",
        "_chars",
        "_cited",
        "_customs",
        "_ends",
        "_head",
        "_reply",
        "_tail",
        "_thoughts",
        "_usage",
    )

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._head = b""  # of every chunk, up to the choices
        self._before = b""  # of a chunk with content, up to the delta
        self._tail = b""
        self._calls: dict[int, int] = {}  # part → index among the calls
        self._customs: set[int] = set()
        self._thoughts: dict[int, int] = {}  # part → index among the reasoning
        self._begins: dict[int, int] = {}  # text part → where it begins in the content
        self._chars = 0
        self._ends: dict[int, int] = {}
        self._cited: list[Cited] = []
        self._usage: UsageTold | None = None

    def write(self, event: Event) -> bytes:
        """See `codec.AnswerWriter`."""
        kind = type(event)
        if not self._head and kind not in _BEFORE:
            return self._started(Started()) + self.write(event)  # a provider that did not say that it starts
        if kind is TextDelta:
            return self._text(event)  # type: ignore[arg-type]  # as its type says; isinstance costs more
        if isinstance(event, ArgumentsDelta):
            name = "custom" if event.index in self._customs else "function"
            field = "input" if name == "custom" else "arguments"
            return self._chunk({"tool_calls": [{"index": self._calls[event.index], name: {field: event.json}}]})
        if isinstance(event, ReasoningDelta):
            detail = {"type": "reasoning.text", "text": event.text, "index": self._thoughts[event.index]}
            return self._chunk({"reasoning_content": event.text, "reasoning_details": [detail]})
        if isinstance(event, PartOpened):
            return self._opened(event)
        if isinstance(event, Started):
            return self._started(event)
        if isinstance(event, PartClosed):
            if event.index in self._begins:
                self._ends[event.index] = self._chars
            return b""
        if isinstance(event, RefusalDelta):
            return self._chunk({"refusal": event.text})
        if isinstance(event, Sealed):
            return self._chunk({"reasoning_details": [detail_of_seal(event.seal, self._thoughts[event.index])]})
        if isinstance(event, Cited):
            self._cited.append(event)
            return b""
        if isinstance(event, UsageTold):
            self._usage = event
            return b""
        if isinstance(event, Stopped):
            return self._stopped(event)
        if isinstance(event, Ended):
            return self._ended()
        if isinstance(event, Failed):
            return error_event(event.fault)
        if isinstance(event, Ping):
            return keep_alive()
        raise TypeError(f"not an event: {kind.__name__}")

    def _started(self, event: Started) -> bytes:
        reply = self._reply
        top = {
            "id": event.id or reply.id,
            "object": "chat.completion.chunk",
            "created": reply.created if event.created is None else event.created,
            "model": event.model or reply.model,
        }
        self._head = b"data: " + _ENCODER.encode(top)[:-1] + b',"choices":['
        self._before = self._head + b'{"index":0,"delta":'
        usage = b',"usage":null' if reply.include_usage else b""
        self._tail = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        return self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._before + _ENCODER.encode(delta) + self._tail

    def _text(self, event: TextDelta) -> bytes:
        self._chars += len(event.text)
        content = self._before + b'{"content":' + _ENCODER.encode(event.text) + b"}"
        if event.logprobs is None:
            return content + self._tail
        told = _ENCODER.encode({"content": [logprob_object(one) for one in event.logprobs], "refusal": None})
        return content + b',"logprobs":' + told + self._tail.removeprefix(b',"logprobs":null')

    def _opened(self, event: PartOpened) -> bytes:
        if event.kind == "reasoning":
            self._thoughts[event.index] = len(self._thoughts)
        elif event.kind == "text":
            self._begins[event.index] = self._chars
        elif event.call is not None:
            call = event.call
            index = self._calls[event.index] = len(self._calls)
            opened: dict[str, Any] = {"index": index, "id": call.id}
            if call.custom:
                self._customs.add(event.index)
                opened |= {"type": "custom", "custom": {"name": call.name, "input": ""}}
            else:
                opened |= {"type": "function", "function": {"name": call.name, "arguments": ""}}
            return self._chunk({"tool_calls": [opened]})
        return b""

    def _stopped(self, event: Stopped) -> bytes:
        noted = (
            annotation_object(cited.citation, self._begins[cited.index], self._ends.get(cited.index, self._chars))
            for cited in self._cited
        )
        notes = [note for note in noted if note is not None]
        delta = {"annotations": notes} if notes else {}
        finish = b',"logprobs":null,"finish_reason":' + _ENCODER.encode(FINISH[event.reason]) + b"}]"
        tier = b"" if self._usage is None or self._usage.tier is None else self._tier(self._usage.tier)
        usage = b',"usage":null' if self._reply.include_usage else b""
        return self._before + _ENCODER.encode(delta) + finish + tier + usage + b"}\n\n"

    def _ended(self) -> bytes:
        if not self._reply.include_usage or self._usage is None:
            return b"data: [DONE]\n\n"
        tier = b"" if self._usage.tier is None else self._tier(self._usage.tier)
        usage = b',"usage":' + _ENCODER.encode(usage_object(self._usage.tokens))
        return self._head + b"]" + tier + usage + b"}\n\ndata: [DONE]\n\n"

    @staticmethod
    def _tier(tier: str) -> bytes:
        return b',"service_tier":' + _ENCODER.encode(canonical_tier(tier))
