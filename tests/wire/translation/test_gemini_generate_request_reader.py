import msgspec
import pytest
from google.genai import types

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
    Uploaded,
    Url,
    WebSearch,
)
from appliance.domain.errors import CallerFault
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.gemini_generate_request_reader import read_request
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from tests.wire.translation import pairs


def read(**body: object) -> Conversation:
    return read_request(msgspec.json.encode(body))


WAV = {"mimeType": "audio/wav", "data": "AA=="}


def said(*parts: object) -> tuple[Turn, ...]:
    return read(contents=[{"role": "model", "parts": parts}]).turns


def test_everything_finds_its_place() -> None:
    asked = read(
        systemInstruction={"parts": [{"text": "be kind"}]},
        contents=[
            {
                "parts": [
                    {"text": "look"},
                    {"inlineData": {"mimeType": "image/png", "data": "_-8"}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
                    {"fileData": {"mimeType": "image/png", "fileUri": "https://e.org/a.png"}},
                    {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
                ]
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Hm", "thought": True},
                    {"text": "I call."},
                    {"functionCall": {"name": "f", "args": {"b": 1, "a": 2.0}, "id": "1"}, "thoughtSignature": "_w"},
                    {"functionCall": {"name": "g"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "f", "id": "1", "response": {"output": "done"}}},
                    {
                        "functionResponse": {
                            "name": "g",
                            "response": {"error": {"why": 1}},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
                        }
                    },
                    {"text": "and now?"},
                ],
            },
        ],
        tools=[
            {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]},
            {"googleSearch": {}},
            {"codeExecution": {}},
        ],
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        generationConfig={
            "temperature": 0.5,
            "topP": 0.25,
            "topK": 40.0,
            "candidateCount": 1,
            "maxOutputTokens": 7,
            "stopSequences": ["x"],
            "seed": 3,
            "presencePenalty": 0.5,
            "frequencyPenalty": 0.25,
            "responseLogprobs": True,
            "logprobs": 2,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
        },
        serviceTier="flex",
        start_within="30s",
        store=False,
    )
    user, model, results, after = asked.turns[1:]
    assert asked.turns[0] == Turn("system", (Text("be kind"),))
    assert user.parts == (
        Text("look"),
        Image(Inline("image/png", "/+8=")),
        File(Inline("application/pdf", "AAAA"), "a.pdf"),
        Image(Url("https://e.org/a.png")),
        File(Uploaded("gemini", "https://generativelanguage.googleapis.com/v1beta/files/abc")),
    )
    assert model.parts == (
        Reasoning("Hm"),
        Text("I call."),
        Reasoning("", Seal("gemini", "/w==", "part", "1")),
        ToolCall("1", "f", '{"b":1,"a":2.0}'),
        ToolCall("call_2", "g", "{}"),
    )
    assert results == Turn(
        "tool",
        (
            ToolResult("1", (Text("done"),)),
            ToolResult("call_2", (Text('{"why":1}'), Image(Inline("image/png", "AAAA"))), True),
        ),
    )
    assert after == Turn("user", (Text("and now?"),))
    assert asked.tools[:2] == (Tool("f", "d", msgspec.Raw(b'{"type":"object"}')), WebSearch())
    assert isinstance(asked.tools[2], NativeTool) and asked.tools[2].kind == "codeExecution"
    assert asked.tool_choice == ToolChoice("named", ("f",))
    assert asked.output == OutputFormat("json_schema", msgspec.Raw(b'{"type":"object"}'))
    assert asked.thinking == Thinking(True, "high", None, "summary")
    assert (asked.temperature, asked.top_p, asked.top_k, asked.n, asked.max_output_tokens) == (0.5, 0.25, 40, 1, 7)
    assert (asked.stop, asked.seed, asked.presence_penalty, asked.frequency_penalty) == (("x",), 3, 0.5, 0.25)
    assert (asked.logprobs, asked.top_logprobs, asked.store, asked.model) == (True, 2, False, "")
    assert asked.extras == {}


