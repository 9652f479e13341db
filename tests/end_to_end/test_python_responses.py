"""The Responses API through the official SDK for Python, and what was recorded of it."""

import pytest

from tests.end_to_end.asking import RESPONSES_TOOLS, Plan, response
from tests.end_to_end.records import checked
from tests.end_to_end.stage import Json, Stage

pytestmark = pytest.mark.sockets

RACED: Json = {"start_within": "3s"}


@pytest.mark.parametrize("mount", ["/v1", "/api/v1"])
def test_plain(stage: Stage, mount: str) -> None:
    mark = stage.mark()
    with stage.client(mount) as client:
        answer = client.responses.create(**response("say it, and then say it again", mark, "echo=true"))
    assert answer.output_text == "say it, and then say it again"
    assert answer.usage is not None and answer.usage.output_tokens_details.reasoning_tokens == 5
    told = checked(stage, mark)
    assert told.request["endpoint"] == "responses"
    assert told.request["provider_response_id"] == answer.id


@pytest.mark.parametrize("extra", [{}, RACED], ids=["direct", "raced"])
def test_every_event_of_a_stream(stage: Stage, extra: Json) -> None:
    mark = stage.mark()
    with stage.client() as client:
        asked = response("say it", mark, "echo=true", reasoning={"summary": "auto"}, extra_body=extra)
        events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for kind in (
        "response.output_item.added", "response.content_part.added", "response.output_text.delta",
        "response.output_text.done", "response.content_part.done", "response.output_item.done",
    ):  # fmt: skip
        assert kind in kinds
    checked(stage, mark)


@pytest.mark.parametrize("extra", [{}, RACED], ids=["direct", "raced"])
def test_the_stream_helper_parses(stage: Stage, extra: Json) -> None:
    mark = stage.mark()
    with (
        stage.client() as client,
        client.responses.stream(**response("plan", mark), text_format=Plan, extra_body=extra) as stream,
    ):
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert isinstance(final.output_parsed, Plan)
    checked(stage, mark)


@pytest.mark.parametrize("extra", [{}, RACED], ids=["direct", "raced"])
def test_structured_output_is_parsed(stage: Stage, extra: Json) -> None:
    mark = stage.mark()
    with stage.client() as client:
        answer = client.responses.parse(**response("plan", mark), text_format=Plan, extra_body=extra)
    assert isinstance(answer.output_parsed, Plan)
    checked(stage, mark)


@pytest.mark.parametrize("extra", [{}, RACED], ids=["direct", "raced"])
def test_tool_calls_come_the_same_whole_and_in_fragments(stage: Stage, extra: Json) -> None:
    with stage.client() as client:
        whole, streamed = stage.mark(), stage.mark()
        tools: Json = {"tools": RESPONSES_TOOLS, "tool_choice": "required", "extra_body": extra}
        answer = client.responses.create(**response("weather?", whole, "tool_calls=2", **tools))
        checked(stage, whole)
        events = list(client.responses.create(**response("weather?", streamed, "tool_calls=2", **tools), stream=True))
        checked(stage, streamed)
    made = {item.id: item.arguments for item in answer.output if item.type == "function_call"}
    assert len(made) == 2
    told: dict[str, str] = {}
    for event in events:
        if event.type == "response.function_call_arguments.delta":
            told[event.item_id] = told.get(event.item_id, "") + event.delta
    assert told == made


def test_an_answer_that_is_cut_short_is_incomplete(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        answer = client.responses.create(**response("go on", mark, "tokens=50", max_output_tokens=5))
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None and answer.incomplete_details.reason == "max_output_tokens"
    checked(stage, mark)


def test_a_conversation_as_items(stage: Stage) -> None:
    mark = stage.mark()
    items: Json = {
        "instructions": "be brief",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "one"}]},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
    }
    with stage.client() as client:
        answer = client.responses.create(**response("", mark, "echo=true") | items, service_tier="flex")
    assert answer.output_text == "three"
    assert answer.service_tier == "flex"
    assert checked(stage, mark).request["tier_served"] == "flex"
