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
    Part,
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
from appliance.simulator.generate_content_reading import read as simulated
from appliance.wire.translation.codec import Target
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.gemini_generate_request_writer import write_request

TARGET = Target(model="gemini-3.5-flash", home="gemini", stream=True, tier="flex")
ASKED = Turn("user", (Text("x"),))


def conversation(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(dialect="openai_chat", model="m", turns=turns or (ASKED,), **fields)


def write(told: Conversation, target: Target = TARGET) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = write_request(told, target)
    body = msgspec.json.decode(written.body)
    simulated(body | {"model": "m"})  # refuses what Google would
    return body, written.dropped


def said(*parts: Part, target: Target = TARGET) -> list[Any]:
    body, _ = write(conversation(ASKED, Turn("assistant", parts)), target)
    return body["contents"][1]["parts"]  # type: ignore[no-any-return]


def test_turns_become_contents_and_bytes_survive() -> None:
    told = conversation(
        Turn("system", (Text("a"), Text("b"))),
        Turn("developer", (Text("c"),)),
        Turn("user", (Text("look"), Image(Inline("image/png", "AAAA")), Text(""), File(PlainText("é")))),
        Turn("assistant", (Text("ok"), ToolCall("1", "f", '{"b": 1, "a": 1.0}'), ToolCall("2", "g", ""))),
        Turn("tool", (ToolResult("1", (Text("x"), Text("y"))), ToolResult("2", (Text("no"),), True))),
        Turn("system", (Text("mid"),)),
    )
    body, dropped = write(told)
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "look"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"inlineData": {"mimeType": "text/plain", "data": "w6k="}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "ok"},
                {
                    "functionCall": {"name": "f", "args": {"b": 1, "a": 1.0}, "id": "1"},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {"functionCall": {"name": "g", "args": {}, "id": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "x\ny"}, "id": "1"}},
                {"functionResponse": {"name": "g", "response": {"error": "no"}, "id": "2"}},
            ],
        },
        {"role": "user", "parts": [{"text": "mid"}]},
    ]
    assert dropped == ("role=developer", "text.empty", "role=system")
    assert b'"args":{"b": 1, "a": 1.0}' in write_request(told, TARGET).body
    assert body["serviceTier"] == "flex" and "model" not in body


def test_signatures_come_back_to_the_part_that_they_sign() -> None:
    mark = "c2ltdWxhdG9y"  # what the simulator takes for its own
    assert said(
        Reasoning("thought"),
        Reasoning("", Seal("gemini", mark, "part")),
        Text("a"),
        Reasoning("", Seal("gemini", mark + "AAAA", "part", "2")),
        ToolCall("1", "f", "{}"),
        ToolCall("2", "g", "{}"),
    ) == [
        {"text": "a", "thoughtSignature": mark},
        {
            "functionCall": {"name": "f", "args": {}, "id": "1"},
            "thoughtSignature": "skip_thought_signature_validator",
        },
        {"functionCall": {"name": "g", "args": {}, "id": "2"}, "thoughtSignature": mark + "AAAA"},
    ]
    assert said(Text("a"), Reasoning("", Seal("gemini", mark, "part"))) == [
        {"text": "a"},
        {"text": "", "thoughtSignature": mark},
    ]


def test_older_models_get_no_mark_and_a_budget() -> None:
    older = msgspec.structs.replace(TARGET, quirks=frozenset({"thinking_budget"}))
    assert said(ToolCall("1", "f", "{}"), target=older) == [{"functionCall": {"name": "f", "args": {}, "id": "1"}}]
    body, dropped = write(conversation(thinking=Thinking(True, "medium")), older)
    assert body["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 8192}}
    assert dropped == ("thinking.effort",)


@pytest.mark.parametrize(
    ("thinking", "told", "dropped"),
    [
        (
            Thinking(True, "max", None, "summary"),
            {"includeThoughts": True, "thinkingLevel": "XHIGH"},
            ("thinking.effort=max",),
        ),
        (Thinking(True, "low", 99), {"thinkingLevel": "LOW"}, ("thinking.budget_tokens",)),
        (Thinking(True, None, 99, "omitted"), {"includeThoughts": False, "thinkingBudget": 99}, ()),
        (Thinking(False), {"thinkingBudget": 0}, ()),
        (Thinking(True), None, ("thinking.on",)),
    ],
)  # fmt: skip
def test_thinking(thinking: Thinking, told: object, dropped: tuple[str, ...]) -> None:
    body, lost = write(conversation(thinking=thinking))
    assert body.get("generationConfig", {}).get("thinkingConfig") == told
    assert lost == dropped


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (ToolChoice("auto"), None, {"mode": "AUTO"}),
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        (ToolChoice("none"), True, {"mode": "NONE"}),
        (ToolChoice("required"), None, {"mode": "ANY"}),
        (ToolChoice("allowed", ("f",)), None, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice("allowed_required", ("f",)), None, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, strict: bool | None, config: object) -> None:
    body, _ = write(conversation(tools=(Tool("f", strict=strict),), tool_choice=choice))
    assert body.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})


