from typing import Any

import msgspec
import pytest

from appliance.domain.chat import (
    Cache,
    Citation,
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
from appliance.domain.errors import CallerFault
from appliance.wire.translation.openai_chat_request_reader import read_request


def read(messages: list[Any] | None = None, **fields: Any) -> Any:
    return read_request(msgspec.json.encode({"model": "m", "messages": messages or [], **fields}))


def test_every_kind_of_message() -> None:
    turns = read(
        [
            {"role": "system", "content": "be brief", "name": "s"},
            {"role": "developer", "content": [{"type": "text", "text": "and kind"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_data": "JVBE"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            },
            {
                "role": "assistant",
                "content": "calling",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "b", "type": "custom", "custom": {"name": "g", "input": "free"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "one"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "two"}]},
            {"role": "assistant", "content": None, "refusal": "no"},
        ]
    ).turns
    assert turns == (
        Turn("system", (Text("be brief"),), "s"),
        Turn("developer", (Text("and kind"),)),
        Turn(
            "user",
            (
                Text("see", Cache(43200)),
                Image(Inline("image/png", "AAAA"), "low"),
                Image(Url("https://e.org/a.png")),
                File(Inline("application/pdf", "JVBE"), "a.pdf"),
                File(Inline("application/pdf", "JVBE")),
                File(Uploaded("openai", "file-1")),
            ),
        ),
        Turn("assistant", (Text("calling"), ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "free", custom=True))),
        Turn("tool", (ToolResult("a", (Text("one"),)), ToolResult("b", (Text("two"),)))),
        Turn("assistant", (Refusal("no"),)),
    )


def test_reasoning_comes_back_with_its_seals_and_a_calls_seal_before_its_call() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": "hi",
        "reasoning_content": "thought",
        "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "G", "format": "google-gemini-v1", "id": "c", "index": 1},
            {
                "type": "reasoning.text",
                "text": "thought",
                "signature": "S",
                "format": "anthropic-claude-v1",
                "index": 0,
            },
        ],
        "tool_calls": [call],
    }
    assert read([message]).turns[0].parts == (
        Reasoning("thought", Seal("anthropic", "S")),
        Text("hi"),
        Reasoning("", Seal("gemini", "G", "part", "c")),
        ToolCall("c", "f", "{}"),
    )
    google = call | {"extra_content": {"google": {"thought_signature": "T"}}}
    assert read([{"role": "assistant", "tool_calls": [google]}]).turns[0].parts[0] == Reasoning(
        "", Seal("gemini", "T", "part", "c")
    )
    assert read([{"role": "assistant", "reasoning": "so", "content": "hi"}]).turns[0].parts == (
        Reasoning("so"),
        Text("hi"),
    )


def test_tools_choices_and_formats() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    asked = read(
        tools=[
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": True}},
            {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
        ],
        web_search_options={"search_context_size": "low", "user_location": {"approximate": {"city": "Ulm"}}},
        tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]}},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
    )  # fmt: skip
    raw = msgspec.Raw(msgspec.json.encode(schema))
    assert asked.tools == (
        Tool("f", "d", raw, True),
        CustomTool("g", None, msgspec.Raw(b'{"type":"text"}')),
        WebSearch("low", location={"city": "Ulm"}),
    )
    assert asked.tool_choice == ToolChoice("allowed_required", ("f", "g"))
    assert asked.output == OutputFormat("json_schema", raw, "n", None, True)
    assert read(tool_choice={"type": "function", "function": {"name": "f"}}).tool_choice == ToolChoice("named", ("f",))
    assert read(response_format={"type": "json_object"}).output == OutputFormat("json_object")


def test_options_find_their_places() -> None:
    asked = read(
        max_tokens=5, stop="x", reasoning_effort="high", safety_identifier="u", seed=3, logprobs=True, top_logprobs=2,
        stream=True, stream_options={"include_usage": True}, metadata={"b": "1", "a": "2"}, prompt_cache_key="k",
        service_tier="flex", temperature=0, start_within="30s",
    )  # fmt: skip
    assert (asked.max_output_tokens, asked.stop, asked.user, asked.seed) == (5, ("x",), "u", 3)
    assert asked.thinking == Thinking(on=True, effort="high")
    assert (asked.logprobs, asked.top_logprobs, asked.stream, asked.include_usage) == (True, 2, True, True)
    assert (bytes(asked.metadata), asked.cache_key, asked.temperature) == (b'{"b":"1","a":"2"}', "k", 0.0)
    assert asked.extras == {}
    assert read(reasoning_effort="none").thinking == Thinking(on=False)
    assert read(max_tokens=5, max_completion_tokens=6).max_output_tokens == 6


def test_breakpoints_as_anthropic_writes_them_are_read_too() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tool = {"type": "function", "function": {"name": "f"}} | mark
    asked = read([{"role": "system", "content": [{"type": "text", "text": "x"} | mark]}], tools=[tool])
    assert asked.turns[0].parts == (Text("x", Cache(3600)),)
    assert asked.tools[0].cache == Cache(3600)


def test_what_has_no_place_becomes_an_extra() -> None:
    asked = read(
        [
            {"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}], "parsed": {"a": 1}},
            {"role": "tool", "tool_call_id": "a", "content": "y", "name": "f"},
        ],
        logit_bias={"1": 2}, modalities=["text"], user="a", safety_identifier="b", functions=None, brand_new=1,
        stream_options={"include_obfuscation": False},
    )  # fmt: skip
    assert set(asked.extras) == {
        "logit_bias", "modalities=text", "user", "brand_new", "stream_options.include_obfuscation",
        "messages[].annotations", "messages[].parsed", "messages[].name",
    }  # fmt: skip
    assert Citation() not in asked.turns[0].parts[0].citations


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "assistant", "audio": {"id": "x"}}, "messages[0].audio"),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}, "messages[0].function_call"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": "x", "weight": 1}, "messages[0].weight"),
        (
            {"role": "assistant", "tool_calls": [CALL | {"extra_content": {"other": 1}}]},
            "messages[0].tool_calls[].extra_content",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_translated_is_refused_by_name(message: dict[str, Any], field: str) -> None:
    with pytest.raises(CallerFault) as raised:
        read([message])
    assert (raised.value.code, raised.value.param) == ("inexpressible", field)
