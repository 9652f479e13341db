"""Gemini's Interactions as a client of the matrix, by `google-genai`; stateless: every turn is sent whole."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from google import genai
from google.genai._gaos.lib import compat_errors  # the classes that it raises are not public

from tests.end_to_end.speakers import PNG, SCHEMA, TOOLS, Call, Failure, Said, block_of
from tests.end_to_end.stage import Json

STEPS = ("model_output", "thought", "function_call")


class Interactions:
    """See `speakers.Speaker`."""

    name = "gemini interactions"

    def __init__(self, client: genai.Client) -> None:
        self._client = client

    def user(self, text: str, image: bool = False) -> list[Any]:
        content: list[Json] = [{"type": "text", "text": text}]
        if image:
            content.append({"type": "image", "data": base64.b64encode(PNG).decode(), "mime_type": "image/png"})
        return [{"type": "user_input", "content": content}]

    def results(self, calls: list[Call], output: str) -> list[Any]:
        return [{"type": "function_result", "call_id": one.id, "name": one.name, "result": output} for one in calls]

    def say(
        self, model: str, past: list[Any], *, stream: bool = False, schema: bool = False, tools: bool = False,
        think: bool = False,
    ) -> Said:  # fmt: skip
        asked: Json = {"model": model, "input": past, "store": False, "generation_config": {"max_output_tokens": 4000}}
        if schema:
            asked["response_format"] = {"type": "text", "mime_type": "application/json", "schema": SCHEMA}
        if tools:
            asked["tools"] = [
                {"type": "function", "name": name, "parameters": parameters} for name, parameters in TOOLS.items()
            ]
        if think:
            asked["generation_config"] |= {"thinking_summaries": "auto", "thinking_level": "low"}
        create: Any = self._client.interactions.create
        told = {}
        if stream:
            status, usage, steps = _joined(create(**asked, stream=True))
        else:
            answer = create(**asked)
            status, usage = answer.status, answer.usage
            steps = [step.model_dump(exclude_none=True, mode="json") for step in answer.steps]
            response = getattr(answer, "sdk_http_response", None)
            told = dict(response.headers or {}) if response is not None else {}
        steps = [step for step in steps if step["type"] in STEPS]
        calls = [Call(step["id"], step["name"], step["arguments"]) for step in steps if step["type"] == "function_call"]
        text = _words([part for step in steps if step["type"] == "model_output" for part in step.get("content", ())])
        thought = _words([part for step in steps if step["type"] == "thought" for part in step.get("summary", ())])
        stop = {"completed": "end", "requires_action": "tools"}.get(status, status)
        used = (usage.total_input_tokens, usage.total_output_tokens)
        return Said(text, thought, calls, stop, used, steps, told)

    @contextmanager
    def begin(self, model: str, past: list[Any]) -> Iterator[str]:
        create: Any = self._client.interactions.create
        with create(model=model, input=past, store=False, stream=True) as events:
            yield next(
                event.delta.text for event in events if event.event_type == "step.delta" and event.delta.type == "text"
            )

    def failure(self, model: str, past: list[Any], *, stream: bool = False) -> Failure:
        try:
            self.say(model, past, stream=stream)
        except compat_errors.APIStatusError as error:
            told: Any = error.body
            told = told["error"]
            return Failure(error.status_code, told["message"], told.get("startline") or block_of(error))
        except _Broken as broken:
            return Failure(None, broken.error["message"], broken.error["startline"])
        raise AssertionError("it did not fail")


class _Broken(Exception):
    def __init__(self, error: Json) -> None:
        super().__init__(str(error))
        self.error = error


def _words(parts: list[Json]) -> str:
    return "".join(part.get("text", "") for part in parts)


def _joined(events: Any) -> tuple[str, Any, list[Json]]:
    """Status, usage and steps of a stream, put together as an application would."""
    steps: dict[int, Json] = {}
    fragments: dict[int, str] = {}
    status, usage = "", None
    for event in events:
        kind = event.event_type
        if kind == "error":
            raise _Broken(event.error.model_dump(mode="json"))
        if kind == "step.start":
            steps[event.index] = event.step.model_dump(exclude_none=True, mode="json")
        elif kind == "step.delta":
            _add(steps[event.index], event.delta.model_dump(exclude_none=True, mode="json"), fragments, event.index)
        elif kind == "interaction.completed":
            status, usage = event.interaction.status, event.interaction.usage
    for index, text in fragments.items():
        steps[index]["arguments"] = msgspec.json.decode(text)
    return status, usage, [steps[index] for index in sorted(steps)]


def _add(step: Json, delta: Json, fragments: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text":
            step.setdefault("content", []).append({"type": "text", "text": delta["text"]})
        case "thought_summary":
            step.setdefault("summary", []).append(delta["content"])
        case "thought_signature":
            step["signature"] = delta["signature"]
        case "arguments_delta":
            fragments[index] = fragments.get(index, "") + delta["arguments"]
