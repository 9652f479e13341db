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
from appliance.domain.profile import Quirk
from appliance.wire.translation.codec import Target
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.openai_chat_request_writer import write_request


def write(*turns: Turn, quirks: set[Quirk] | None = None, stream: bool = False, **fields: Any) -> tuple[Any, Any]:
    conversation = Conversation(dialect="anthropic_messages", model="x", turns=turns, **fields)
    target = Target(model="m", home="openai", stream=stream, tier="flex", quirks=frozenset(quirks or ()))
    written = write_request(conversation, target)
    return msgspec.json.decode(written.body), written.dropped


def messages(*turns: Turn, **fields: Any) -> Any:
    return write(*turns, **fields)[0]["messages"]


def test_schemas_keep_their_bytes_and_the_order_of_keys() -> None:
    schema = msgspec.Raw(b'{"type": "object", "properties": {"z": 1.0, "a": 1e2}}')
    conversation = Conversation(dialect="openai_responses", model="x", turns=(), tools=(Tool("f", "d", schema),))
    body = write_request(conversation, Target(model="m", home="openai", stream=False)).body
    assert bytes(schema) in body
    assert body == write_request(conversation, Target(model="m", home="openai", stream=False)).body


def test_the_target_says_model_tier_and_stream() -> None:
    body, _ = write(stream=True, max_output_tokens=5)
    assert body == {
        "model": "m", "messages": [], "max_completion_tokens": 5, "service_tier": "flex", "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    body, _ = write(stream=True, max_output_tokens=5, quirks={"max_tokens", "no_stream_options"})
    assert body == {"model": "m", "messages": [], "max_tokens": 5, "service_tier": "flex", "stream": True}


def test_results_are_messages_of_their_own_and_their_images_follow() -> None:
    image = Image(Inline("image/png", "AAAA"))
    results = Turn("tool", (ToolResult("a", (Text("x"), image), True), ToolResult("b", ())))
    body, dropped = write(results)
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "x"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": [
            {"type": "text", "text": "Of the result of tool call a:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]},
    ]  # fmt: skip
    assert dropped == ("tool_result.is_error", "tool_result.image")


def test_reasoning_is_dropped_unless_the_provider_takes_it() -> None:
    turn = Turn("assistant", (Reasoning("so", Seal("anthropic", "S")), Text("hi")))
    body, dropped = write(turn)
    assert body["messages"] == [{"role": "assistant", "content": "hi"}]
    assert dropped == ("reasoning.text", "reasoning.seal")
    body, dropped = write(turn, quirks={"reasoning_content"})
    assert body["messages"][0]["reasoning_content"] == "so" and dropped == ("reasoning.seal",)
    body, dropped = write(turn, quirks={"reasoning_details"})
    detail = {"type": "reasoning.text", "text": "so", "signature": "S", "format": "anthropic-claude-v1", "index": 0}
    assert body["messages"][0]["reasoning_details"] == [detail] and dropped == ()


def test_a_turn_of_which_nothing_is_left_is_no_message() -> None:
    body, dropped = write(Turn("assistant", (Reasoning("", Seal("anthropic", "S")),)), Turn("user", (Text("x"),)))
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert dropped == ("reasoning.seal",)


def test_a_second_web_search_is_refused() -> None:
    with pytest.raises(Inexpressible):
        write(tools=(WebSearch(), WebSearch("low")))


def test_text_after_a_call_comes_before_it_and_that_is_told() -> None:
    turn = Turn("assistant", (ToolCall("a", "f", ""), Text("x")))
    body, dropped = write(turn)
    assert body["messages"][0] == {
        "role": "assistant",
        "content": "x",
        "tool_calls": [{"type": "function", "id": "a", "function": {"name": "f", "arguments": "{}"}}],
    }
    assert dropped == ("parts.order",)


@pytest.mark.parametrize(
    ("thinking", "effort", "dropped"),
    [
        (Thinking(on=False), "none", ()),
        (Thinking(on=True, effort="xhigh"), "xhigh", ()),
        (Thinking(budget_tokens=1024), "low", ("thinking.budget_tokens",)),
        (Thinking(budget_tokens=10_000), "medium", ("thinking.budget_tokens",)),
        (Thinking(budget_tokens=32_000), "high", ("thinking.budget_tokens",)),
        (Thinking(on=True, show="omitted"), None, ("thinking.show", "thinking.on")),
    ],
)
def test_thinking_becomes_an_effort(thinking: Thinking, effort: str | None, dropped: tuple[str, ...]) -> None:
    body, told = write(thinking=thinking)
    assert (body.get("reasoning_effort"), told) == (effort, dropped)


def test_breakpoints_are_written_where_they_are_taken() -> None:
    turn = Turn("user", (Text("x", Cache(43200)), Text("y", Cache())))
    assert write(turn)[1] == ("cache",)
    body, dropped = write(turn, quirks={"cache_breakpoints"})
    assert dropped == ()
    assert [part["prompt_cache_breakpoint"] for part in body["messages"][0]["content"]] == [
        {"mode": "explicit", "ttl": "12h"},
        {"mode": "explicit"},
    ]


def test_a_custom_tool_is_named_as_one() -> None:
    tools = (CustomTool("g"), Tool("f"))
    assert write(tools=tools, tool_choice=ToolChoice("named", ("g",)))[0]["tool_choice"]["type"] == "custom"
    allowed = write(tools=tools, tool_choice=ToolChoice("allowed", ("g", "f")))[0]["tool_choice"]["allowed_tools"]
    assert [tool["type"] for tool in allowed["tools"]] == ["custom", "function"]


def test_the_web_is_searched_by_its_own_option() -> None:
    body, _ = write(tools=(WebSearch("high", location={"city": "Ulm"}),))
    assert body["web_search_options"] == {
        "search_context_size": "high",
        "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}},
    }
    assert "tools" not in body


def test_a_document_without_a_name_gets_one_since_openai_insists() -> None:
    (message,) = messages(Turn("user", (File(Inline("application/pdf", "JVBE")), File(PlainText("hi")))))
    assert [part["file"]["filename"] for part in message["content"]] == ["document.pdf", "document.txt"]


def test_documents_in_text_are_sent_as_files() -> None:
    (message,) = messages(Turn("user", (File(PlainText("hi"), "a.txt"), File(Uploaded("openai", "f1")))))
    assert [part["file"] for part in message["content"]] == [
        {"file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
        {"file_id": "f1"},
    ]


RAW = msgspec.Raw(b"{}")


@pytest.mark.parametrize(
    ("turn", "fields", "field"),
    [
        (Turn("user", (File(Url("https://e.org/a.pdf")),)), {}, "messages[0]"),
        (Turn("user", (File(Uploaded("anthropic", "f")),)), {}, "messages[0]"),
        (Turn("user", (File(PlainText("x"), citations=True),)), {}, "messages[0]"),
        (Turn("user", (Image(Uploaded("anthropic", "f")),)), {}, "messages[0]"),
        (Turn("system", (Image(Url("u")),)), {}, "messages[0]"),
        (Turn("assistant", (Opaque("anthropic_messages", "server_tool_use", RAW),)), {}, "messages[0]"),
        (Turn("tool", (Text("x"),)), {}, "messages[0]"),
        (None, {"tools": (NativeTool("anthropic_messages", "bash_20250124", RAW),)}, "tools[0]"),
        (None, {"tools": (WebSearch(blocked_domains=("e.org",)),)}, "tools[0]"),
        (None, {"tools": (WebSearch(most_uses=3),)}, "tools[0].max_uses"),
        (None, {"top_k": 5}, "top_k"),
        (None, {"n": 2}, "n"),
        (None, {"store": True}, "store"),
        (None, {"extras": {"container": RAW}}, "container"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(turn: Turn | None, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Inexpressible) as raised:
        write(*([turn] if turn else []), **fields)
    assert raised.value.param == field
