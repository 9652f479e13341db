import itertools

import msgspec
import openai
import pytest
from hypothesis import given, settings

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Event, Failed, PartOpened, Ping, Started, Stopped, TextDelta, fold, unfold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.openai_responses import OPENAI_RESPONSES
from appliance.wire.translation.seals import unstamp
from tests.wire.translation import pairs
from tests.wire.translation.sdk_openai import responses_stream, responses_whole
from tests.wire.translation.strategies import common_answers, event_streams

ANTHROPIC = Seal("anthropic", "sig")
RICH = Answer(
    id="msg_1",
    model="claude",
    parts=(
        Reasoning("think", ANTHROPIC),
        Reasoning("", Seal("openai", "gAAA", "encrypted", "rs_1")),
        Text(
            "Hello",
            citations=(Citation("https://e.org", "E", "q"), Citation(quote="of a document")),
            logprobs=(TokenLogprob("Hello", -0.5, (72,)),),
        ),
        Refusal("No."),
        Opaque("anthropic_messages", "server_tool_use", msgspec.Raw(b"{}")),
        Opaque(
            "openai_responses",
            "web_search_call",
            msgspec.Raw(b'{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search"}}'),
        ),
        ToolCall("call_1", "f", '{"a": 1}'),
        ToolCall("call_2", "free", "text", custom=True),
    ),
    stop=Stopped("tool_calls"),
    usage=Tokens(10, 5, 4, 3, 2, "known"),
    tier="flex",
)


@settings(max_examples=30, deadline=None)
@given(events=event_streams(common_answers()))
def test_the_sdk_puts_together_what_was_said_and_every_event_is_numbered(events: list[Event]) -> None:
    answer = fold(events)
    data = pairs.write_stream(OPENAI_RESPONSES, events)
    told, final = responses_stream(data)
    raw = [msgspec.json.decode(one.partition(b"data: ")[2]) for one in data.split(b"\n\n") if one]
    names = [one.partition(b"\n")[0].removeprefix(b"event: ").decode() for one in data.split(b"\n\n") if one]
    assert [one["type"] for one in raw] == names
    assert [one["sequence_number"] for one in raw] == list(range(len(raw)))
    assert [one.type for one in told[:2]] == ["response.created", "response.in_progress"]
    said = [part.text for item in final.output if item.type == "message" for part in item.content]
    assert said == [part.text for part in answer.parts if isinstance(part, Text)]
    called = [(item.call_id, item.name, item.arguments) for item in final.output if item.type == "function_call"]
    assert called == [(part.id, part.name, part.arguments) for part in answer.parts if isinstance(part, ToolCall)]
    assert answer.usage is not None and answer.stop is not None
    assert (final.usage.input_tokens, final.usage.output_tokens) == (answer.usage.input, answer.usage.output)
    assert final.status == ("incomplete" if answer.stop.reason == "length" else "completed")


@settings(max_examples=30, deadline=None)
@given(events=event_streams(common_answers()))
def test_an_item_is_added_told_and_done_under_one_id_and_index(events: list[Event]) -> None:
    data = pairs.write_stream(OPENAI_RESPONSES, events)
    raw = [msgspec.json.decode(one.partition(b"data: ")[2]) for one in data.split(b"\n\n") if one]
    added = {one["output_index"]: one["item"]["id"] for one in raw if one["type"] == "response.output_item.added"}
    done = {one["output_index"]: one["item"] for one in raw if one["type"] == "response.output_item.done"}
    assert added == {index: item["id"] for index, item in done.items()} and len(set(added.values())) == len(added)
    assert list(added) == list(range(len(added)))
    for one in raw:
        if "item_id" in one:
            assert added[one["output_index"]] == one["item_id"]
    assert raw[-1]["response"]["output"] == [done[index] for index in sorted(done)]
    for kind in ("output_text", "function_call_arguments"):
        for index in done:
            deltas = [one for one in raw if one["type"] == f"response.{kind}.delta" and one["output_index"] == index]
            ends = [one for one in raw if one["type"] == f"response.{kind}.done" and one["output_index"] == index]
            for end in ends:
                assert "".join(one["delta"] for one in deltas) == end["text" if kind == "output_text" else "arguments"]


