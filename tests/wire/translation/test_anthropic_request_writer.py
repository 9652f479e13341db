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
    NativeTool,
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
from appliance.domain.profile import Quirk
from appliance.wire.translation.anthropic_request_writer import tool_id, write_request
from appliance.wire.translation.codec import Target
from appliance.wire.translation.drops import Inexpressible

RAW = msgspec.Raw(b"{}")
BASH = msgspec.Raw(b'{"type":"bash_20250124","name":"bash"}')
TOOL = Tool("f", schema=RAW)


def write(*turns: Turn, quirks: set[Quirk] | None = None, **fields: Any) -> tuple[Any, Any]:
    conversation = Conversation(dialect="openai_chat", model="x", turns=turns, **fields)
    target = Target(model="m", home="anthropic", stream=False, most_output_tokens=50, quirks=frozenset(quirks or ()))
    written = write_request(conversation, target)
    return msgspec.json.decode(written.body), written.dropped


def messages(*turns: Turn, **fields: Any) -> Any:
    return write(*turns, **fields)[0]["messages"]


def test_schemas_and_arguments_keep_their_bytes() -> None:
    schema = msgspec.Raw(b'{"type": "object", "properties": {"z": 1.0, "a": 1e2}}')
    call = Turn("assistant", (ToolCall("a", "f", '{ "z": 1.0, "a": 1e2 }'),))
    conversation = Conversation(dialect="openai_chat", model="x", turns=(call,), tools=(Tool("f", "d", schema),))
    target = Target(model="m", home="anthropic", stream=True, tier="auto")
    body = write_request(conversation, target).body
    assert bytes(schema) in body and b'{ "z": 1.0, "a": 1e2 }' in body
    assert body == write_request(conversation, target).body
    decoded = msgspec.json.decode(body)
    assert (decoded["max_tokens"], decoded["stream"], decoded["service_tier"]) == (32_000, True, "auto")


def test_instructions_that_open_are_system_and_later_ones_messages() -> None:
    body, dropped = write(
        Turn("system", (Text("a"), Text(""))),
        Turn("developer", (Text("b", Cache(3600)),)),
        Turn("user", (Text("x"),)),
        Turn("system", (Text("later"),)),
    )
    assert body["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert body["messages"] == [{"role": "user", "content": "x"}, {"role": "system", "content": "later"}]
    assert dropped == ("text.empty", "role=developer")


def test_results_and_the_words_after_them_are_one_message() -> None:
    results = Turn(
        "tool",
        (ToolResult("a", (Text("x"), Image(Url("u"))), True), ToolResult("b", ()), ToolResult("c", (Text("y"),))),
    )
    (message,) = messages(results, Turn("user", (Text("go on"),)))
    assert message["role"] == "user"
    assert message["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": [
            {"type": "text", "text": "x"}, {"type": "image", "source": {"type": "url", "url": "u"}}]},
        {"type": "tool_result", "tool_use_id": "b"},
        {"type": "tool_result", "tool_use_id": "c", "content": "y"},
        {"type": "text", "text": "go on"},
    ]  # fmt: skip


def test_two_turns_of_a_user_stay_two_messages() -> None:
    told = messages(Turn("user", (Text("a"),)), Turn("user", (Text("b"), Text("c"))))
    assert [message["role"] for message in told] == ["user", "user"]


