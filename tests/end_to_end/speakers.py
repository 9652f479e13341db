"""Clients that all do the same, each through its official SDK: what a matrix of dialects is made of.

The rule: a speaker sends back exactly what its SDK gave it, as an application would, so that what a translated answer
lacks is missed in the next turn.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import anthropic
import msgspec
import openai
from google import genai
from google.genai import errors, types

from tests.end_to_end.stage import Json

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS: dict[str, Json] = {
    name: {
        "type": "object",
        "properties": {part: {"type": "string"}},
        "required": [part],
        "additionalProperties": False,
    }
    for name, part in (("weather", "city"), ("local_time", "zone"))
}


class Call(msgspec.Struct, frozen=True):
    """A tool that the model calls."""

    id: str
    name: str
    arguments: Json


class Said(msgspec.Struct):
    """An answer: `stop` is `end`, `tools` or what the SDK said; `turn` what an application puts into the next request.

    `told` are the headers of an answer that was not streamed.
    """

    text: str
    reasoning: str
    calls: list[Call]
    stop: str
    used: tuple[int, int] | None
    turn: list[Any]
    told: dict[str, str] = {}


class Failure(msgspec.Struct, frozen=True):
    """An error as the SDK raised it; `block` is Startline's own."""

    status: int | None
    message: str
    block: Json


class Speaker(Protocol):
    """One SDK. `past` is a list of its own messages."""

    name: str

    def user(self, text: str, image: bool = False) -> list[Any]:
        """A user's message."""
        ...

    def results(self, calls: list[Call], output: str) -> list[Any]:
        """What the tools gave."""
        ...

    def say(
        self, model: str, past: list[Any], *, stream: bool = False, schema: bool = False, tools: bool = False,
        think: bool = False,
    ) -> Said:  # fmt: skip
        """Ask, and wait for the whole answer."""
        ...

    def begin(self, model: str, past: list[Any]) -> Any:
        """A context in which a streamed answer has begun; leaving it is leaving the answer."""
        ...

    def failure(self, model: str, past: list[Any], *, stream: bool = False) -> Failure:
        """The error of a request that must fail."""
        ...


def _url(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


class Chat:
    """Chat Completions, by `openai`."""

    name = "openai chat"

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def user(self, text: str, image: bool = False) -> list[Any]:
        parts: list[Any] = [{"type": "text", "text": text}]
        if image:
            parts.append({"type": "image_url", "image_url": {"url": _url(PNG)}})
        return [{"role": "user", "content": parts if image else text}]

    def results(self, calls: list[Call], output: str) -> list[Any]:
        return [{"role": "tool", "tool_call_id": call.id, "content": output} for call in calls]

    def _asked(self, model: str, past: list[Any], *, schema: bool, tools: bool, think: bool) -> Json:
        asked: Json = {"model": model, "messages": past, "max_completion_tokens": 500}
        if schema:
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "plan", "schema": SCHEMA}}
        if tools:
            asked["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": parameters}}
                for name, parameters in TOOLS.items()
            ]
        if think:
            asked["reasoning_effort"] = "low"
        return asked

    def say(
        self, model: str, past: list[Any], *, stream: bool = False, schema: bool = False, tools: bool = False,
        think: bool = False,
    ) -> Said:  # fmt: skip
        asked = self._asked(model, past, schema=schema, tools=tools, think=think)
        told = {}
        if stream:
            with self._client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
                answer: Any = events.get_final_completion()
        else:
            raw = self._client.chat.completions.with_raw_response.create(**asked)
            answer, told = raw.parse(), dict(raw.headers)
        choice = answer.choices[0]
        message = choice.message
        calls = [
            Call(call.id, call.function.name, msgspec.json.decode(call.function.arguments))
            for call in message.tool_calls or ()
        ]
        stop = {"stop": "end", "tool_calls": "tools"}.get(choice.finish_reason, choice.finish_reason)
        used = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        reasoning = getattr(message, "reasoning_content", None) or ""
        kept = message.model_dump(exclude_none=True, exclude={"parsed"})
        return Said(message.content or "", reasoning, calls, stop, used, [kept], told)

    @contextmanager
    def begin(self, model: str, past: list[Any]) -> Iterator[str]:
        with self._client.chat.completions.create(model=model, messages=past, stream=True) as events:
            yield next(said for event in events if event.choices and (said := event.choices[0].delta.content))

    def failure(self, model: str, past: list[Any], *, stream: bool = False) -> Failure:
        try:
            self.say(model, past, stream=stream)
        except openai.APIError as error:
            return _openai_failure(error)
        raise AssertionError("it did not fail")