def test_the_order_of_events_of_each_kind_of_item() -> None:
    told, _ = responses_stream(pairs.write_stream(OPENAI_RESPONSES, unfold(RICH)))
    by_item = itertools.groupby(told[2:-1], lambda one: one.output_index)
    assert [[one.type.removeprefix("response.") for one in group] for _, group in by_item] == [
        [
            "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
            "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        ],
        ["output_item.added", "output_item.done"],
        [
            "output_item.added", "content_part.added", "output_text.delta", "output_text.annotation.added",
            "output_text.done", "content_part.done", "output_item.done",
        ],
        [
            "output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
            "output_item.done",
        ],
        ["output_item.added", "output_item.done"],
        [
            "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        ],
        [
            "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        ],
    ]  # fmt: skip


def test_the_stream_ends_with_what_the_whole_says() -> None:
    _, final = responses_stream(pairs.write_stream(OPENAI_RESPONSES, unfold(RICH)))
    whole = responses_whole(OPENAI_RESPONSES.write_answer(RICH, pairs.REPLY))
    thought, own, message, refusal, search, call, custom = whole.output
    assert (thought.summary[0].text, unstamp(thought.encrypted_content)) == ("think", ANTHROPIC)
    assert (own.summary, own.encrypted_content) == ([], "gAAA")
    assert [note.url for note in message.content[0].annotations] == ["https://e.org"]
    assert message.content[0].logprobs[0].token == "Hello"
    assert (refusal.content[0].refusal, search.type) == ("No.", "web_search_call")
    assert (call.call_id, call.arguments, custom.call_id, custom.input) == ("call_1", '{"a": 1}', "call_2", "text")
    assert whole.usage.input_tokens_details.cache_write_tokens == 3
    assert (whole.service_tier, whole.status, whole.store) == ("flex", "completed", False)
    ids = [item.pop("id") for told in (final, whole) for item in told.to_dict()["output"]]
    assert len(ids) == 14
    one, other = final.to_dict(), whole.to_dict()
    for told in (one, other):
        for item in told["output"]:
            item.pop("id")
            for extra in ("parsed_arguments",):
                item.pop(extra, None)
            for part in item.get("content") or ():
                part.pop("parsed", None)
    assert one == other


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("filtered", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
        ("length", "incomplete", "max_output_tokens"),
        ("context_full", "incomplete", "max_output_tokens"),
        ("stop_sequence", "completed", None),
        ("pause", "completed", None),
    ],
)
def test_reasons_to_stop(stop: str, status: str, reason: str | None) -> None:
    answer = Answer(id="a", model="m", parts=(Text("x"),), stop=Stopped(stop))  # type: ignore[arg-type]
    events, final = responses_stream(pairs.write_stream(OPENAI_RESPONSES, unfold(answer)))
    assert events[-1].type == f"response.{status}"
    for told in (final, responses_whole(OPENAI_RESPONSES.write_answer(answer, pairs.REPLY))):
        assert (told.status, told.incomplete_details and told.incomplete_details.reason) == (status, reason)


def test_a_failure_raises_in_the_sdk_and_a_ping_is_a_comment() -> None:
    fault = UpstreamFault("provider_cut_off")
    events = (Started("a"), PartOpened(0, "text"), TextDelta(0, "x"), Ping(), Failed(fault))
    data = pairs.write_stream(OPENAI_RESPONSES, events)
    assert b"\n\n: keep-alive\n\n" in data and b"response.completed" not in data
    numbers = [
        msgspec.json.decode(one.partition(b"data: ")[2])["sequence_number"]
        for one in data.split(b"\n\n")
        if b"data:" in one
    ]
    assert numbers == list(range(len(numbers)))
    with pytest.raises(openai.APIError):
        responses_stream(data)
