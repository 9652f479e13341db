"""Responses streams written. The rule: every event in its order, numbered, ids stable, and each item whole when done.

This dialect says all of an item again when it is done, and all items in the terminal event (agents build their history
from them), so an answer's words are held until its end. Each text and each refusal is a message of its own.
"""

from typing import Any

import msgspec

from appliance.domain.chat import Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.stream import (
    Answer,
    AnswerPart,
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
from appliance.wire.openai_responses import error_event, keep_alive
from appliance.wire.translation.codec import Reply
from appliance.wire.translation.openai_chat_answer_shapes import logprob_object
from appliance.wire.translation.openai_responses_answer_shapes import response_object, status_of
from appliance.wire.translation.openai_responses_items import (
    annotation_object,
    call_item,
    id_of,
    message_item,
    reasoning_item,
    text_part,
)

_ENCODER = msgspec.json.Encoder()
_PARTS: dict[str, AnswerPart] = {"text": Text(""), "refusal": Refusal(""), "reasoning": Reasoning()}


class _Item:
    """An item that is open."""

    __slots__ = ("call", "chars", "head", "id", "index", "kind", "logprobs", "notes", "pieces", "seal")

    def __init__(self, kind: str, item_id: str, index: int, call: ToolCall | None) -> None:
        self.kind = kind
        self.id = item_id
        self.index = index
        self.call = call
        self.head = b""  # of a delta, up to its text
        self.pieces: list[str] = []
        self.chars = 0
        self.notes: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] = []
        self.seal: Seal | None = None


