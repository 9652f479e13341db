from typing import Any

import msgspec
import pytest

from appliance.domain.chat import (
    Cache,
    Conversation,
    CustomTool,
    File,
    Image,
    Inline,
    Opaque,
    OutputFormat,
    PlainText,
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
from appliance.wire.translation.codec import Target
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.openai_responses_request_writer import write_request

TARGET = Target(model="gpt-6-sol", home="openai", stream=True, tier="flex")
ASKED = Turn("user", (Text("x"),))


def conversation(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(dialect="anthropic_messages", model="m", turns=turns or (ASKED,), **fields)


def write(told: Conversation, target: Target = TARGET) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = write_request(told, target)
    return msgspec.json.decode(written.body), written.dropped


def test_turns_become_items() -> None:
    body, dropped = write(
        conversation(
            Turn("system", (Text("s"),)),
            Turn("developer", (Text("d"), Text("e"))),
            Turn("user", (Text("look"), Image(Inline("image/png", "AAAA"), "low"), File(PlainText("é"), "a.txt"))),
            Turn(
                "assistant",
                (
                    Reasoning("other", Seal("anthropic", "sig")),
                    Reasoning("own", Seal("openai", "gA", "encrypted", "rs_1")),
                    Text("a"),
                    Text("b"),
                    ToolCall("1", "f", '{"b": 1}'),
                    ToolCall("2", "c", "free", custom=True),
                    Refusal("no"),
                    Opaque("openai_responses", "web_search_call", msgspec.Raw(b'{"type":"web_search_call"}')),
                ),
            ),
            Turn(
                "tool",
                (
                    ToolResult("1", (Text("x"), Image(Url("https://e.org/i"))), False),
                    ToolResult("2", (), custom=True),
                ),
            ),
        )
    )
    assert body["instructions"] == "s"
    assert body["input"] == [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "d"}, {"type": "input_text", "text": "e"}],
        },
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                {"type": "input_file", "file_data": "data:text/plain;base64,w6k=", "filename": "a.txt"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "own"}],
            "encrypted_content": "gA",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}],
        },
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"b": 1}'},
        {"type": "custom_tool_call", "call_id": "2", "name": "c", "input": "free"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "web_search_call"},
        {
            "type": "function_call_output",
            "call_id": "1",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "https://e.org/i"},
            ],
        },
        {"type": "custom_tool_call_output", "call_id": "2", "output": ""},
    ]
    assert dropped == ("reasoning.text", "reasoning.seal", "tool_result.is_error")
    assert (body["store"], body["stream"], body["service_tier"], body["model"]) == (False, True, "flex", "gpt-6-sol")
    assert body["include"] == ["reasoning.encrypted_content"]  # what was sealed wants a seal again


def test_fields() -> None:
    body, dropped = write(
        conversation(
            tools=(
                Tool("f", "d", msgspec.Raw(b'{"type":"object"}'), True),
                Tool("g"),
                CustomTool("c", format=msgspec.Raw(b'{"type":"text"}')),
                WebSearch("low", ("e.org",), location={"city": "Bonn"}),
            ),
            tool_choice=ToolChoice("allowed", ("f", "c")),
            output=OutputFormat("json_schema", msgspec.Raw(b"{}")),
            thinking=Thinking(True, "max", None, "summary"),
            verbosity="high",
            logprobs=True,
            top_logprobs=2,
            user="u",
            cache_key="k",
            parallel_tool_calls=False,
            metadata=msgspec.Raw(b"{}"),
            frequency_penalty=0.0,
        )
    )
    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "name": "g", "parameters": None, "strict": False},
        {"type": "custom", "name": "c", "format": {"type": "text"}},
        {
            "type": "web_search",
            "filters": {"allowed_domains": ["e.org"]},
            "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Bonn"},
        },
    ]
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
    }
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": {}},
        "verbosity": "high",
    }
    assert body["reasoning"] == {"effort": "max", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert (body["safety_identifier"], body["prompt_cache_key"], body["parallel_tool_calls"]) == ("u", "k", False)
    assert dropped == ("metadata", "frequency_penalty=0")


def test_a_model_that_was_not_asked_to_think_is_asked_for_no_seals() -> None:
    assert "include" not in write(conversation())[0]
    assert "include" not in write(conversation(thinking=Thinking(False)))[0]


def test_breakpoints_go_where_they_are_understood() -> None:
    told = conversation(Turn("user", (Text("x", Cache(7200)),)))
    assert write(told)[1] == ("cache",)
    body, dropped = write(told, msgspec.structs.replace(TARGET, quirks=frozenset({"cache_breakpoints"})))
    assert body["input"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit", "ttl": "12h"}
    assert dropped == ()


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (conversation(stop=("x",)), "stop"),
        (conversation(seed=1), "seed"),
        (conversation(top_k=1), "top_k"),
        (conversation(presence_penalty=0.5), "presence_penalty"),
        (conversation(store=True), "store"),
        (conversation(n=2), "n"),
        (conversation(Turn("user", (Text("x"),), "Ann")), "messages[0].name"),
        (conversation(Turn("user", (Image(Uploaded("anthropic", "file_1")),))), "messages[0]"),
        (conversation(Turn("user", (File(Url("https://e.org"), context="c"),))), "messages[0]"),
        (conversation(tools=(WebSearch(most_uses=1),)), "tools[0].max_uses"),
        (conversation(tools=(WebSearch(blocked_domains=("e.org",)),)), "tools[0].blocked_domains"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(told: Conversation, field: str) -> None:
    with pytest.raises(Inexpressible) as caught:
        write_request(told, TARGET)
    assert caught.value.param == field