def test_only_its_own_seals_go_to_a_provider() -> None:
    turn = Turn(
        "assistant",
        (
            Reasoning("so", Seal("anthropic", "S")),
            Reasoning("", Seal("anthropic", "R", "redacted")),
            Reasoning("other", Seal("openai", "E", "encrypted")),
            Reasoning("unsealed"),
            Refusal("no"),
            ToolCall("a", "f", ""),
        ),
    )
    body, dropped = write(turn)
    assert body["messages"][0]["content"] == [
        {"type": "thinking", "thinking": "so", "signature": "S"},
        {"type": "redacted_thinking", "data": "R"},
        {"type": "text", "text": "no"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]
    assert dropped == ("reasoning.text", "reasoning.seal", "refusal")


@pytest.mark.parametrize(
    ("thinking", "said", "dropped"),
    [
        (Thinking(on=True, effort="high"), ({"type": "adaptive"}, "high"), ()),
        (Thinking(on=True, effort="minimal"), ({"type": "adaptive"}, "low"), ("thinking.effort=minimal",)),
        (Thinking(on=False), ({"type": "disabled"}, None), ()),
        (Thinking(effort="max"), (None, "max"), ()),
        (Thinking(show="omitted"), (None, None), ()),
        (Thinking(show="summary"), ({"type": "adaptive", "display": "summarized"}, None), ()),
        (
            Thinking(budget_tokens=7, show="summary"),
            ({"type": "enabled", "budget_tokens": 7, "display": "summarized"}, None),
            (),
        ),
    ],
)
def test_thinking(thinking: Thinking, said: Any, dropped: Any) -> None:
    body, told = write(thinking=thinking)
    assert ((body.get("thinking"), body.get("output_config", {}).get("effort")), told) == (said, dropped)


@pytest.mark.parametrize(("most", "budget"), [(100_000, 16_384), (3000, 2999), (1000, None)])
def test_older_models_get_a_budget_that_fits(most: int, budget: int | None) -> None:
    body, dropped = write(thinking=Thinking(on=True, effort="high"), max_output_tokens=most, quirks={"thinking_budget"})
    assert body.get("thinking", {}).get("budget_tokens") == budget
    assert dropped == ("thinking.effort",) and "output_config" not in body


@pytest.mark.parametrize(
    ("fields", "choice", "dropped"),
    [
        (
            {"tool_choice": ToolChoice("required"), "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
            (),
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}, ()),
        ({"parallel_tool_calls": True}, None, ("parallel_tool_calls=true",)),
        ({"tool_choice": ToolChoice("named", ("f",))}, {"type": "tool", "name": "f"}, ()),
        ({"tool_choice": ToolChoice("auto"), "tools": ()}, None, ("tool_choice.without_tools",)),
    ],
)
def test_choices(fields: dict[str, Any], choice: Any, dropped: Any) -> None:
    body, told = write(**{"tools": (TOOL,), **fields})
    assert (body.get("tool_choice"), told) == (choice, dropped)


def test_what_is_harmless_is_dropped_and_told() -> None:
    body, dropped = write(
        Turn("user", (Image(Url("u"), "low"),)),
        seed=1, metadata=RAW, cache_key="k", verbosity="low", frequency_penalty=0.0, logprobs=False, store=False, n=1,
        output=OutputFormat("json_schema", RAW, "n", "d", True), user="u", tools=(WebSearch("low"), Tool("f")),
    )  # fmt: skip
    assert dropped == (
        "n=1", "seed", "metadata", "cache_key", "verbosity", "frequency_penalty=0", "logprobs=false", "store=false",
        "image.detail", "output.name", "output.description", "output.strict", "web_search.context",
    )  # fmt: skip
    assert body["metadata"] == {"user_id": "u"}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {}}}
    assert body["tools"] == [
        {"type": "web_search_20250305", "name": "web_search"},
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert write(output=OutputFormat("text"))[1] == ("output=text",)


def test_documents() -> None:
    (message,) = messages(
        Turn(
            "user",
            (
                File(Inline("application/pdf", "JVBE"), "T", "C", True),
                File(Inline("text/plain", "aGk=")),
                File(PlainText("words")),
                File(Uploaded("anthropic", "f1")),
            ),
        )
    )
    assert [block["source"] for block in message["content"]] == [
        {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        {"type": "text", "media_type": "text/plain", "data": "hi"},
        {"type": "text", "media_type": "text/plain", "data": "words"},
        {"type": "file", "file_id": "f1"},
    ]
    first = message["content"][0]
    assert (first["title"], first["context"], first["citations"]) == ("T", "C", {"enabled": True})


def test_blocks_and_tools_of_its_own_go_as_they_came() -> None:
    raw = msgspec.Raw(b'{"type":"server_tool_use","id":"s","name":"web_search","input":{}}')
    body, _ = write(
        Turn("assistant", (Opaque("anthropic_messages", "server_tool_use", raw), Text("x"))),
        tools=(NativeTool("anthropic_messages", "bash_20250124", BASH),),
    )
    assert body["messages"][0]["content"][0]["id"] == "s" and body["tools"][0]["name"] == "bash"


def test_ids_of_other_providers_are_spelt_as_the_provider_takes_them() -> None:
    assert tool_id("call_abc-1") == "call_abc-1"
    assert tool_id("functions.f:0") == "functions_2ef_3a0"


@pytest.mark.parametrize(
    ("turn", "fields", "field"),
    [
        (Turn("user", (Text("x"),), "bob"), {}, "messages[0].name"),
        (Turn("user", (File(Uploaded("openai", "f")),)), {}, "messages[0]"),
        (Turn("user", (File(Inline("text/plain", "!")),)), {}, "messages[0]"),
        (Turn("user", (ToolCall("a", "f", "{}"),)), {}, "messages[0]"),
        (Turn("tool", (Image(Url("u")),)), {}, "messages[0]"),
        (Turn("system", (Image(Url("u")),)), {}, "messages[0]"),
        (Turn("assistant", (ToolCall("a", "f", "not json"),)), {}, "messages[0]"),
        (Turn("assistant", (ToolCall("a", "f", "x", custom=True),)), {}, "messages[0]"),
        (Turn("assistant", (Opaque("openai_responses", "x", RAW),)), {}, "messages[0]"),
        (None, {"tools": (CustomTool("g"),)}, "tools[0]"),
        (None, {"tools": (NativeTool("openai_responses", "mcp", RAW),)}, "tools[0]"),
        (None, {"tools": (TOOL,), "tool_choice": ToolChoice("allowed", ("f",))}, "tool_choice"),
        (None, {"output": OutputFormat("json_object")}, "response_format"),
        (None, {"logprobs": True}, "logprobs"),
        (None, {"frequency_penalty": 0.5}, "frequency_penalty"),
        (None, {"temperature": 1.5}, "temperature"),
        (None, {"store": True}, "store"),
        (None, {"n": 2}, "n"),
        (None, {"extras": {"logit_bias": RAW}}, "logit_bias"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(turn: Turn | None, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Inexpressible) as raised:
        write(*([turn] if turn else []), **fields)
    assert raised.value.param == field
