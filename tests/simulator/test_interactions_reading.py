"""What Google refuses in an interaction, so that a translator's mistakes come to light."""

from typing import Any

import pytest

from appliance.simulator.faults import Rejected
from appliance.simulator.generate_content_reading import signature
from appliance.simulator.interactions_reading import read

HELLO: Any = {"type": "user_input", "content": [{"type": "text", "text": "hello"}]}
CALL: Any = {"type": "function_call", "id": "c1", "name": "look", "arguments": {}}
RESULT: Any = {"type": "function_result", "call_id": "c1", "result": "x"}


def test_every_form_of_input_is_read() -> None:
    texts = ["hello", {"type": "text", "text": "hello"}, [{"type": "text", "text": "hello"}], [HELLO]]
    assert [read({"model": "m", "input": given}).last_user_text for given in texts] == ["hello"] * 4
    thought = {"type": "thought", "signature": signature("x")}
    asked = read({"model": "m", "input": [HELLO, thought, CALL, RESULT]})
    assert asked.after_tool
    assert asked.keep
    assert read({"model": "m", "input": [RESULT], "previous_interaction_id": "v1_a"}).previous == "v1_a"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input": None}, "'input' must be"),
        ({"contents": []}, 'Unknown name "contents"'),
        ({"generation_config": {"maxOutputTokens": 1}}, "Unknown name"),
        ({"input": [RESULT]}, "answers no function_call"),
        ({"input": [HELLO, CALL]}, "needs a function_result"),
        ({"input": [HELLO, CALL | {"arguments": "{}"}, RESULT]}, "needs id, name and arguments"),
        ({"input": [HELLO, {"type": "thought", "signature": "AAAA"}]}, "signature"),
        ({"input": [HELLO, {"type": "message"}]}, "unknown type of step"),
        ({"input": {"type": "image"}}, "neither data nor uri"),
        ({"input": {"type": "input_text", "text": "x"}}, "unknown type of content"),
        ({"generation_config": {"tool_choice": "required"}}, "tool_choice"),
        ({"response_format": {"type": "text", "schema": {}}}, "mime_type"),
        ({"background": True, "store": False}, "store"),
        ({"tools": [{"type": "function"}]}, "needs a name"),
    ],
)
def test_refusals(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read({"model": "m", "input": "hello"} | fields)
    assert rejected.value.fault.status == 400
    assert words in rejected.value.fault.message
