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
from appliance.wire.translation.anthropic import ANTHROPIC
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from appliance.wire.translation.openai_responses_request_reader import read_request
from appliance.wire.translation.seals import stamp
from tests.wire.translation import pairs

FOREIGN = Seal("anthropic", "sig")
BY_PROGRAM = {"type": "function_call_output", "call_id": "1", "output": "", "caller": {"type": "program"}}


def read(**body: object) -> Conversation:
    return read_request(msgspec.json.encode({"model": "m"} | body))


def test_a_string_is_a_users_words() -> None:
    asked = read(input="hi", instructions="be kind")
    assert asked.turns == (Turn("system", (Text("be kind"),)), Turn("user", (Text("hi"),)))
    assert (asked.model, asked.stream, asked.store, asked.extras) == ("m", False, None, {})


def test_items_become_turns() -> None:
    asked = read(
        input=[
            {"role": "developer", "content": "d"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {
                        "type": "input_text",
                        "text": "look",
                        "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                    },
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"},
                    {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                    {"type": "input_file", "file_url": "https://e.org/a.pdf"},
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "gA",
            },
            {
                "type": "reasoning",
                "id": "rs_2",
                "summary": [],
                "encrypted_content": stamp(FOREIGN, "openai", ("encrypted",)),
            },
            {"type": "reasoning", "id": "rs_3", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "I call.", "annotations": []},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "1",
                "name": "f",
                "arguments": '{"b": 1}',
                "status": "completed",
            },
            {"type": "custom_tool_call", "call_id": "2", "name": "g", "input": "free"},
            {"type": "function_call_output", "call_id": "1", "output": "done"},
            {
                "type": "custom_tool_call_output",
                "call_id": "2",
                "output": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": "https://e.org/i"},
                ],
            },
            {"role": "user", "content": "and?"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ]
    )
    developer, user, said, results, again, searched = asked.turns
    assert developer == Turn("developer", (Text("d"),))
    assert user.parts == (
        Text("look", Cache(43200)),
        Image(Inline("image/png", "AAAA"), "high"),
        Image(Uploaded("openai", "file_1"), "auto"),
        File(Inline("application/pdf", "AAAA"), "a.pdf"),
        File(Url("https://e.org/a.pdf")),
    )
    assert said == Turn(
        "assistant",
        (
            Reasoning("s", Seal("openai", "gA", "encrypted", "rs_1")),
            Reasoning("", FOREIGN),
            Text("I call."),
            Refusal("no"),
            ToolCall("1", "f", '{"b": 1}'),
            ToolCall("2", "g", "free", custom=True),
        ),
    )
    assert results.parts == (
        ToolResult("1", (Text("done"),)),
        ToolResult("2", (Text("x"), Image(Url("https://e.org/i"))), custom=True),
    )
    assert again == Turn("user", (Text("and?"),))
    (own,) = searched.parts
    assert isinstance(own, Opaque) and own.kind == "web_search_call"
    assert list(asked.extras) == ["input[].phase"]


def test_every_field_finds_its_place() -> None:
    asked = read(
        input=[],
        tools=[
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True, "description": "d"},
            {"type": "function", "name": "g", "parameters": None, "strict": False},
            {"type": "custom", "name": "c", "format": {"type": "text"}},
            {
                "type": "web_search",
                "search_context_size": "low",
                "filters": {"allowed_domains": ["e.org"]},
                "user_location": {"type": "approximate", "city": "Bonn"},
            },
            {"type": "file_search", "vector_store_ids": ["vs"]},
        ],
        tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"a": 1.0}, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.25,
        top_logprobs=3,
        safety_identifier="u",
        metadata={"a": "b"},
        prompt_cache_key="k",
        store=False,
        stream=True,
        service_tier="flex",
        provider="x",
    )
    assert asked.tools[:4] == (
        Tool("f", "d", msgspec.Raw(b'{"type":"object"}'), True),
        Tool("g"),
        CustomTool("c", None, msgspec.Raw(b'{"type":"text"}')),
        WebSearch("low", ("e.org",), location={"city": "Bonn"}),
    )
    assert isinstance(asked.tools[4], NativeTool)
    assert asked.tool_choice == ToolChoice("allowed_required", ("f",))
    assert asked.output == OutputFormat("json_schema", msgspec.Raw(b'{"a":1.0}'), "n", None, True)
    assert asked.thinking == Thinking(True, "high", None, "summary")
    assert (asked.logprobs, asked.top_logprobs, asked.verbosity, asked.max_output_tokens) == (True, 3, "low", 9)
    assert (asked.temperature, asked.top_p, asked.user, asked.cache_key) == (0.5, 0.25, "u", "k")
    assert (asked.parallel_tool_calls, asked.store, asked.stream, asked.extras) == (False, None, True, {})


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        ({"effort": "none"}, Thinking(False)),
        ({"summary": "detailed"}, Thinking(show="summary")),
        ({"effort": None}, None),
        (None, None),
    ],
)
def test_thinking(reasoning: object, thinking: Thinking | None) -> None:
    assert read(input="x", reasoning=reasoning).thinking == thinking


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
        ("store", True),
        ("truncation", "auto"),
        ("max_tool_calls", 2),
        ("moderation", {"model": "m"}),
    ],
)
def test_what_the_provider_would_remember_or_do_is_refused_elsewhere_by_name(field: str, value: object) -> None:
    asked = read(input="x", **{field: value})
    for codec in (OPENAI_CHAT, ANTHROPIC):
        with pytest.raises(Inexpressible) as caught:
            codec.write_request(asked, pairs.target(codec))
        assert caught.value.param == field


def test_what_is_harmless_is_dropped_and_told() -> None:
    asked = read(
        input="x",
        background=False,
        truncation="disabled",
        include=["web_search_call.action.sources"],
        client_metadata={"a": "b"},
        stream_options={"include_obfuscation": False},
        reasoning={"context": "auto"},
        tools=[{"type": "web_search", "external_web_access": False}],
    )
    assert asked.tools == ()
    assert set(OPENAI_CHAT.write_request(asked, pairs.target(OPENAI_CHAT)).dropped) == {
        f"openai_responses.{field}"
        for field in (
            "background=false",
            "truncation=disabled",
            "include",
            "client_metadata",
            "stream_options.include_obfuscation",
            "reasoning.context=auto",
            "tools[].external_web_access=false",
        )
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio", "data": ""}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": "x", "new": 1}]}, "input[0].new"),
        ({"input": [{"type": "function_call", "call_id": "1", "name": "f"}]}, "input[0]"),
        ({"input": [BY_PROGRAM]}, "input[0].caller"),
        ({"input": 7}, "input"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        (
            {"tools": [{"type": "function", "name": "f", "allowed_callers": ["programmatic"]}]},
            "tools[0].allowed_callers",
        ),
        ({"tools": [{"type": "web_search", "search_content_types": ["image"]}]}, "tools[0].search_content_types"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: dict[str, object], field: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read(**body)
    assert caught.value.param == field
