"""Checks against the official SDK's types: every field of the right type, and no field that the SDK does not know."""

from collections.abc import Iterable
from typing import Any

import msgspec
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.interactions import Interaction, InteractionSSEEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

# Sent by OpenAI (seen on its wire) though the types do not list them.
_ALLOWED = {"store", "obfuscation"}
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_INTERACTION_EVENT: TypeAdapter[Any] = TypeAdapter(InteractionSSEEvent)
_MESSAGE_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def extras(value: object) -> set[str]:
    """Names of fields anywhere in a parsed value that its type does not know."""
    if isinstance(value, BaseModel):
        found = set(value.model_extra or {}) - _ALLOWED
        for name in type(value).model_fields:
            found |= extras(vars(value)[name])  # not by attribute: some are deprecated
        return found
    if isinstance(value, list | tuple):
        return set[str]().union(*(extras(part) for part in value))
    return set()


def chat(data: bytes) -> ChatCompletion:
    parsed = ChatCompletion.model_validate_json(data, strict=True)
    assert not extras(parsed)
    return parsed


def chunk(data: bytes) -> ChatCompletionChunk:
    parsed = ChatCompletionChunk.model_validate_json(data, strict=True)
    assert not extras(parsed)
    return parsed


def response(data: bytes) -> Response:
    parsed = Response.model_validate_json(data, strict=True)
    assert not extras(parsed)
    return parsed


def event(data: bytes) -> Any:
    parsed = _EVENT.validate_json(data, strict=True)
    assert parsed.type == msgspec.json.decode(data)["type"]
    assert not extras(parsed)
    return parsed


def frames(data: bytes) -> list[tuple[str, bytes]]:
    """(event name, data) of each server-sent event; asserts that there is nothing else."""
    assert data.endswith(b"\n\n")
    found = []
    for block in data[:-2].split(b"\n\n"):
        lines = block.split(b"\n")
        assert lines[-1].startswith(b"data: ")
        assert len(lines) == 1 or (len(lines) == 2 and lines[0].startswith(b"event: "))
        found.append((lines[0][7:].decode() if len(lines) == 2 else "", lines[-1][6:]))
    return found


def assembled(chunks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The unstreamed body that a chat stream amounts to, put together by the rules of the API."""
    answer: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for part in chunks:
        if not answer:
            answer = {key: part[key] for key in ("id", "created", "model", "service_tier", "system_fingerprint")}
            answer |= {"object": "chat.completion", "choices": []}
        if part.get("usage") is not None:
            answer["usage"] = part["usage"]
        for choice in part["choices"]:
            empty: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
            start = {"index": choice["index"], "message": empty, "logprobs": None, "finish_reason": None}
            kept = choices.setdefault(choice["index"], start)
            message = kept["message"]
            for name in ("content", "refusal", "reasoning_content"):
                if choice["delta"].get(name):
                    message[name] = (message.get(name) or "") + choice["delta"][name]
            for call in choice["delta"].get("tool_calls", ()):
                calls = message.setdefault("tool_calls", [])
                if len(calls) == call["index"]:
                    calls.append({"id": call["id"], "type": "function", "function": dict(call["function"])})
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
            if choice["logprobs"] is not None:
                kept["logprobs"] = kept["logprobs"] or {"content": None, "refusal": None}
                for name, values in choice["logprobs"].items():
                    if values:
                        kept["logprobs"][name] = (kept["logprobs"][name] or []) + values
            kept["finish_reason"] = choice["finish_reason"] or kept["finish_reason"]
    answer["choices"] = [choices[index] for index in sorted(choices)]
    return answer


def message(data: bytes) -> Message:
    parsed = Message.model_validate_json(data, strict=True)
    assert not extras(parsed)
    return parsed


def message_event(data: bytes) -> Any:
    """One event of Anthropic's stream but `ping`, which the SDK keeps to itself."""
    parsed = _MESSAGE_EVENT.validate_json(data, strict=True)
    assert parsed.type == msgspec.json.decode(data)["type"]
    assert not extras(parsed)
    return parsed


def generated(data: bytes) -> GenerateContentResponse:
    """A response of Gemini's; the SDK's type forbids what it does not know."""
    return GenerateContentResponse.model_validate_json(data)


def interaction(data: bytes) -> Interaction:
    """An interaction of Gemini's."""
    parsed = Interaction.model_validate_json(data)
    assert not extras(parsed) - {"object"}  # sent in streams, and by the types listed there alone
    return parsed


def interaction_event(data: bytes) -> Any:
    parsed = _INTERACTION_EVENT.validate_json(data)
    assert parsed.event_type == msgspec.json.decode(data)["event_type"]
    assert not extras(parsed)
    return parsed