def test_json_and_search_and_what_is_harmless_to_lose() -> None:
    body, dropped = write(
        conversation(
            output=OutputFormat("json_schema", msgspec.Raw(b'{"type":"object"}'), "named", strict=True),
            tools=(Tool("f", cache=Cache(300)), WebSearch("high")),
            n=1,
            user="u",
            metadata=msgspec.Raw(b'{"a":"b"}'),
            cache_key="k",
            verbosity="low",
            parallel_tool_calls=True,
            store=False,
        )
    )
    assert body["generationConfig"] == {
        "candidateCount": 1,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]
    assert set(dropped) == {
        "user", "metadata", "cache_key", "verbosity", "parallel_tool_calls=true", "store=false", "cache",
        "web_search.context", "output.name", "output.strict",
    }  # fmt: skip


def test_media_by_url_have_the_type_that_their_ending_tells() -> None:
    body, _ = write(
        conversation(
            Turn(
                "user",
                (
                    Image(Url("https://e.org/a.WEBP?x=1")),
                    Image(Url("https://e.org/picture")),
                    File(Url("https://e.org/b.csv"), context="About it"),
                ),
            )
        )
    )
    assert body["contents"][0]["parts"] == [
        {"fileData": {"fileUri": "https://e.org/a.WEBP?x=1", "mimeType": "image/webp"}},
        {"fileData": {"fileUri": "https://e.org/picture", "mimeType": "image/jpeg"}},
        {"text": "About it"},
        {"fileData": {"fileUri": "https://e.org/b.csv", "mimeType": "text/csv"}},
    ]


def test_pictures_in_results_stand_in_the_response() -> None:
    body, _ = write(
        conversation(
            ASKED,
            Turn("assistant", (ToolCall("1", "f", "{}"),)),
            Turn("tool", (ToolResult("1", (Image(Inline("image/png", "AAAA")),)),)),
        )
    )
    assert body["contents"][2]["parts"] == [
        {
            "functionResponse": {
                "name": "f",
                "response": {"output": ""},
                "id": "1",
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
            }
        }
    ]


def test_a_refusal_becomes_text_and_googles_own_parts_pass() -> None:
    own = Opaque("gemini_generate", "executable_code", msgspec.Raw(b'{"executableCode":{"code":"1"}}'))
    assert said(Refusal("No."), own) == [{"text": "No."}, {"executableCode": {"code": "1"}}]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (conversation(parallel_tool_calls=False), "parallel_tool_calls"),
        (conversation(store=True), "store"),
        (conversation(n=2), "n"),
        (conversation(Turn("user", (Text("x"),), "Ann")), "messages[0].name"),
        (conversation(Turn("user", (File(Uploaded("openai", "file-1")),))), "messages[0]"),
        (conversation(Turn("user", (File(Inline("application/pdf", "AA=="), citations=True),))), "messages[0]"),
        (conversation(Turn("tool", (ToolResult("gone", (Text("x"),)),))), "messages[0].tool_call_id"),
        (conversation(Turn("assistant", (ToolCall("1", "f", "[1]"),))), "messages[0]"),
        (conversation(Turn("assistant", (ToolCall("1", "f", "x", custom=True),))), "messages[0]"),
        (conversation(tools=(CustomTool("c"),)), "tools[0]"),
        (conversation(tools=(WebSearch(allowed_domains=("e.org",)),)), "tools[0].allowed_domains"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(told: Conversation, field: str) -> None:
    with pytest.raises(Inexpressible) as caught:
        write_request(told, TARGET)
    assert caught.value.param == field
