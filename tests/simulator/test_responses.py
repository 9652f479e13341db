"""Responses: every event by the SDK's types, in OpenAI's order, and the terminal event's object as the body."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator import responses as dialect
from appliance.simulator.completion import complete
from appliance.simulator.faults import FAULTS, Rejected
from appliance.simulator.override import Override
from appliance.simulator.script import Phase, Step
from appliance.simulator.world import Behaviour
from tests.simulator.odd_json import odd_bodies
from tests.simulator.sdk_shapes import event, frames, response

TOOL = {"type": "function", "name": "look", "parameters": {
    "type": "object", "properties": {"place": {"type": "string"}}}}  # fmt: skip
FORMAT = {"format": {"type": "json_schema", "name": "a", "schema": {
    "type": "object", "properties": {"ok": {"type": "boolean"}}}}}  # fmt: skip


def play(behaviour: Behaviour | None = None, tier: str = "default", **fields: Any) -> tuple[bytes, tuple[Step, ...]]:
    """Both forms of one answer: the body, and the steps of the stream."""
    behaviour = behaviour or Behaviour()
    body = {"model": "m", "input": "hello"} | fields
    both = []
    for streamed in (False, True):
        asked = dialect.read(body | ({"stream": True} if streamed else {}))
        both.append((asked, complete(asked, behaviour, Override(), seed=1, tier=tier, ordinal=0)))
    whole = msgspec.json.encode(dialect.body(*both[0], behaviour, tier)[0])
    return whole, dialect.script(*both[1], behaviour, tier).steps


CASES: list[tuple[Behaviour, dict[str, Any]]] = [
    (Behaviour(), {}),
    (Behaviour(), {"max_output_tokens": 3}),
    (Behaviour(), {"include": ["message.output_text.logprobs"], "top_logprobs": 1}),
    (Behaviour(tool_calls=3), {"tools": [TOOL]}),
    (Behaviour(preface="I shall look.", tool_calls=2), {"tools": [TOOL]}),
    (Behaviour(reasoning_tokens=7), {"tools": [TOOL], "tool_choice": {"type": "function", "name": "look"}}),
    (Behaviour(), {"text": FORMAT}),
    (Behaviour(decline_rate=1), {}),
    (Behaviour(reasoning_tokens=7, cached_share=0.4, cache_write_share=0.1), {}),
    (Behaviour(reasoning_tokens=7), {"reasoning": {"effort": "low", "summary": "auto"}}),
    (Behaviour(obfuscation=True), {"service_tier": "flex", "metadata": {"a": "b"}}),
    (Behaviour(omit_usage=True), {"instructions": "be brief", "store": False}),
]


@pytest.mark.parametrize(("behaviour", "fields"), CASES)
def test_events_have_the_sdk_s_shapes_and_end_in_the_unstreamed_body(
    behaviour: Behaviour, fields: dict[str, Any]
) -> None:
    whole, steps = play(behaviour, **fields)
    response(whole)
    told = frames(b"".join(step.data for step in steps))
    parsed = [event(data) for _, data in told]
    assert [one.type for one in parsed] == [name for name, _ in told]
    assert [one.sequence_number for one in parsed] == list(range(len(parsed)))
    assert [one.type for one in parsed[:2]] == ["response.created", "response.in_progress"]
    assert msgspec.json.decode(told[-1][1])["response"] == msgspec.json.decode(whole)


@pytest.mark.parametrize(("behaviour", "fields"), CASES)
def test_deltas_add_up_to_the_done_events_and_to_the_items(behaviour: Behaviour, fields: dict[str, Any]) -> None:
    whole, steps = play(behaviour, **fields)
    sums: dict[tuple[int, str], str] = {}
    done_items = []
    for _, data in frames(b"".join(step.data for step in steps)):
        value = msgspec.json.decode(data)
        kind = value["type"]
        if kind.endswith(".delta"):
            key = (value["output_index"], kind.removesuffix(".delta"))
            sums[key] = sums.get(key, "") + value["delta"]
        elif (value.get("output_index"), kind.removesuffix(".done")) in sums:
            told = value.get("text", value.get("arguments", value.get("refusal")))
            assert sums[value["output_index"], kind.removesuffix(".done")] == told
        elif kind == "response.output_item.done":
            done_items.append(value["item"])
    assert sums
    assert done_items == msgspec.json.decode(whole)["output"]


def test_the_tier_asked_for_is_shown_until_the_end_tells_the_one_served() -> None:
    _, steps = play(tier="default", service_tier="priority")
    values = [msgspec.json.decode(data) for _, data in frames(b"".join(step.data for step in steps))]
    assert [v["response"]["service_tier"] for v in values if "response" in v] == ["priority", "priority", "default"]
    assert [v["response"]["usage"] is None for v in values if "response" in v] == [True, True, False]


def test_reasoning_without_a_summary_takes_time_but_streams_nothing() -> None:
    _, steps = play(Behaviour(reasoning_tokens=7))
    kinds = [(step.phase, step.tokens) for step in steps[:5]]
    assert kinds == [
        (Phase.PREAMBLE, 0), (Phase.PREAMBLE, 0), (Phase.OUTPUT, 0), (Phase.OUTPUT, 7), (Phase.OUTPUT, 0)
    ]  # fmt: skip


def test_the_token_limit_makes_it_incomplete() -> None:
    whole, steps = play(max_output_tokens=2)
    answer = response(whole)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert steps[-1].data.startswith(b"event: response.incomplete\n")


@given(st.text(min_size=1, max_size=200))
def test_any_text_survives_streaming(text: str) -> None:
    whole, steps = play(Behaviour(text=text))
    assert response(whole).output_text == text
    content = [msgspec.json.decode(frames(step.data)[0][1]) for step in steps if step.phase is Phase.CONTENT]
    assert "".join(value["delta"] for value in content) == text


@given(odd_bodies("input", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "instructions"))
def test_odd_requests_are_answered_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(Rejected):
        whole, _ = play(Behaviour(tool_calls=2, reasoning_tokens=2), **fields)
        assert msgspec.json.decode(whole)["model"] == "m"


def test_failure_inside_a_stream_is_a_nested_error_and_a_failed_response() -> None:
    asked = dialect.read({"model": "m", "input": "x"})
    completion = complete(asked, Behaviour(), Override(), seed=1, tier="flex", ordinal=0)
    told = dialect.failure(FAULTS["overloaded"], "", asked=asked, completion=completion, sequence=2)
    (first, error), (second, failed) = frames(b"".join(told))
    assert (first, second) == ("error", "response.failed")
    value = msgspec.json.decode(error)
    assert (value["error"]["code"], value["sequence_number"]) == ("server_is_overloaded", 2)
    parsed = event(failed)
    assert (parsed.sequence_number, parsed.response.status, parsed.response.error.code) == (3, "failed", "server_error")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"stream": 1}, "stream"),
        ({"text": {"format": {"type": "json_schema"}}}, "response_format"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "none"}}, "tool_choice"),
    ],
)
def test_what_openai_refuses_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Rejected) as refused:
        dialect.read({"model": "m", "input": "x"} | fields)
    assert (refused.value.fault.status, refused.value.fault.param) == (400, param)
