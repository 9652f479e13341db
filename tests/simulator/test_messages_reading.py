"""What Anthropic refuses, so that a translator's mistakes come to light."""

from typing import Any

import pytest

from appliance.simulator.faults import Rejected
from appliance.simulator.messages_reading import read, redacted, signature

CALL: Any = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]}
RESULT: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]}
HELLO: Any = {"role": "user", "content": "hello"}
TOOL: Any = {"name": "look", "input_schema": {"type": "object"}}


def refused(**fields: Any) -> str:
    with pytest.raises(Rejected) as rejected:
        read({"model": "m", "max_tokens": 2000, "messages": [HELLO]} | fields)
    assert rejected.value.fault.status == 400
    return rejected.value.fault.message


def test_a_whole_conversation_is_read() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": signature("hm")}
    hidden = {"type": "redacted_thinking", "data": redacted("x")}
    call = CALL | {"content": [thought, hidden, *CALL["content"]]}
    asked = read({"model": "m", "max_tokens": 9, "messages": [HELLO, call, RESULT], "tools": [TOOL], "system": "s"})
    assert asked.after_tool
    assert asked.last_user_text == "hello"
    assert asked.reasoning is False


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": []}, "at least one message"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"start": 1}, "start: Extra inputs are not permitted"),
        ({"thread": {"type": "create"}}, "thread: is not supported"),
        ({"max_completion_tokens": 1}, "Extra inputs"),
        ({"temperature": 1.5}, "temperature"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "does not match any of the expected"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
        ({"messages": [HELLO, CALL, HELLO]}, "without `tool_result` blocks immediately after: toolu_1"),
        ({"messages": [HELLO, CALL]}, "without `tool_result`"),
        ({"messages": [HELLO, RESULT]}, "unexpected `tool_use_id`"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater"),
        ({"thinking": {"type": "on"}}, "thinking"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "pattern"),
        ({"tools": [{"name": "a", "parameters": {}}]}, "input_schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "not found in provided tools"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "schema"),
        ({"system": [{"type": "image"}]}, "system"),
    ],
)
def test_refusals(fields: dict[str, Any], words: str) -> None:
    assert words in refused(**fields)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "changed", "signature": signature("hm")},
        {"type": "thinking", "thinking": "hm"},
        {"type": "redacted_thinking", "data": "made up"},
    ],
)
def test_thinking_of_others_is_refused(block: dict[str, Any]) -> None:
    assert "Invalid" in refused(messages=[HELLO, {"role": "assistant", "content": [block]}, HELLO])


@pytest.mark.parametrize(
    "source",
    [
        None,
        {"type": "base64", "media_type": "image/png", "data": "data:image/png;base64,AAAA"},
        {"type": "base64", "media_type": "text/plain", "data": "AAAA"},
        {"type": "url", "url": "data:image/png;base64,AAAA"},
    ],
)
def test_bad_images_are_refused(source: object) -> None:
    assert "source" in refused(messages=[{"role": "user", "content": [{"type": "image", "source": source}]}])


def test_a_system_message_may_stand_between_turns() -> None:
    system = {"role": "system", "content": "be brief"}
    read({"model": "m", "max_tokens": 9, "messages": [HELLO, system, CALL, RESULT]})
