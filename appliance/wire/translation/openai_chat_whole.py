"""Whole Chat Completions answers, read and written. The rule: as a stream of the same answer, joined, would read."""

from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from appliance.domain.chat import Reasoning, Refusal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, AnswerPart, Stopped
from appliance.domain.tier import canonical_tier
from appliance.domain.tokens import UNKNOWN_TOKENS
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.tokens_openai import read_usage
from appliance.wire.translation.codec import Reply, Source
from appliance.wire.translation.openai_chat_answer_shapes import (
    CHUNK,
    FINISH,
    MessageShape,
    annotation_object,
    arguments_of,
    citations_of,
    details_of,
    fault_of,
    logprob_object,
    logprobs_of,
    started_of,
    stop_of,
    usage_object,
    words_of,
)
from appliance.wire.translation.openai_chat_reasoning import details_of as entries_of
from appliance.wire.translation.openai_chat_reasoning import read_details

_ENCODER = msgspec.json.Encoder()


def read_answer(body: bytes, source: Source) -> Answer:
    """A whole answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = decode_event(CHUNK, body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=source.provider, phase="body") from None
    if whole.error or whole.object == "error":
        fault = fault_of(whole, body, source)
        fault.phase = "body"
        raise fault
    choice = next((one for one in whole.choices or () if one.index == 0), None)
    if choice is None or choice.message is None:
        raise UpstreamFault("provider_garbled", provider=source.provider, phase="body")
    tier = word(whole.service_tier_used) or word(whole.service_tier)
    tokens = None if whole.usage is None else read_usage(whole.usage)
    started = started_of(whole)
    called = bool(choice.message.tool_calls or choice.message.function_call)
    return Answer(
        id=started.id,
        model=started.model,
        created=started.created,
        parts=_parts(choice.message, choice.logprobs),
        stop=Stopped(stop_of(choice.finish_reason or "stop", called=called)),
        usage=tokens if tokens is not None or tier is None else UNKNOWN_TOKENS,
        tier=tier,
    )


def _parts(message: MessageShape, logprobs: Raw | UnsetType) -> tuple[AnswerPart, ...]:
    parts: list[AnswerPart] = []
    thought, text = words_of(message.content)
    if message.reasoning_details and (details := details_of(message.reasoning_details)):
        parts += read_details(list(details))
    elif words := message.reasoning_content or message.reasoning or thought:
        parts.append(Reasoning(words))
    if text or message.annotations:
        cited = tuple(citations_of(message.annotations, 0))
        parts.append(Text(text, citations=cited, logprobs=logprobs_of(logprobs)))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    for number, call in enumerate(message.tool_calls or ()):
        call_id = call.id or f"call_{number}"
        if call.custom is not None:
            parts.append(ToolCall(call_id, call.custom.name or "", call.custom.input or "", custom=True))
        elif call.function is not None:
            parts.append(ToolCall(call_id, call.function.name or "", arguments_of(call.function)))
    if message.function_call is not None:
        parts.append(ToolCall("call_0", message.function_call.name or "", arguments_of(message.function_call)))
    return tuple(parts)


def write_answer(answer: Answer, reply: Reply) -> bytes:
    """The body of a whole answer."""
    content: list[str] = []
    refusal: list[str] = []
    annotations: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    thought: list[Reasoning] = []
    logprobs: list[dict[str, Any]] | None = None
    chars = 0
    for part in answer.parts:
        if isinstance(part, Text):
            begins, chars = chars, chars + len(part.text)
            content.append(part.text)
            noted = (annotation_object(citation, begins, chars) for citation in part.citations)
            annotations += [note for note in noted if note is not None]
            if part.logprobs is not None:
                logprobs = [*(logprobs or ()), *(logprob_object(one) for one in part.logprobs)]
        elif isinstance(part, Refusal):
            refusal.append(part.text)
        elif isinstance(part, Reasoning):
            thought.append(part)
        elif isinstance(part, ToolCall):  # what is left is a block that only another dialect knows
            if part.custom:
                calls.append({"id": part.id, "type": "custom", "custom": {"name": part.name, "input": part.arguments}})
            else:
                told = {"name": part.name, "arguments": part.arguments}
                calls.append({"id": part.id, "type": "function", "function": told})
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(content) if content else None,
        "refusal": "".join(refusal) or None,
        "annotations": annotations,
    }
    if calls:
        message["tool_calls"] = calls
    if thought:
        message["reasoning_content"] = "".join(block.text for block in thought)
        message["reasoning_details"] = [
            entry for index, block in enumerate(thought) for entry in entries_of(block, index)
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None if logprobs is None else {"content": logprobs, "refusal": None},
        "finish_reason": FINISH[answer.stop.reason] if answer.stop is not None else "stop",
    }
    whole: dict[str, Any] = {
        "id": answer.id or reply.id,
        "object": "chat.completion",
        "created": reply.created if answer.created is None else answer.created,
        "model": answer.model or reply.model,
        "choices": [choice],
    }
    usage = None if answer.usage is None else usage_object(answer.usage)
    if usage is not None:
        whole["usage"] = usage
    if answer.tier is not None:
        whole["service_tier"] = canonical_tier(answer.tier)
    return _ENCODER.encode(whole)
