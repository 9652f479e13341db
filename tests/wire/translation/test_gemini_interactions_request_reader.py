import msgspec
import pytest

from appliance.domain.chat import (
    Conversation,
    File,
    Image,
    Inline,
    NativeTool,
    Opaque,
    OutputFormat,
    Reasoning,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Url,
    WebSearch,
)
from appliance.domain.errors import CallerFault
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.gemini_interactions_request_reader import read_request
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from tests.wire.translation import pairs


def read(**body: object) -> Conversation:
    return read_request(msgspec.json.encode({"model": "models/m"} | body))


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("hi", (Text("hi"),)),
        ({"type": "text", "text": "hi"}, (Text("hi"),)),
        (
            [{"type": "text", "text": "hi"}, {"type": "image", "data": "-_8", "mime_type": "image/webp"}],
            (Text("hi"), Image(Inline("image/webp", "+/8="))),
        ),
        (
            [{"type": "user_input", "content": [{"type": "document", "uri": "https://e.org"}]}],
            (File(Url("https://e.org")),),
        ),
    ],
)
def test_each_form_of_input_is_what_the_user_says(given: object, parts: tuple[object, ...]) -> None:
    asked = read(input=given, system_instruction="be kind")
    assert asked.turns == (Turn("system", (Text("be kind"),)), Turn("user", parts))  # type: ignore[arg-type]
    assert (asked.model, asked.store, asked.extras) == ("m", None, {})


def test_steps_become_turns_and_fields_find_their_place() -> None:
    asked = read(
        input=[
            {"type": "user_input", "content": [{"type": "text", "text": "a"}]},
            {"type": "thought", "signature": "AAAA", "summary": [{"type": "text", "text": "hm"}]},
            {"type": "thought"},
            {"type": "model_output", "content": [{"type": "text", "text": "b", "annotations": [{}]}]},
            {"type": "function_call", "id": "1", "name": "f", "arguments": {"b": 1.0}},
            {"type": "function_call", "id": "2", "name": "g"},
            {"type": "function_result", "call_id": "1", "name": "f", "result": {"x": 1}},
            {"type": "function_result", "call_id": "2", "result": [{"type": "text", "text": "t"}], "is_error": True},
            {"type": "google_search_call", "id": "g"},
        ],
        tools=[
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
            {"type": "google_search"},
            {"type": "code_execution"},
        ],
        response_format={"type": "text", "mime_type": "application/json", "schema": {"a": 1}},
        generation_config={
            "temperature": 0.5,
            "max_output_tokens": 9,
            "stop_sequences": ["x"],
            "seed": 3,
            "thinking_level": "low",
            "thinking_summaries": "auto",
            "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["f"]}},
        },
        stream=True,
        store=False,
        service_tier="flex",
    )
    assert asked.turns[1:] == (
        Turn(
            "assistant",
            (
                Reasoning("hm", Seal("gemini", "AAAA", "signature")),
                Text("b"),
                ToolCall("1", "f", '{"b":1.0}'),
                ToolCall("2", "g", "{}"),
            ),
        ),
        Turn("tool", (ToolResult("1", (Text('{"x":1}'),)), ToolResult("2", (Text("t"),), True))),
        asked.turns[3],
    )
    assert isinstance(asked.turns[3].parts[0], Opaque)
    assert asked.tools[:2] == (Tool("f", "d", msgspec.Raw(b'{"type":"object"}')), WebSearch())
    assert isinstance(asked.tools[2], NativeTool)
    assert asked.tool_choice == ToolChoice("named", ("f",))
    assert asked.output == OutputFormat("json_schema", msgspec.Raw(b'{"a":1}'))
    assert asked.thinking == Thinking(True, "low", None, "summary")
    assert (asked.temperature, asked.max_output_tokens, asked.stop, asked.seed) == (0.5, 9, ("x",), 3)
    assert (asked.stream, asked.store, list(asked.extras)) == (True, None, ["input[].annotations"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_interaction_id", "v1_x"),
        ("background", True),
        ("store", True),
        ("agent", "deep-research"),
        ("cached_content", "c"),
    ],
)
def test_what_google_would_remember_or_do_is_refused_elsewhere_by_name(field: str, value: object) -> None:
    with pytest.raises(Inexpressible) as caught:
        OPENAI_CHAT.write_request(read(input="x", **{field: value}), pairs.target(OPENAI_CHAT))
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": [{"type": "new_step"}]}, "input[0].type"),
        ({"input": [{"type": "user_input", "content": [{"type": "image"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "user_input", "new": 1}]}, "input[0].new"),
        ({"input": "x", "generation_config": {"thinking_level": "most"}}, "generation_config.thinking_level"),
        ({"input": "x", "generation_config": {"tool_choice": "maybe"}}, "generation_config.tool_choice"),
        ({"input": "x", "response_format": {"type": "image"}}, "response_format"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: dict[str, object], field: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read(**body)
    assert caught.value.param == field
