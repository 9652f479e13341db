from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from appliance.simulator import chat as simulated
from appliance.simulator.completion import complete
from appliance.simulator.override import Override
from appliance.simulator.world import Behaviour
from appliance.wire.dialect import NotAssemblable
from appliance.wire.openai_chat import Assembler
from appliance.wire.sse import event
from tests.wire.streams import cut, golden

TOOL = {"type": "function", "function": {"name": "look", "parameters": {
    "type": "object", "properties": {"place": {"type": "string"}}}}}  # fmt: skip


def assembled(*pieces: bytes) -> dict[str, Any]:
    assembler = Assembler()
    for piece in pieces:
        assembler.feed(piece)
    value: dict[str, Any] = msgspec.json.decode(assembler.result())
    return value


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "refusal": None, "annotations": []} | fields


def only(answer: dict[str, Any]) -> dict[str, Any]:
    [choice] = answer["choices"]
    assert isinstance(choice, dict)
    return choice


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("name", "expected", "finish"),
    [
        ("chat_text", message(content='Grüße aus 東京 🙂 "usage" \\ [DONE]\n\n'), "stop"),
        ("chat_tools", message(tool_calls=[
            call("call_a", "get_weather", '{"city":"Paris"}'), call("call_b", "get_time", '{"zone":"CET"}'),
        ]), "tool_calls"),
        ("chat_reasoning", message(content="Four.", reasoning_content="Let me see."), "stop"),
        ("chat_refusal", message(refusal="I can't help with that."), "stop"),
        ("chat_azure_crlf", message(content="Hello"), "stop"),
        ("chat_content_filter", message(content=""), "content_filter"),
        ("chat_function_call", message(function_call={"name": "f", "arguments": '{"a":1}'}), "function_call"),
    ],
)  # fmt: skip
def test_the_message_is_the_unstreamed_one(name: str, expected: dict[str, Any], finish: str) -> None:
    answer = assembled(golden(name))
    choice = only(answer)
    assert choice["message"] == expected
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, finish, None)
    assert (answer["object"], answer["created"]) == ("chat.completion", 1790000001)
    assert "obfuscation" not in answer
    ChatCompletion.model_validate(answer, strict=True)


def test_the_rest_of_the_object() -> None:
    answer = assembled(golden("chat_text"))
    assert answer["usage"]["prompt_tokens"] == 19
    assert (answer["service_tier"], answer["system_fingerprint"]) == ("default", "fp_44709d6fcb")
    assert (answer["id"], answer["model"]) == ("chatcmpl-B9MBs8CjcvOlj2yLn4n4JxmUpoSqF", "gpt-5-mini-2025-08-07")
    azure = assembled(golden("chat_azure_crlf"))
    assert azure["id"] == "chatcmpl-B9MBs8CjcvOlj2yLn4n4JxmUpoSqF"
    assert azure["prompt_filter_results"][0]["prompt_index"] == 0
    assert only(azure)["content_filter_results"] == {"hate": {"filtered": False, "severity": "safe"}}


def test_choices_come_in_order_with_their_logprobs() -> None:
    answer = assembled(golden("chat_choices"))
    ChatCompletion.model_validate(answer, strict=True)
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["No.", "Yes"]
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["stop", "length"]
    tokens = [[token["token"] for token in choice["logprobs"]["content"]] for choice in answer["choices"]]
    assert tokens == [["No", "."], ["Yes"]]
    assert answer["choices"][0]["logprobs"]["refusal"] is None


@given(st.sampled_from(["chat_text", "chat_tools", "chat_choices", "chat_azure_crlf"]), st.lists(st.integers(0, 99999)))
def test_the_cuts_change_nothing(name: str, places: list[int]) -> None:
    data = golden(name)
    assert assembled(*cut(data, places)) == assembled(data)


@pytest.mark.parametrize(
    ("behaviour", "fields"),
    [
        (Behaviour(), {}),
        (Behaviour(), {"n": 3}),
        (Behaviour(), {"max_completion_tokens": 3}),
        (Behaviour(), {"logprobs": True, "top_logprobs": 1, "n": 2}),
        (Behaviour(tool_calls=3), {"tools": [TOOL]}),
        (Behaviour(), {"tools": [TOOL], "tool_choice": "required", "n": 2}),
        (Behaviour(decline_rate=1), {"logprobs": True}),
        (Behaviour(reasoning_tokens=9, reasoning_field="reasoning_content"), {}),
        (Behaviour(obfuscation=True, cached_share=0.5), {}),
    ],
)
def test_both_forms_of_the_simulator_are_one_answer(behaviour: Behaviour, fields: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | fields
    plain = simulated.read(body)
    streamed = simulated.read(body | {"stream": True, "stream_options": {"include_usage": True}})
    completions = [complete(one, behaviour, Override(), seed=1, tier="flex", ordinal=0) for one in (plain, streamed)]
    script = simulated.script(streamed, completions[1], behaviour, "flex")
    expected, _ = simulated.body(plain, completions[0], behaviour, "flex")
    assert assembled(*(step.data for step in script.steps)) == msgspec.json.decode(msgspec.json.encode(expected))


def delta(**fields: Any) -> bytes:
    return event(msgspec.json.encode({"id": "c", "choices": [{"index": 0, "delta": fields}]}))


def test_servers_that_repeat_or_forget_the_index_of_a_call() -> None:
    parts: list[dict[str, Any]] = [
        {"id": "a", "function": {"name": "f", "arguments": "{"}},
        {"function": {"arguments": "}"}},
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
    ]
    expected = [("a", "f", "{}"), ("b", "g", "{}")]
    for index in (dict[str, Any](), {"index": 0}):
        calls = only(assembled(*(delta(tool_calls=[part | index]) for part in parts)))["message"]["tool_calls"]
        assert [(got["id"], got["function"]["name"], got["function"]["arguments"]) for got in calls] == expected
        assert all("index" not in got for got in calls)


def test_servers_that_repeat_id_and_name_in_each_fragment() -> None:
    part = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "1"}}
    assert only(assembled(*[delta(tool_calls=[part])] * 3))["message"]["tool_calls"] == [call("a", "f", "111")]


def test_custom_tools_lists_and_unknown_fields() -> None:
    got = only(assembled(
        delta(tool_calls=[{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}], mood="go"),
        delta(tool_calls=[{"index": 0, "custom": {"input": "y"}}], mood="od", annotations=[{"n": 1}], score=1),
        delta(annotations=[{"n": 2}], score=2, more={"a": "b"}),
    ))["message"]  # fmt: skip
    assert got["tool_calls"] == [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "xy"}}]
    assert (got["annotations"], got["mood"], got["score"]) == ([{"n": 1}, {"n": 2}], "good", 2)
    assert got["more"] == {"a": "b"}


def test_what_cannot_be_assembled() -> None:
    with pytest.raises(NotAssemblable):
        assembled(golden("chat_audio"))
    with pytest.raises(NotAssemblable):
        assembled(b"data: [DONE]\n\n")
    for data in (
        b"data: [1]\n\n",
        b'data: {"choices":[1]}\n\n',
        b'data: {"choices":[{"delta":3}]}\n\n',
        b"data: x\n\n",
    ):
        with pytest.raises(NotAssemblable):
            assembled(data)


def test_long_arguments_take_linear_time() -> None:
    part = delta(tool_calls=[{"index": 0, "function": {"arguments": "x" * 10}}])
    first = delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}])
    calls = only(assembled(first, part * 20_000))["message"]["tool_calls"]
    assert calls[0]["function"]["arguments"] == "x" * 200_000
