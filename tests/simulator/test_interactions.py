"""Gemini's Interactions: shapes by the SDK's types, stream and body as one answer, and the SDK as client."""

import contextlib
from typing import Any

import msgspec
import pytest
import trio
from google.genai import _interactions as sdk_errors
from hypothesis import given

from appliance.simulator import interactions as dialect
from appliance.simulator.completion import complete
from appliance.simulator.faults import Rejected
from appliance.simulator.override import Override
from appliance.simulator.world import Behaviour
from tests.simulator.odd_json import odd_bodies
from tests.simulator.running import Start, world_of
from tests.simulator.sdk_shapes import frames, interaction, interaction_event
from tests.simulator.test_generate_content import with_sdk

LOOK: Any = {"type": "function", "name": "look", "parameters": {
    "type": "object", "properties": {"place": {"type": "string"}}}}  # fmt: skip
QUICK = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0)
THINK = {"thinking_summaries": "auto"}


def play(behaviour: Behaviour | None = None, **fields: Any) -> tuple[bytes, list[bytes]]:
    """Both forms of one answer: the body, and the events of the stream without `[DONE]`."""
    behaviour = behaviour or Behaviour()
    body = {"model": "m", "input": "hello"} | fields
    both = []
    for streamed in (False, True):
        asked = dialect.read(body | ({"stream": True} if streamed else {}))
        both.append((asked, complete(asked, behaviour, Override(), seed=1, tier="flex", ordinal=0)))
    whole = msgspec.json.encode(dialect.body(*both[0], behaviour, "flex")[0])
    steps = dialect.script(*both[1], behaviour, "flex").steps
    events = frames(b"".join(step.data for step in steps))
    assert events.pop() == ("done", b"[DONE]")
    return whole, [data for _, data in events]


def assembled(events: list[bytes]) -> dict[str, Any]:
    """The unstreamed interaction that a stream amounts to."""
    steps: list[dict[str, Any]] = []
    fragments = ""
    for data in events:
        event = msgspec.json.decode(data)
        match event["event_type"]:
            case "step.start":
                assert event["index"] == len(steps)
                steps.append(event["step"])
                fragments = ""
            case "step.delta":
                step, delta = steps[event["index"]], event["delta"]
                match delta["type"]:
                    case "text":
                        step.setdefault("content", [{"type": "text", "text": ""}])[0]["text"] += delta["text"]
                    case "thought_summary":
                        summary = step.setdefault("summary", [{"type": "text", "text": ""}])
                        summary[0]["text"] += delta["content"]["text"]
                    case "thought_signature":
                        step["signature"] = delta["signature"]
                    case "arguments_delta":
                        fragments += delta["arguments"]
            case "step.stop":
                if fragments:
                    steps[event["index"]]["arguments"] = msgspec.json.decode(fragments)
    return dict(msgspec.json.decode(events[-1])["interaction"]) | {"steps": steps}


@pytest.mark.parametrize(
    ("behaviour", "fields", "status"),
    [
        (Behaviour(), {}, "completed"),
        (Behaviour(), {"generation_config": {"max_output_tokens": 2}}, "incomplete"),
        (Behaviour(tool_calls=2), {"tools": [LOOK]}, "requires_action"),
        (Behaviour(tool_calls=2, preface="I shall."), {"tools": [LOOK]}, "requires_action"),
        (Behaviour(), {"tools": [LOOK], "generation_config": {"tool_choice": "any"}}, "requires_action"),
        (Behaviour(reasoning_tokens=9), {}, "completed"),
        (Behaviour(reasoning_tokens=9), {"generation_config": THINK}, "completed"),
        (Behaviour(finish="budget_exceeded"), {}, "budget_exceeded"),
        (Behaviour(omit_usage=True), {}, "completed"),
    ],
)
def test_stream_and_body_are_one_answer_in_the_sdk_s_shapes(
    behaviour: Behaviour, fields: dict[str, Any], status: str
) -> None:
    whole, events = play(behaviour, **fields)
    assert interaction(whole).status == status
    kinds = [interaction_event(one).event_type for one in events]
    assert kinds[:2] == ["interaction.created", "interaction.status_update"]
    assert kinds[-1] == "interaction.completed"
    assert assembled(events) == msgspec.json.decode(whole)


def test_thoughts_are_counted_apart() -> None:
    usage = interaction(play(Behaviour(reasoning_tokens=9))[0]).usage
    assert usage is not None
    assert (usage.total_thought_tokens, usage.total_output_tokens) == (9, 24)
    assert usage.total_tokens == 33 + (usage.total_input_tokens or 0)


@given(odd_bodies("input", "tools", "generation_config", "response_format", "system_instruction", "labels"))
def test_odd_requests_are_answered_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(Rejected):
        whole, _ = play(Behaviour(tool_calls=2), **fields)
        assert msgspec.json.decode(whole)["model"] == "m"


# The official SDK as client.


