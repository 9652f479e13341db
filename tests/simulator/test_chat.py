"""Chat Completions: shapes by the SDK's types, and the stream and the body as one answer."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator import chat as dialect
from appliance.simulator.completion import complete
from appliance.simulator.faults import FAULTS, Rejected
from appliance.simulator.override import Override
from appliance.simulator.world import Behaviour
from tests.simulator.odd_json import odd_bodies
from tests.simulator.sdk_shapes import assembled, chat, chunk, frames

TOOL = {"type": "function", "function": {"name": "look", "parameters": {
    "type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer"}}}}}  # fmt: skip
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {
    "type": "object", "properties": {"ok": {"type": "boolean"}, "name": {"type": "string"}}}}}  # fmt: skip
USAGE = {"stream_options": {"include_usage": True}}


def play(behaviour: Behaviour | None = None, tier: str = "default", **fields: Any) -> tuple[bytes, list[bytes]]:
    """Both forms of one answer: the body, and the data of the stream's frames without `[DONE]`."""
    behaviour = behaviour or Behaviour()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | fields
    both = []
    for streamed in (False, True):
        asked = dialect.read(body | ({"stream": True} | USAGE if streamed else {}))
        both.append((asked, complete(asked, behaviour, Override(), seed=1, tier=tier, ordinal=0)))
    whole = msgspec.json.encode(dialect.body(*both[0], behaviour, tier)[0])
    steps = dialect.script(*both[1], behaviour, tier).steps
    data = [data for _, data in frames(b"".join(step.data for step in steps))]
    assert data.pop() == b"[DONE]"
    return whole, data


@pytest.mark.parametrize(
    ("behaviour", "fields"),
    [
        (Behaviour(), {}),
        (Behaviour(), {"n": 3}),
        (Behaviour(), {"max_completion_tokens": 3}),
        (Behaviour(), {"logprobs": True, "top_logprobs": 1, "n": 2}),
        (Behaviour(tool_calls=3), {"tools": [TOOL]}),
        (Behaviour(preface="I shall look.", tool_calls=3), {"tools": [TOOL]}),
        (Behaviour(tool_calls=3), {"tools": [TOOL], "parallel_tool_calls": False}),
        (Behaviour(), {"tools": [TOOL], "tool_choice": "required", "n": 2}),
        (Behaviour(), {"response_format": SCHEMA}),
        (Behaviour(), {"response_format": {"type": "json_object"}}),
        (Behaviour(decline_rate=1), {"logprobs": True}),
        (Behaviour(reasoning_tokens=9, cached_share=0.5, cache_write_share=0.5), {}),
        (Behaviour(obfuscation=True), {}),
        (Behaviour(echo=True), {}),
    ],
)
def test_stream_and_body_are_one_answer_in_the_sdk_s_shapes(behaviour: Behaviour, fields: dict[str, Any]) -> None:
    whole, data = play(behaviour, **fields)
    chat(whole)
    for part in data:
        chunk(part)
    assert assembled(msgspec.json.decode(part) for part in data) == msgspec.json.decode(whole)


def test_reasoning_in_a_vendor_field_streams_and_comes_whole() -> None:
    whole, data = play(Behaviour(reasoning_tokens=5, reasoning_field="reasoning_content"))
    assert assembled(msgspec.json.decode(part) for part in data) == msgspec.json.decode(whole)
    assert len([part for part in data if b'"reasoning_content"' in part]) == 5


def test_every_chunk_names_the_tier_and_usage_is_null_until_the_last_chunk_without_choices() -> None:
    _, data = play(tier="flex")
    parts = [msgspec.json.decode(part) for part in data]
    assert {part["service_tier"] for part in parts} == {"flex"}
    assert [part["usage"] for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert parts[-1]["choices"] == []
    assert parts[-1]["usage"]["completion_tokens"] == 24
    assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}


def test_no_usage_unless_asked_for() -> None:
    asked = dialect.read({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True})
    completion = complete(asked, Behaviour(), Override(), seed=1, tier="default", ordinal=0)
    script = dialect.script(asked, completion, Behaviour(), "default")
    assert script.usage is None
    assert not any(b'"usage"' in step.data for step in script.steps)


def test_omitted_usage_is_in_neither_form() -> None:
    whole, data = play(Behaviour(omit_usage=True))
    assert b'"usage"' not in whole
    assert {msgspec.json.decode(part)["usage"] for part in data} == {None}


@given(st.text(max_size=200))
def test_any_text_survives_streaming(text: str) -> None:
    if not text:
        return
    whole, data = play(Behaviour(text=text))
    assert chat(whole).choices[0].message.content == text
    assert "".join(chunk(part).choices[0].delta.content or "" for part in data[:-1]) == text


def test_stop_sequences_end_the_text_before_them() -> None:
    whole, _ = play(Behaviour(text="one two three four"), stop=["three", "four"])
    choice = chat(whole).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one two ", "stop")


def test_token_limit_ends_with_length() -> None:
    whole, _ = play(max_tokens=2)
    answer = chat(whole)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def test_a_named_tool_is_the_one_that_is_called() -> None:
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}
    whole, _ = play(tools=[other, TOOL], tool_choice={"type": "function", "function": {"name": "look"}})
    calls = chat(whole).choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.name for call in calls if call.type == "function"] == ["look"]


def test_after_a_tool_s_result_the_answer_is_words() -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": "9"}]
    whole, _ = play(Behaviour(tool_calls=1), tools=[TOOL], messages=messages)
    assert chat(whole).choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"n": 9}, "n"),
        ({"n": "2"}, "n"),
        ({"stream": "yes"}, "stream"),
        (USAGE, "stream_options"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "none"}}}, "tool_choice"),
    ],
)
def test_what_openai_refuses_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Rejected) as refused:
        dialect.read({"model": "m", "messages": [{"role": "user", "content": "x"}]} | fields)
    assert (refused.value.fault.status, refused.value.fault.param) == (400, param)


@given(odd_bodies("messages", "stop", "tools", "tool_choice", "response_format", "stream_options", "metadata", "n"))
def test_odd_requests_are_answered_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(Rejected):
        whole, _ = play(Behaviour(tool_calls=2), **fields)
        assert msgspec.json.decode(whole)["model"] == "m"


def test_failure_inside_a_stream_is_one_error_object() -> None:
    asked = dialect.read({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    completion = complete(asked, Behaviour(), Override(), seed=1, tier="default", ordinal=0)
    told = dialect.failure(FAULTS["overloaded"], "told", asked=asked, completion=completion, sequence=1)
    [(name, data)] = frames(b"".join(told))
    assert name == ""
    assert msgspec.json.decode(data)["error"]["code"] == "server_is_overloaded"
    assert msgspec.json.decode(data)["error"]["message"] == "told"
