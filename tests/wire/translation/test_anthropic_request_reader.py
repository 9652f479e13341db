from typing import Any

import msgspec
import pytest

from appliance.domain.chat import (
    Cache,
    File,
    Image,
    Inline,
    NativeTool,
    Opaque,
    OutputFormat,
    PlainText,
    Reasoning,
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
from appliance.wire.translation.anthropic_request_reader import read_request
from appliance.wire.translation.seals import stamp


def read(messages: list[Any] | None = None, **fields: Any) -> Any:
    return read_request(msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": messages or [], **fields}))


def user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


def test_instructions_are_the_first_turn_and_later_ones_stand_where_they_stood() -> None:
    cached = {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    asked = read(
        [
            user({"type": "text", "text": "x"}),
            {"role": "system", "content": "later"},
            {"role": "assistant", "content": "y"},
        ],
        system=[{"type": "text", "text": "a"}, cached],
    )
    assert asked.turns == (
        Turn("system", (Text("a"), Text("b", Cache(3600)))),
        Turn("user", (Text("x"),)),
        Turn("system", (Text("later"),)),
        Turn("assistant", (Text("y"),)),
    )
    assert read(system="s").turns == (Turn("system", (Text("s"),)),)


def test_every_kind_of_attachment() -> None:
    base64 = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
    (turn,) = read(
        [
            user(
                {"type": "image", "source": base64, "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "f1"}},
                {"type": "document", "source": pdf, "title": "T", "context": "C", "citations": {"enabled": True}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
                {"type": "document", "source": {"type": "url", "url": "https://e.org/a.pdf"}},
            )
        ]
    ).turns
    assert turn.parts == (
        Image(Inline("image/png", "AAAA"), cache=Cache()),
        Image(Url("https://e.org/a.png")),
        Image(Uploaded("anthropic", "f1")),
        File(Inline("application/pdf", "JVBE"), "T", "C", True),
        File(PlainText("words")),
        File(Url("https://e.org/a.pdf")),
    )


def test_results_are_a_turn_of_their_own() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "u"}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}, image]}
    plain = {"type": "tool_result", "tool_use_id": "b", "content": "y", "is_error": True}
    empty = {"type": "tool_result", "tool_use_id": "c"}
    asked = read([user(result, plain, empty, {"type": "text", "text": "go on"})])
    assert asked.turns == (
        Turn(
            "tool",
            (
                ToolResult("a", (Text("x"), Image(Url("u")))),
                ToolResult("b", (Text("y"),), True),
                ToolResult("c", ()),
            ),
        ),
        Turn("user", (Text("go on"),)),
    )


def test_reasoning_calls_and_native_blocks_of_an_assistant() -> None:
    foreign = Seal("openai", "gAAA", "encrypted", "rs_1")
    hidden = Seal("xai", "data", "redacted")
    native = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {"z": 1, "a": 2}, "caller": {"type": "direct"}}
    asked = read(
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "so", "signature": "S"},
                    {"type": "thinking", "thinking": "", "signature": stamp(foreign, "anthropic", ("signature",))},
                    {"type": "thinking", "thinking": "unsigned", "signature": ""},
                    {"type": "redacted_thinking", "data": "R"},
                    {"type": "redacted_thinking", "data": stamp(hidden, "anthropic", ("redacted",))},
                    {"type": "text", "text": "hi", "citations": [{"type": "char_location"}]},
                    native,
                    call,
                ],
            }
        ]
    )
    assert asked.turns[0].parts == (
        Reasoning("so", Seal("anthropic", "S")),
        Reasoning("", foreign),
        Reasoning("unsigned"),
        Reasoning("", Seal("anthropic", "R", "redacted")),
        Reasoning("", hidden),
        Text("hi"),
        Opaque("anthropic_messages", "server_tool_use", msgspec.Raw(msgspec.json.encode(native))),
        ToolCall("a", "f", '{"z":1,"a":2}'),
    )
    assert set(asked.extras) == {"messages[].citations", "caller"}


