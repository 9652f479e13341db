from typing import Any

import msgspec
import pytest

from appliance.domain.chat import (
    Conversation,
    CustomTool,
    File,
    Image,
    Inline,
    OutputFormat,
    Reasoning,
    Refusal,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Uploaded,
    Url,
    WebSearch,
)
from appliance.simulator.interactions_reading import read as simulated
from appliance.wire.translation.codec import Target
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.gemini_interactions_request_writer import write_request

TARGET = Target(model="gemini-3.5-flash", home="gemini", stream=True, tier="flex")
ASKED = Turn("user", (Text("x"),))


def conversation(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(dialect="openai_chat", model="m", turns=turns or (ASKED,), **fields)


def write(told: Conversation) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = write_request(told, TARGET)
    body = msgspec.json.decode(written.body)
    simulated(body)  # refuses what Google would
    return body, written.dropped


def test_turns_become_steps() -> None:
    mark = "c2ltdWxhdG9y"  # what the simulator takes for its own
    body, dropped = write(
        conversation(
            Turn("system", (Text("a"), Text("b"))),
            Turn(
                "user",
                (Text("look"), Text(""), Image(Inline("image/png", "AAAA")), File(Url("https://e.org/a.pdf"), "n")),
            ),
            Turn(
                "assistant",
                (
                    Reasoning("other", Seal("anthropic", "sig")),
                    Reasoning("own", Seal("gemini", mark, "signature")),
                    Text("a"),
                    Refusal("b"),
                    ToolCall("1", "f", '{"b": 1}'),
                ),
            ),
            Turn("tool", (ToolResult("1", (Text("x"), Image(Inline("image/png", "AAAA"))), True),)),
            Turn("system", (Text("mid"),)),
        )
    )
    assert body["system_instruction"] == "a\n\nb"
    assert body["input"] == [
        {
            "type": "user_input",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "data": "AAAA", "mime_type": "image/png"},
                {"type": "document", "uri": "https://e.org/a.pdf", "mime_type": "application/pdf"},
            ],
        },
        {"type": "thought", "signature": mark, "summary": [{"type": "text", "text": "own"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"type": "function_call", "id": "1", "name": "f", "arguments": {"b": 1}},
        {
            "type": "function_result",
            "call_id": "1",
            "name": "f",
            "is_error": True,
            "result": [{"type": "text", "text": "x"}, {"type": "image", "data": "AAAA", "mime_type": "image/png"}],
        },
        {"type": "user_input", "content": [{"type": "text", "text": "mid"}]},
    ]
    assert set(dropped) == {
        "text.empty",
        "file.name",
        "reasoning.text",
        "reasoning.seal",
        "refusal",
        "role=system",
        "system.texts",
    }
    assert (body["store"], body["stream"], body["service_tier"], body["model"]) == (False, True, "flex", TARGET.model)


@pytest.mark.parametrize(
    ("thinking", "config", "dropped"),
    [
        (Thinking(True, "high", None, "summary"), {"thinking_level": "high", "thinking_summaries": "auto"}, ()),
        (Thinking(True, "max"), {"thinking_level": "xhigh"}, ("thinking.effort=max",)),
        (Thinking(False), {"thinking_level": "minimal"}, ("thinking.on=false",)),
        (
            Thinking(True, None, 5000, "omitted"),
            {"thinking_level": "medium", "thinking_summaries": "none"},
            ("thinking.budget_tokens",),
        ),
    ],
)
def test_thinking(thinking: Thinking, config: object, dropped: tuple[str, ...]) -> None:
    body, lost = write(conversation(thinking=thinking))
    assert (body["generation_config"], lost) == (config, dropped)


@pytest.mark.parametrize(
    ("choice", "strict", "told"),
    [
        (ToolChoice("auto"), None, "auto"),
        (None, True, "validated"),
        (ToolChoice("required"), None, "any"),
        (ToolChoice("none"), None, "none"),
        (ToolChoice("named", ("f",)), None, {"allowed_tools": {"mode": "any", "tools": ["f"]}}),
        (ToolChoice("allowed", ("f",)), None, {"allowed_tools": {"mode": "auto", "tools": ["f"]}}),
    ],
)
def test_tools_and_their_choice(choice: ToolChoice | None, strict: bool | None, told: object) -> None:
    body, _ = write(conversation(tools=(Tool("f", "d", None, strict), WebSearch()), tool_choice=choice))
    assert body["tools"] == [{"type": "function", "name": "f", "description": "d"}, {"type": "google_search"}]
    assert body["generation_config"]["tool_choice"] == told


def test_json_by_a_schema() -> None:
    body, dropped = write(conversation(output=OutputFormat("json_schema", msgspec.Raw(b'{"a":1.0}'), "n")))
    assert body["response_format"] == {"type": "text", "mime_type": "application/json", "schema": {"a": 1.0}}
    assert dropped == ("output.name",)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (conversation(top_k=1), "top_k"),
        (conversation(presence_penalty=0.5), "presence_penalty"),
        (conversation(logprobs=True), "logprobs"),
        (conversation(parallel_tool_calls=False), "parallel_tool_calls"),
        (conversation(store=True), "store"),
        (conversation(Turn("user", (Text("x"),), "Ann")), "messages[0].name"),
        (conversation(Turn("user", (File(Uploaded("openai", "file-1")),))), "messages[0]"),
        (conversation(Turn("tool", (ToolResult("gone", (Text("x"),)),))), "messages[0].tool_call_id"),
        (conversation(Turn("assistant", (ToolCall("1", "f", "["),))), "messages[0]"),
        (conversation(tools=(CustomTool("c"),)), "tools[0]"),
        (conversation(tools=(WebSearch(most_uses=1),)), "tools[0].most_uses"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(told: Conversation, field: str) -> None:
    with pytest.raises(Inexpressible) as caught:
        write_request(told, TARGET)
    assert caught.value.param == field