def test_snake_case_says_the_same() -> None:
    camel = read(
        systemInstruction={"parts": [{"text": '"inline_data": not ours'}]},
        contents=[{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}],
        generationConfig={"maxOutputTokens": 5, "responseMimeType": "application/json"},
        tools=[{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
    )
    snake = read(
        system_instruction={"parts": [{"text": '"inline_data": not ours'}]},
        contents=[{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        generation_config={"max_output_tokens": 5, "response_mime_type": "application/json"},
        tools=[{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
    )
    assert snake == camel


def test_what_the_sdk_writes_is_read() -> None:
    part = types.Part(
        function_call=types.FunctionCall(id="c", name="f", args={"a": 1}), thought_signature=b"\xff\xfe\xfb"
    )
    (turn,) = said(msgspec.json.decode(part.model_dump_json(by_alias=True, exclude_none=True)))
    assert turn.parts[0] == Reasoning("", Seal("gemini", "//77", "part", "c"))


def test_contents_of_the_model_that_follow_each_other_are_one_turn() -> None:
    """Google's SDKs keep one content for each chunk of a stream."""
    asked = read(
        contents=[
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"text": "Th", "thought": True}]},
            {"role": "model", "parts": [{"text": "ink", "thought": True}]},
            {"role": "model", "parts": [{"text": "Hel"}]},
            {"role": "model", "parts": [{"text": "lo"}]},
            {"role": "model", "parts": [{"text": "", "thoughtSignature": "AAAA"}]},
        ]
    )
    assert asked.turns[1:] == (
        Turn("assistant", (Reasoning("Think"), Text("Hello"), Reasoning("", Seal("gemini", "AAAA", "part")))),
    )


def test_a_signature_that_stands_for_none_is_none() -> None:
    call = {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}
    assert said(call)[0].parts == (ToolCall("call_1", "f", "{}"),)


def test_what_only_google_knows_is_carried_and_refused_elsewhere() -> None:
    (turn,) = said({"executableCode": {"language": "PYTHON", "code": "1"}})
    (part,) = turn.parts
    assert isinstance(part, Opaque) and part.kind == "executable_code"
    asked = read(contents=[{"role": "model", "parts": [{"executableCode": {"language": "PYTHON", "code": "1"}}]}])
    with pytest.raises(Inexpressible) as caught:
        OPENAI_CHAT.write_request(asked, pairs.target(OPENAI_CHAT))
    assert caught.value.param == "messages[0]"


@pytest.mark.parametrize(
    ("config", "thinking"),
    [
        ({"thinkingBudget": 0}, Thinking(False)),
        ({"thinkingBudget": -1}, Thinking(True)),
        ({"thinkingBudget": 512}, Thinking(True, None, 512)),
        ({"includeThoughts": False}, Thinking(show="omitted")),
        ({"thinkingLevel": "minimal"}, Thinking(True, "minimal")),
    ],
)
def test_thinking(config: object, thinking: Thinking) -> None:
    assert read(contents=[], generationConfig={"thinkingConfig": config}).thinking == thinking


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowedFunctionNames": ["a", "b"]}, ToolChoice("allowed_required", ("a", "b"))),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice("allowed", ("a",))),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_tool_choice(calling: object, choice: ToolChoice | None) -> None:
    assert read(contents=[], toolConfig={"functionCallingConfig": calling}).tool_choice == choice


def test_a_schema_in_googles_form_becomes_json_schema() -> None:
    asked = read(
        contents=[],
        generationConfig={
            "responseMimeType": "application/json",
            "responseSchema": {"type": "STRING", "nullable": True},
        },
    )
    assert asked.output == OutputFormat("json_schema", msgspec.Raw(b'{"type":["string","null"]}'))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"contents": [{"parts": [{"inlineData": WAV}]}]}, "contents[0].parts[0].inlineData"),
        ({"contents": [{"parts": [{"text": "x", "newThing": 1}]}]}, "contents[0].parts[0].newThing"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]}, "contents[0].parts[0]"),
        ({"contents": [], "generationConfig": {"responseMimeType": "text/x"}}, "generationConfig.responseMimeType"),
        ({"contents": [], "generationConfig": {"responseJsonSchema": {}}}, "generationConfig.responseMimeType"),
        ({"contents": [], "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"contents": [], "tools": [{"functionDeclarations": [{"name": 7}]}]}, "tools[0].functionDeclarations[0].name"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(body: object, field: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read_request(msgspec.json.encode(body))
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        ({"safetySettings": [{"category": "HARM", "threshold": "BLOCK_NONE"}]}, "safetySettings=none"),
        ({"generationConfig": {"responseModalities": ["TEXT"]}}, "generationConfig.responseModalities=text"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}, "functionCallingConfig.mode=VALIDATED"),
        ({"safetySettings": [{"threshold": "BLOCK_ONLY_HIGH"}]}, None),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, None),
        ({"cachedContent": "cachedContents/1"}, None),
    ],
)  # fmt: skip
def test_what_only_google_has_is_dropped_if_harmless_and_else_refused(body: dict[str, object], dropped: str) -> None:
    asked = read(contents=[{"parts": [{"text": "x"}]}], **body)
    if dropped:
        assert OPENAI_CHAT.write_request(asked, pairs.target(OPENAI_CHAT)).dropped == (f"gemini_generate.{dropped}",)
    else:
        with pytest.raises(Inexpressible):
            OPENAI_CHAT.write_request(asked, pairs.target(OPENAI_CHAT))


def test_a_search_that_is_null_is_none_and_one_that_is_no_object_is_the_callers_fault() -> None:
    body = b'{"contents":[],"tools":[{"googleSearch":%s}]}'
    assert read_request(body % b"null").tools == ()
    with pytest.raises(CallerFault) as caught:
        read_request(body % b"[]")
    assert (caught.value.code, caught.value.param) == ("bad_request", "tools[0].googleSearch")