def test_tools_and_what_is_known_beside_them() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}}
    bash = {"type": "bash_20250124", "name": "bash"}
    asked = read(
        tools=[
            {"name": "f", "input_schema": schema, "strict": True, "defer_loading": True, "input_examples": [{}],
             "eager_input_streaming": True, "allowed_callers": ["direct"], "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "g", "input_schema": schema, "description": "d", "defer_loading": False},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["e.org"],
             "user_location": {"type": "approximate", "city": "Ulm"}, "cache_control": {"type": "ephemeral"}},
            bash,
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )  # fmt: skip
    raw = msgspec.Raw(msgspec.json.encode(schema))
    assert asked.tools == (
        Tool("f", None, raw, True, Cache()),
        Tool("g", "d", raw),
        WebSearch(None, ("e.org",), None, 3, {"city": "Ulm"}),
        NativeTool("anthropic_messages", "bash_20250124", msgspec.Raw(msgspec.json.encode(bash))),
    )
    assert (asked.tool_choice, asked.parallel_tool_calls) == (ToolChoice("required"), False)
    assert set(asked.extras) == {
        "tools[].defer_loading", "tools[].input_examples", "tools[].eager_input_streaming", "tools[].allowed_callers",
        "tools[].cache_control",
    }  # fmt: skip
    assert read(tool_choice={"type": "tool", "name": "f"}).tool_choice == ToolChoice("named", ("f",))
    assert read(tool_choice={"type": "none"}).tool_choice == ToolChoice("none")


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5, "display": "omitted"}},
            Thinking(budget_tokens=5, show="omitted"),
        ),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Thinking(on=True, show="summary")),
        ({"thinking": {"type": "disabled"}}, Thinking(on=False)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Thinking(on=True, effort="max")),
        ({"output_config": {"effort": "low"}}, Thinking(effort="low")),
        ({}, None),
    ],
)
def test_thinking(fields: dict[str, Any], thinking: Thinking | None) -> None:
    assert read(**fields).thinking == thinking


def test_options_find_their_places_and_the_rest_becomes_extras() -> None:
    asked = read(
        stop_sequences=["x"], temperature=0.5, top_p=0.9, top_k=4, metadata={"user_id": "u"}, stream=True,
        cache_control={"type": "ephemeral", "ttl": "5m"}, service_tier="auto", speed="standard",
        output_config={"format": {"type": "json_schema", "schema": {"b": 1, "a": 2}}}, container=None,
        context_management={"edits": []}, brand_new=1,
    )  # fmt: skip
    assert (asked.max_output_tokens, asked.stop, asked.top_k, asked.user, asked.stream) == (9, ("x",), 4, "u", True)
    assert asked.cache == Cache(300)
    assert asked.output == OutputFormat("json_schema", msgspec.Raw(b'{"b":1,"a":2}'))
    assert set(asked.extras) == {"speed=standard", "context_management", "brand_new"}


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"messages": [user({"type": "brand_new"})]}, "inexpressible", "messages[0].content[0].type"),
        ({"messages": [user({"type": "text", "text": "x", "y": 1})]}, "inexpressible", "messages[0].content[0].y"),
        ({"messages": [user({"type": "text", "text": 7})]}, "bad_request", "messages[0].content[0].text"),
        (
            {
                "messages": [
                    user({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "thinking", "thinking": ""}]})
                ]
            },
            "inexpressible",
            "messages[0].content[0].content[0]",
        ),
        (
            {
                "messages": [
                    user(
                        {
                            "type": "tool_use",
                            "id": "a",
                            "name": "f",
                            "input": {},
                            "caller": {"type": "code_execution_20260120"},
                        }
                    )
                ]
            },
            "inexpressible",
            "messages[0].content[0].caller",
        ),
        ({"tools": [{"name": "f", "input_schema": {}, "brand_new": 1}]}, "inexpressible", "tools[0].brand_new"),
        (
            {"tools": [{"name": "f", "input_schema": {}, "allowed_callers": ["x"]}]},
            "inexpressible",
            "tools[0].allowed_callers",
        ),
        ({"thinking": {"type": "between_tools"}}, "inexpressible", "thinking.type"),
        ({"messages": "x"}, "bad_request", "messages"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(fields: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(CallerFault) as raised:
        read(**fields)
    assert (raised.value.code, raised.value.param) == (code, field)
