"""Gemini's Interactions through its official SDK for Python: made, streamed, gone on from, read back, ended."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.genai import _interactions as errors

from tests.end_to_end.asking import metadata
from tests.end_to_end.records import check, checked
from tests.end_to_end.stage import GEMINI, Stage

pytestmark = pytest.mark.sockets

MODEL = "gemini-3.5-flash"
LOOK: Any = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}
THINK: Any = {"thinking_summaries": "auto"}


@pytest.fixture(params=["v1beta", "v1"])
def sdk(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Any]:
    with stage.google(request.param) as client:
        yield client.interactions


@pytest.fixture
def interactions(stage: Stage) -> Iterator[Any]:
    with stage.google() as client:
        yield client.interactions


def marked(mark: str, sim: str = "", within: str | None = None) -> Any:
    """The override travels in the labels, our own wish in a header."""
    asked: Any = {"model": MODEL, "extra_body": {"labels": metadata(mark, sim)}}
    return asked if within is None else asked | {"extra_headers": {"x-start-within": within}}


def test_plain_and_stream(stage: Stage, sdk: Any) -> None:
    mark = stage.mark()
    whole = sdk.create(input="say it again", **marked(mark, "echo=true"))
    assert whole.output_text == "say it again"
    assert whole.status == "completed"
    told = checked(stage, mark)
    assert (told.request["endpoint"], told.request["dialect"]) == ("interactions", "gemini_interactions")
    again = stage.mark()
    events = list(sdk.create(input="naïve 東京 🙂🏽", stream=True, **marked(again, "echo=true,fragment_bytes=3")))
    assert "".join(one.delta.text for one in events if one.event_type == "step.delta") == "naïve 東京 🙂🏽"
    assert events[-1].event_type == "interaction.completed"
    assert checked(stage, again).request["streamed"]


def test_parallel_tools_and_thoughts_over_two_turns(stage: Stage, interactions: Any) -> None:
    mark = stage.mark()
    asked = marked(mark, "tool_calls=2,reasoning_tokens=5")
    first = interactions.create(input="weather?", tools=[LOOK], generation_config=THINK, **asked)
    assert first.status == "requires_action"
    assert any(step.type == "thought" for step in first.steps)
    assert checked(stage, mark).request["tokens"]["reasoning"] == 5
    calls = [step for step in first.steps if step.type == "function_call"]
    assert len(calls) == 2
    results = [{"type": "function_result", "call_id": call.id, "result": "sunny"} for call in calls]
    again = stage.mark()
    kept = interactions.create(input=results, tools=[LOOK], previous_interaction_id=first.id, **marked(again))
    assert kept.output_text
    checked(stage, again)


def test_a_kept_interaction_is_read_streamed_and_deleted_at_no_cost(stage: Stage, sdk: Any) -> None:
    mark = stage.mark()
    events = list(sdk.create(input="hello", stream=True, **marked(mark)))
    checked(stage, mark)
    identity = events[0].interaction.id
    found = sdk.get(identity)
    assert found.id == identity
    assert found.output_text == "".join(one.delta.text for one in events if one.event_type == "step.delta")
    again = list(sdk.get(identity, stream=True, last_event_id=events[2].event_id))
    assert [one.event_id for one in again] == [one.event_id for one in events[3:]]
    sdk.delete(identity)
    with pytest.raises(errors.NotFoundError):
        sdk.get(identity)
    told = stage.take(4)
    assert [one.request["endpoint"] for one in told] == ["interactions.get"] * 2 + [
        "interactions.delete",
        "interactions.get",
    ]
    assert [one.request["cost_nanos"] for one in told] == [0] * 4
    assert [one.request["status"] for one in told] == [200, 200, 200, 404]
    assert {one.request["provider"] for one in told} == {GEMINI}


def test_what_runs_in_the_background_is_looked_at_and_cancelled(stage: Stage, interactions: Any) -> None:
    mark = stage.mark()
    slow = interactions.create(input="hello", background=True, **marked(mark, "start=100000"))
    assert slow.status == "in_progress"
    assert interactions.get(slow.id).status == "in_progress"
    assert interactions.cancel(slow.id).status == "cancelled"
    assert interactions.get(slow.id).status == "cancelled"
    stage.take(4)
    stage.served(mark)


def test_what_was_not_kept_is_not_found(stage: Stage, interactions: Any) -> None:
    mark = stage.mark()
    told = interactions.create(input="hello", store=False, **marked(mark))
    checked(stage, mark)
    for call in (interactions.get, interactions.delete, interactions.cancel):
        with pytest.raises(errors.NotFoundError):
            call(told.id)
    with pytest.raises(errors.NotFoundError):
        interactions.create(input="x", previous_interaction_id="none", **marked(stage.mark()))
    assert len(stage.take(4)) == 4


@pytest.mark.parametrize(
    ("sim", "tier", "reason"),
    [
        ("", "flex", "flex_won"),
        ("flex.refuse=overloaded", "default", "flex_capacity"),
        ("flex.start=10000", "default", "flex_deadline"),
    ],
)
def test_a_stream_is_raced(stage: Stage, interactions: Any, sim: str, tier: str, reason: str) -> None:
    mark = stage.mark()
    asked = marked(mark, f"echo=true,{sim}" if sim else "echo=true", within="1s")
    events = list(interactions.create(input="quick", stream=True, **asked))
    assert "".join(one.delta.text for one in events if one.event_type == "step.delta") == "quick"
    entries = stage.served(mark)
    (told,) = stage.take()
    assert (told.request["tier_served"], told.request["reason"]) == (tier, reason)
    assert [one["tier_sent"] for one in told.attempts] == [entry["tier_asked"] for entry in entries]
    if reason != "flex_deadline":  # what is abandoned at Google is billed in full, and nobody knows how much
        check(told, entries)


def test_what_is_not_streamed_is_not_raced(stage: Stage, interactions: Any) -> None:
    mark = stage.mark()
    assert interactions.create(input="quick", **marked(mark, within="30s")).output_text
    told = checked(stage, mark)
    assert (told.request["reason"], told.request["tier_served"]) == ("not_raced", "default")


@pytest.mark.parametrize(
    ("refusal", "error", "code"),
    [
        ("invalid_request", errors.BadRequestError, "provider_rejected"),
        ("forbidden", errors.PermissionDeniedError, "provider_key_rejected"),
        ("rate_limit_exceeded", errors.RateLimitError, "provider_rate_limited"),
        ("server_error", errors.InternalServerError, "provider_error"),
    ],
)
def test_errors(stage: Stage, refusal: str, error: type[Exception], code: str) -> None:
    mark = stage.mark()
    with stage.google(retry_options={"attempts": 1}) as client, pytest.raises(error):
        client.interactions.create(input="hello", **marked(mark, f"refuse={refusal}"))
    told = stage.take()[0]
    assert told.request["error_code"] == code
    stage.served(mark)


def test_an_error_in_mid_stream(stage: Stage, interactions: Any) -> None:
    mark = stage.mark()
    *_, last = interactions.create(input="hello", stream=True, **marked(mark, "error=2,tokens_per_s=50"))
    assert last.event_type == "error"
    assert last.error.code
    (told,) = stage.take()
    assert told.request["error_origin"] == "provider"
    stage.served(mark)
