"""What Google refuses, so that a translator's mistakes come to light."""

from typing import Any

import pytest

from appliance.simulator.faults import Rejected
from appliance.simulator.generate_content_reading import read, signature

HELLO: Any = {"role": "user", "parts": [{"text": "hello"}]}
CALL: Any = {"role": "model", "parts": [
    {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": signature("x")}]}  # fmt: skip
RESULT: Any = {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}}}]}


def refused(**fields: Any) -> str:
    with pytest.raises(Rejected) as rejected:
        read({"model": "m", "contents": [HELLO]} | fields)
    assert rejected.value.fault.status == 400
    return rejected.value.fault.message


def test_a_whole_conversation_is_read_in_either_spelling() -> None:
    function = {"name": "look", "parameters_json_schema": {"type": "object"}}
    asked = read({
        "model": "m", "contents": [HELLO, CALL, RESULT], "system_instruction": {"parts": [{"text": "be brief"}]},
        "tools": [{"function_declarations": [function]}], "generation_config": {"max_output_tokens": 7},
    })  # fmt: skip
    assert asked.after_tool
    assert asked.last_user_text == "hello"
    assert asked.max_tokens == 7
    assert [tool.name for tool in asked.tools] == ["look"]
    assert "be brief" in asked.prompt


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"messages": []}, 'Unknown name "messages"'),
        ({"generationConfig": {"max_tokens": 1}}, 'Unknown name "maxTokens"'),
        ({"generationConfig": {"temperature": 3}}, "temperature"),
        ({"generationConfig": {"responseSchema": {}}}, "response_mime_type"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "user", "parts": [{"image_url": "x"}]}]}, "Unknown name"),
        ({"contents": [HELLO, CALL, HELLO]}, "number of function response parts"),
        ({"contents": [HELLO, RESULT]}, "number of function response parts"),
        ({"contents": [HELLO, CALL | {"role": "user"}]}, "comes from the model"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "required"}}}, "mode"),
        ({"toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["a"]}}}, "mode ANY"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "Invalid function name"),
        ({"contents": [{"role": "user", "parts": [{"inlineData": {"data": "AAAA"}}]}]}, "inlineData"),
    ],
)
def test_refusals(fields: dict[str, Any], words: str) -> None:
    assert words in refused(**fields)


def test_thoughts_of_others_are_refused_but_for_google_s_own_word() -> None:
    part = CALL["parts"][0]
    assert "signature" in refused(contents=[HELLO, {"role": "model", "parts": [part | {"thoughtSignature": "AAAA"}]}])
    skipped = part | {"thoughtSignature": "skip_thought_signature_validator"}
    read({"model": "m", "contents": [HELLO, {"role": "model", "parts": [skipped]}, RESULT]})