def _openai_failure(error: openai.APIError) -> Failure:
    told: Any = error.body
    assert isinstance(told, dict), told
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    return Failure(status, told["message"], told.get("startline") or block_of(error))


def block_of(error: Any) -> Json:
    """The block of an error that passed as it came: then it is in a header."""
    headers = error.response.headers
    block: Json = msgspec.json.decode(headers["x-startline-error"])
    return block


class Responses:
    """The Responses API, by `openai`; stateless, as agents use it: every turn is sent whole."""

    name = "openai responses"

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def user(self, text: str, image: bool = False) -> list[Any]:
        parts: list[Any] = [{"type": "input_text", "text": text}]
        if image:
            parts.append({"type": "input_image", "image_url": _url(PNG), "detail": "auto"})
        return [{"role": "user", "content": parts if image else text}]

    def results(self, calls: list[Call], output: str) -> list[Any]:
        return [{"type": "function_call_output", "call_id": call.id, "output": output} for call in calls]

    def say(
        self, model: str, past: list[Any], *, stream: bool = False, schema: bool = False, tools: bool = False,
        think: bool = False,
    ) -> Said:  # fmt: skip
        asked: Json = {"model": model, "input": past, "max_output_tokens": 500, "store": False}
        if schema:
            asked["text"] = {"format": {"type": "json_schema", "name": "plan", "schema": SCHEMA}}
        if tools:
            asked["tools"] = [
                {"type": "function", "name": name, "parameters": parameters, "strict": False}
                for name, parameters in TOOLS.items()
            ]
        if think:
            asked |= {
                "reasoning": {"effort": "low", "summary": "auto"},
                "include": ["reasoning.encrypted_content"],
            }
        told = {}
        if stream:
            with self._client.responses.stream(**asked) as events:
                answer: Any = events.get_final_response()
        else:
            raw = self._client.responses.with_raw_response.create(**asked)
            answer, told = raw.parse(), dict(raw.headers)
        calls = [
            Call(item.call_id, item.name, msgspec.json.decode(item.arguments))
            for item in answer.output
            if item.type == "function_call"
        ]
        thought = [
            part.text
            for item in answer.output
            if item.type == "reasoning"
            for part in [*item.summary, *(item.content or ())]
        ]
        status = answer.incomplete_details.reason if answer.incomplete_details else answer.status
        stop = {"completed": "tools" if calls else "end"}.get(status, str(status))
        used = (answer.usage.input_tokens, answer.usage.output_tokens)
        kept = [
            item.model_dump(exclude_none=True, exclude={"parsed_arguments": True, "content": {"__all__": {"parsed"}}})
            for item in answer.output
        ]
        return Said(answer.output_text, "".join(thought), calls, stop, used, kept, told)

    @contextmanager
    def begin(self, model: str, past: list[Any]) -> Iterator[str]:
        with self._client.responses.create(model=model, input=past, stream=True) as events:
            yield next(event.delta for event in events if event.type == "response.output_text.delta")

    def failure(self, model: str, past: list[Any], *, stream: bool = False) -> Failure:
        try:
            self.say(model, past, stream=stream)
        except openai.APIError as error:
            return _openai_failure(error)
        raise AssertionError("it did not fail")