async def test_plain_stream_get_and_delete(start: Start) -> None:
    running = await start()

    def use(client: Any) -> None:
        whole = client.interactions.create(model="m", input="hello", service_tier="flex")
        assert whole.service_tier == "flex"
        events = list(client.interactions.create(model="m", input="hello", service_tier="flex", stream=True))
        assert "".join(event.delta.text for event in events if event.event_type == "step.delta") == whole.output_text
        assert events[-1].interaction.usage.total_tokens == whole.usage.total_tokens
        assert client.interactions.get(whole.id).output_text == whole.output_text
        again = list(client.interactions.get(whole.id, stream=True, last_event_id=events[4].event_id))
        assert [event.event_id for event in again] == [event.event_id for event in events[5:]]
        client.interactions.delete(whole.id)
        with pytest.raises(sdk_errors.NotFoundError):
            client.interactions.get(whole.id)

    await with_sdk(running, use)
    assert running.journal[0].tier_served == "flex"
    assert [entry.forbidden for entry in running.journal if entry.forbidden] == []


async def test_parallel_calls_over_two_turns_by_the_kept_interaction_or_by_all_steps(start: Start) -> None:
    running = await start(world_of(default=msgspec.structs.replace(QUICK, tool_calls=2, reasoning_tokens=5)))

    def use(client: Any) -> list[str]:
        first = client.interactions.create(model="m", input="weather?", tools=[LOOK], generation_config=THINK)
        calls = [step for step in first.steps if step.type == "function_call"]
        assert [set(call.arguments) for call in calls] == [{"place"}] * 2
        results = [{"type": "function_result", "call_id": call.id, "result": "sunny"} for call in calls]
        kept = client.interactions.create(
            model="m", input=results, tools=[LOOK], previous_interaction_id=first.id, store=False
        )
        asked = {"type": "user_input", "content": [{"type": "text", "text": "weather?"}]}
        steps = [asked, *(step.model_dump(exclude_none=True) for step in first.steps), *results]
        told = client.interactions.create(model="m", input=steps, tools=[LOOK], store=False)
        with pytest.raises(sdk_errors.NotFoundError):
            client.interactions.get(told.id)
        with pytest.raises(sdk_errors.NotFoundError):
            client.interactions.create(model="m", input="x", previous_interaction_id="none")
        return [first.status, kept.status, told.status]

    assert await with_sdk(running, use) == ["requires_action", "completed", "completed"]


async def test_images_and_structured_output(start: Start) -> None:
    running = await start()
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}

    def use(client: Any) -> Any:
        content = [
            {"type": "image", "data": "/////w==", "mime_type": "image/png"},
            {"type": "document", "uri": "https://example.com/a.pdf", "mime_type": "application/pdf"},
            {"type": "text", "text": "what is it?"},
        ]
        form = {"type": "text", "mime_type": "application/json", "schema": schema}
        return client.interactions.create(model="m", input=content, response_format=form).output_text

    assert isinstance(msgspec.json.decode(await with_sdk(running, use))["ok"], bool)
    assert running.journal[0].media == 2


async def test_a_background_interaction_is_in_progress_until_it_is_due_or_cancelled(start: Start) -> None:
    running = await start()

    def use(client: Any) -> list[str]:
        slow = client.interactions.create(model="m@sim:start=1000", input="hello", background=True)
        looked = client.interactions.get(slow.id)
        cancelled = client.interactions.cancel(slow.id)
        quick = client.interactions.create(model="m", input="hello", background=True)
        found = client.interactions.get(quick.id)
        return [slow.status, looked.status, cancelled.status, quick.status, found.status]

    statuses = await with_sdk(running, use)
    assert statuses == ["in_progress", "in_progress", "cancelled", "in_progress", "completed"]


async def test_errors(start: Start) -> None:
    running = await start(world_of(default=QUICK))

    def use(client: Any) -> list[str]:
        with pytest.raises(sdk_errors.PermissionDeniedError):
            client.interactions.create(model="m@sim:refuse=forbidden", input="x")
        with pytest.raises(sdk_errors.BadRequestError):
            client.interactions.create(model="m", input="x", service_tier="ultrafast")
        events = list(client.interactions.create(model="m@sim:error=2", input="x", stream=True))
        assert events[-1].error.code == "unavailable"
        return [event.event_type for event in events[2:]]

    assert await with_sdk(running, use) == ["step.start", "step.delta", "step.delta", "error"]
    assert running.journal[2].outcome == "failed"


async def test_a_closed_stream_is_noticed(start: Start) -> None:
    slow = Behaviour(start=0, admission_s=0, tokens_per_s=100, output_tokens=10_000)
    running = await start(world_of(default=slow))

    def use(client: Any) -> None:
        stream = client.interactions.create(model="m", input="x", stream=True)
        assert next(iter(stream)).event_type == "interaction.created"
        stream.close()

    await with_sdk(running, use)
    with trio.fail_after(5):
        await running.journal.wait(lambda journal: journal[0].outcome == "client_gone")