class AnswerWriter:
    """See `codec.AnswerWriter`."""

    __slots__ = ("_answer", "_items", "_output", "_reply", "_sequence", "_stopped", "_used")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._answer = Answer()  # what the response object tells
        self._items: dict[int, _Item] = {}  # part → its item
        self._output: list[Any] = []  # the items, each as bytes once it is done
        self._sequence = 0
        self._used: UsageTold | None = None
        self._stopped: Stopped | None = None

    def write(self, event: Event) -> bytes:
        """See `codec.AnswerWriter`."""
        kind = type(event)
        if kind is TextDelta:
            return self._text(event)  # type: ignore[arg-type]  # as its type says; isinstance costs more
        if isinstance(event, ArgumentsDelta):
            return self._delta(self._items[event.index], event.json)
        if isinstance(event, ReasoningDelta):
            return self._think(self._items[event.index], event.text)
        if isinstance(event, RefusalDelta):
            return self._delta(self._items[event.index], event.text)
        if isinstance(event, PartOpened):
            return self._opened(event)
        if isinstance(event, PartClosed):
            item = self._items.pop(event.index, None)
            return b"" if item is None else self._closed(item)
        if isinstance(event, Started):
            return self._started(event)
        if isinstance(event, Sealed):
            self._items[event.index].seal = event.seal
        elif isinstance(event, Cited):
            return self._cited(self._items[event.index], event)
        elif isinstance(event, UsageTold):
            self._used = event
        elif isinstance(event, Stopped):
            self._stopped = event
        elif isinstance(event, Ended):
            return self._ended()
        elif isinstance(event, Failed):
            response_id = self._answer.id or None
            return error_event(event.fault, sequence_number=self._sequence, response_id=response_id)
        elif isinstance(event, Ping):
            return keep_alive()
        return b""

    def _event(self, name: str, fields: dict[str, Any]) -> bytes:
        told = {"type": name} | fields | {"sequence_number": self._sequence}
        self._sequence += 1
        return b"event: " + name.encode() + b"\ndata: " + _ENCODER.encode(told) + b"\n\n"

    def _started(self, event: Started) -> bytes:
        reply = self._reply
        self._answer = Answer(
            id=event.id or reply.id,
            model=event.model or reply.model,
            created=reply.created if event.created is None else event.created,
        )
        told = {"response": response_object(self._answer, [], "in_progress")}
        return self._event("response.created", told) + self._event("response.in_progress", told)

    def _opened(self, event: PartOpened) -> bytes:
        index = len(self._output)
        if event.opaque is not None:
            if event.opaque.dialect != "openai_responses":
                return b""
            self._output.append(event.opaque.raw)
            told = {"output_index": index, "item": event.opaque.raw}
            return self._event("response.output_item.added", told) + self._event("response.output_item.done", told)
        part = event.call if event.call is not None else _PARTS[event.kind]
        item = _Item(event.kind, id_of(part, self._answer.id, index), index, event.call)
        self._items[event.index] = item
        self._output.append(None)
        if event.call is not None:
            name = "response.custom_tool_call_input" if event.call.custom else "response.function_call_arguments"
            told_item = call_item(item.id, event.call, "in_progress")
        elif event.kind == "reasoning":
            name, told_item = "response.reasoning_summary_text", reasoning_item(item.id, "", None)
        else:
            name = "response.output_text" if event.kind == "text" else "response.refusal"
            told_item = message_item(item.id, [], "in_progress")
        item.head = self._head_of_delta(name + ".delta", item)
        added = self._event("response.output_item.added", {"output_index": index, "item": told_item})
        if event.kind in ("text", "refusal"):
            added += self._event("response.content_part.added", _place(item) | {"part": _content(item, "")})
        return added

    @staticmethod
    def _head_of_delta(name: str, item: _Item) -> bytes:
        fields = {"type": name} | _place(item)
        return b"event: " + name.encode() + b"\ndata: " + _ENCODER.encode(fields)[:-1] + b',"delta":'

    def _text(self, event: TextDelta) -> bytes:
        item = self._items[event.index]
        item.pieces.append(event.text)
        item.chars += len(event.text)
        logprobs = b'[],"sequence_number":'
        if event.logprobs is not None:
            told = [logprob_object(one) for one in event.logprobs]
            item.logprobs += told
            logprobs = _ENCODER.encode(told) + b',"sequence_number":'
        number = self._sequence
        self._sequence = number + 1
        return item.head + _ENCODER.encode(event.text) + b',"logprobs":' + logprobs + b"%d}\n\n" % number

    def _delta(self, item: _Item, text: str) -> bytes:
        item.pieces.append(text)
        number = self._sequence
        self._sequence = number + 1
        return item.head + _ENCODER.encode(text) + b',"sequence_number":%d}\n\n' % number

    def _think(self, item: _Item, text: str) -> bytes:
        opening = b""
        if not item.pieces:
            part = {"type": "summary_text", "text": ""}
            opening = self._event("response.reasoning_summary_part.added", _place(item) | {"part": part})
        return opening + self._delta(item, text)

    def _cited(self, item: _Item, event: Cited) -> bytes:
        note = annotation_object(event.citation, item.chars)
        if note is None:
            return b""
        item.notes.append(note)
        told = {"annotation_index": len(item.notes) - 1, "annotation": note}
        return self._event("response.output_text.annotation.added", _place(item) | told)

    def _closed(self, item: _Item) -> bytes:
        text = "".join(item.pieces)
        done = b""
        told: dict[str, Any]
        if item.call is not None:
            call = msgspec.structs.replace(item.call, arguments=text)
            told_item = call_item(item.id, call, "completed")
            if call.custom:
                done = self._event("response.custom_tool_call_input.done", _place(item) | {"input": text})
            else:
                told = {"name": call.name, "arguments": text}
                done = self._event("response.function_call_arguments.done", _place(item) | told)
        elif item.kind == "reasoning":
            told_item = reasoning_item(item.id, text, item.seal)
            if text:
                part = {"type": "summary_text", "text": text}
                done = self._event("response.reasoning_summary_text.done", _place(item) | {"text": text})
                done += self._event("response.reasoning_summary_part.done", _place(item) | {"part": part})
        else:
            content = _content(item, text)
            told_item = message_item(item.id, [content], "completed")
            if item.kind == "text":
                told = {"text": text, "logprobs": item.logprobs}
                done = self._event("response.output_text.done", _place(item) | told)
            else:
                done = self._event("response.refusal.done", _place(item) | {"refusal": text})
            done += self._event("response.content_part.done", _place(item) | {"part": content})
        raw = msgspec.Raw(_ENCODER.encode(told_item))
        self._output[item.index] = raw
        return done + self._event("response.output_item.done", {"output_index": item.index, "item": raw})

    def _ended(self) -> bytes:
        used = self._used
        answer = msgspec.structs.replace(
            self._answer,
            stop=self._stopped,
            usage=None if used is None else used.tokens,
            tier=None if used is None else used.tier,
        )
        status = status_of(None if self._stopped is None else self._stopped.reason)
        told = response_object(answer, self._output, status)
        return self._event("response.completed" if status == "completed" else "response.incomplete", {"response": told})


def _place(item: _Item) -> dict[str, Any]:
    """Which item, and which part of it."""
    place: dict[str, Any] = {"item_id": item.id, "output_index": item.index}
    if item.kind == "reasoning":
        place["summary_index"] = 0
    elif item.call is None:
        place["content_index"] = 0
    return place


def _content(item: _Item, text: str) -> dict[str, Any]:
    return text_part(text, item.notes, item.logprobs) if item.kind == "text" else {"type": "refusal", "refusal": text}