class Messages:
    """Anthropic Messages, by `anthropic`."""

    name = "anthropic messages"

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client = client

    def user(self, text: str, image: bool = False) -> list[Any]:
        parts: list[Any] = [{"type": "text", "text": text}]
        if image:
            source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
            parts.insert(0, {"type": "image", "source": source})
        return [{"role": "user", "content": parts if image else text}]

    def results(self, calls: list[Call], output: str) -> list[Any]:
        content = [{"type": "tool_result", "tool_use_id": call.id, "content": output} for call in calls]
        return [{"role": "user", "content": content}]

    def say(
        self, model: str, past: list[Any], *, stream: bool = False, schema: bool = False, tools: bool = False,
        think: bool = False,
    ) -> Said:  # fmt: skip
        asked: Json = {"model": model, "messages": past, "max_tokens": 4000}
        if schema:
            asked["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if tools:
            asked["tools"] = [{"name": name, "input_schema": parameters} for name, parameters in TOOLS.items()]
        if think:
            asked["thinking"] = {"type": "adaptive", "display": "summarized"}
        told = {}
        if stream:
            with self._client.messages.stream(**asked) as events:
                answer: Any = events.get_final_message()
        else:
            raw = self._client.messages.with_raw_response.create(**asked)
            answer, told = raw.parse(), dict(raw.headers)
        calls = [Call(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"]
        text = "".join(block.text for block in answer.content if block.type == "text")
        thought = "".join(block.thinking for block in answer.content if block.type == "thinking")
        stop = {"end_turn": "end", "tool_use": "tools"}.get(answer.stop_reason, answer.stop_reason)
        used = (answer.usage.input_tokens, answer.usage.output_tokens)
        kept = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in answer.content]
        return Said(text, thought, calls, stop, used, [{"role": "assistant", "content": kept}], told)

    @contextmanager
    def begin(self, model: str, past: list[Any]) -> Iterator[str]:
        with self._client.messages.stream(model=model, messages=past, max_tokens=4000) as events:
            yield next(iter(events.text_stream))

    def failure(self, model: str, past: list[Any], *, stream: bool = False) -> Failure:
        try:
            self.say(model, past, stream=stream)
        except anthropic.APIStatusError as error:
            told: Any = error.body
            return Failure(
                error.status_code, told["error"]["message"], told["error"].get("startline") or block_of(error)
            )
        raise AssertionError("it did not fail")


class Gemini:
    """generateContent, by `google-genai`."""

    name = "gemini generateContent"

    def __init__(self, client: genai.Client) -> None:
        self._client = client

    def user(self, text: str, image: bool = False) -> list[Any]:
        parts = [types.Part.from_text(text=text)]
        if image:
            parts.append(types.Part.from_bytes(data=PNG, mime_type="image/png"))
        return [types.Content(role="user", parts=parts)]

    def results(self, calls: list[Call], output: str) -> list[Any]:
        parts = []
        for call in calls:
            part = types.Part.from_function_response(name=call.name, response={"output": output})
            if part.function_response and call.id:
                part.function_response.id = call.id
            parts.append(part)
        return [types.Content(role="user", parts=parts)]

    def say(
        self, model: str, past: list[Any], *, stream: bool = False, schema: bool = False, tools: bool = False,
        think: bool = False,
    ) -> Said:  # fmt: skip
        config: Json = {"automatic_function_calling": {"disable": True}, "max_output_tokens": 4000}
        if schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        if tools:
            config["tools"] = [
                {
                    "function_declarations": [
                        {"name": name, "parameters_json_schema": parameters} for name, parameters in TOOLS.items()
                    ]
                }
            ]
        if think:
            config["thinking_config"] = {"include_thoughts": True, "thinking_level": "LOW"}
        told = {}
        if stream:
            chunks = list(self._client.models.generate_content_stream(model=model, contents=past, config=config))  # type: ignore[arg-type]
        else:
            chunks = [self._client.models.generate_content(model=model, contents=past, config=config)]  # type: ignore[arg-type]
            answered = chunks[0].sdk_http_response
            told = dict(answered.headers or {}) if answered is not None else {}
        parts = [part for chunk in chunks for part in chunk.parts or ()]
        calls = [
            Call(part.function_call.id or "", part.function_call.name or "", part.function_call.args or {})
            for part in parts
            if part.function_call
        ]
        text = "".join(part.text or "" for part in parts if not part.thought)
        thought = "".join(part.text or "" for part in parts if part.thought)
        candidates = chunks[-1].candidates or []
        finish = candidates[0].finish_reason if candidates else None
        stop = ("tools" if calls else "end") if finish == types.FinishReason.STOP else str(finish)
        usage = chunks[-1].usage_metadata
        used = (usage.prompt_token_count or 0, usage.candidates_token_count or 0) if usage is not None else None
        return Said(text, thought, calls, stop, used, [types.Content(role="model", parts=parts)], told)

    @contextmanager
    def begin(self, model: str, past: list[Any]) -> Iterator[str]:
        chunks = self._client.models.generate_content_stream(model=model, contents=past)
        yield next(chunk.text for chunk in chunks if chunk.text)
        chunks.close()  # type: ignore[attr-defined]  # it is a generator

    def failure(self, model: str, past: list[Any], *, stream: bool = False) -> Failure:
        try:
            self.say(model, past, stream=stream)
        except errors.APIError as error:
            told: Any = error.details
            told = told.get("error", told)
            return Failure(error.code, told["message"], told.get("startline") or block_of(error))
        raise AssertionError("it did not fail")
