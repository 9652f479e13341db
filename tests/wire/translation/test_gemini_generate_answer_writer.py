import base64
from typing import Any

import msgspec
import pytest
from google.genai import errors
from hypothesis import given, settings

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import (
    Answer,
    Event,
    Failed,
    PartOpened,
    Ping,
    Started,
    Stopped,
    TextDelta,
    fold,
    unfold,
)
from appliance.domain.tokens import Tokens
from appliance.wire.translation.gemini_generate import GEMINI_GENERATE
from appliance.wire.translation.gemini_seals import seal_of, usual
from tests.wire.translation import pairs
from tests.wire.translation.sdk_google import parts_of, stream, whole
from tests.wire.translation.strategies import common_answers, event_streams

OPENAI = Seal("openai", "gAAA", "encrypted", "rs_1")
RICH = Answer(
    id="msg_1",
    model="claude",
    parts=(
        Reasoning("think", Seal("anthropic", "sig")),
        Reasoning("sum", OPENAI),
        Reasoning("", Seal("gemini", "AAAA", "part")),
        Text("Grüße", citations=(Citation("https://e.org", "E", "Grüße", 0, 5), Citation(quote="of a document"))),
        Refusal("No."),
        Opaque("openai_responses", "web_search_call", msgspec.Raw(b"{}")),
        Reasoning("", Seal("gemini", "BBBB", "part", "call_1")),
        ToolCall("call_1", "f", '{"a": 1}'),
        ToolCall("call_2", "g", ""),
        ToolCall("call_3", "free", "text", custom=True),
        Reasoning("", Seal("gemini", "CCCC", "part")),
    ),
    stop=Stopped("tool_calls"),
    usage=Tokens(10, 5, 4, 3, 2, "known"),
)
ARRAYED = msgspec.structs.replace(pairs.REPLY, framing="array")


def write(*parts: object, stop: Stopped | None = None) -> bytes:
    answer = Answer(id="a", model="m", parts=parts, stop=stop or Stopped("end"))  # type: ignore[arg-type]
    return pairs.write_stream(GEMINI_GENERATE, unfold(answer))


@settings(max_examples=30, deadline=None)
@given(events=event_streams(common_answers()))
def test_the_sdk_gives_what_was_said(events: list[Event]) -> None:
    answer = fold(events)
    chunks = stream(pairs.write_stream(GEMINI_GENERATE, events))
    parts = parts_of(chunks)
    assert "".join(part.text or "" for part in parts) == "".join(
        part.text for part in answer.parts if isinstance(part, Text)
    )
    called = [
        (part.function_call.id, part.function_call.name, part.function_call.args)
        for part in parts
        if part.function_call
    ]
    assert called == [
        (part.id, part.name, msgspec.json.decode(part.arguments)) for part in answer.parts if isinstance(part, ToolCall)
    ]
    last = chunks[-1]
    assert (last.response_id, last.model_version) == (answer.id, answer.model)
    assert answer.usage is not None and last.usage_metadata is not None and answer.stop is not None
    assert last.usage_metadata.prompt_token_count == answer.usage.input
    assert last.usage_metadata.total_token_count == (answer.usage.input or 0) + (answer.usage.output or 0)
    assert last.candidates is not None
    assert last.candidates[0].finish_reason == ("MAX_TOKENS" if answer.stop.reason == "length" else "STOP")


@settings(max_examples=30, deadline=None)
@given(events=event_streams(common_answers()))
def test_the_array_is_one_of_the_same_chunks(events: list[Event]) -> None:
    array = msgspec.json.decode(pairs.write_stream(GEMINI_GENERATE, events, ARRAYED))
    sse = pairs.write_stream(GEMINI_GENERATE, events)
    assert array == [msgspec.json.decode(line[6:]) for line in sse.split(b"\n\n") if line]


def test_seals_signatures_and_citations_in_the_sdks_hands() -> None:
    for parts, ground in (_streamed(), _whole()):
        by_text = {part.text: part for part in parts if part.text}
        assert by_text["Grüße"].thought_signature == b"\x00\x00\x00"
        calls = [part for part in parts if part.function_call]
        assert [part.function_call.name for part in calls] == ["f", "g", "free"]
        assert [part.function_call.args for part in calls] == [{"a": 1}, {}, {"input": "text"}]
        assert calls[0].thought_signature and not calls[1].thought_signature
        assert parts[-1].thought_signature or parts[-2].thought_signature  # the seal of what never came
        assert [chunk.web.uri for chunk in ground.grounding_chunks] == ["https://e.org"]
        segment = ground.grounding_supports[0].segment
        assert (segment.start_index, segment.end_index, segment.text) == (0, 7, "Grüße")


def _streamed() -> tuple[list[Any], Any]:
    chunks = stream(pairs.write_stream(GEMINI_GENERATE, unfold(RICH)))
    assert chunks[-1].candidates is not None
    return parts_of(chunks), chunks[-1].candidates[0].grounding_metadata


def _whole() -> tuple[list[Any], Any]:
    told = whole(GEMINI_GENERATE.write_answer(RICH, pairs.REPLY))
    assert told.candidates is not None
    return parts_of([told]), told.candidates[0].grounding_metadata


def test_a_foreign_seal_survives_the_sdks_base64() -> None:
    (told,) = [
        part.thought_signature for part in parts_of(stream(write(Reasoning("sum", OPENAI)))) if part.thought_signature
    ]
    for again in (base64.b64encode(told).decode(), base64.urlsafe_b64encode(told).decode().rstrip("=")):
        assert seal_of(again) == OPENAI
    assert usual("-_8") == "+/8="


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("filtered", "SAFETY"), ("refusal", "SAFETY"), ("context_full", "MAX_TOKENS"), ("stop_sequence", "STOP")],
)
def test_reasons_to_stop(stop: str, reason: str) -> None:
    chunks = stream(write(Text("x"), stop=Stopped(stop)))  # type: ignore[arg-type]
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason == reason


@pytest.mark.parametrize(("stop", "reason"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
def test_a_call_whose_arguments_are_cut_is_left_out_and_told(stop: str, reason: str) -> None:
    answer = Answer(id="a", model="m", parts=(ToolCall("c", "f", '{"a":'),), stop=Stopped(stop))  # type: ignore[arg-type]
    chunks = stream(pairs.write_stream(GEMINI_GENERATE, unfold(answer)))
    one = whole(GEMINI_GENERATE.write_answer(answer, pairs.REPLY))
    for told in (chunks[-1], one):
        assert told.candidates is not None and told.candidates[0].finish_reason == reason
        assert not told.function_calls


def test_log_probabilities_stand_beside_their_text() -> None:
    told = (TokenLogprob("x", -0.5, top=(TokenLogprob("x", -0.5), TokenLogprob("y", -1.5))),)
    (first, *_) = stream(write(Text("x", logprobs=told)))
    assert first.candidates is not None and first.candidates[0].logprobs_result is not None
    assert first.candidates[0].logprobs_result.model_dump(exclude_none=True) == {
        "chosen_candidates": [{"log_probability": -0.5, "token": "x"}],
        "top_candidates": [
            {"candidates": [{"log_probability": -0.5, "token": "x"}, {"log_probability": -1.5, "token": "y"}]}
        ],
    }


def test_a_failure_raises_in_the_sdk_and_a_ping_is_an_empty_line() -> None:
    fault = UpstreamFault("provider_refused", status=503)
    events = (Started("a"), PartOpened(0, "text"), TextDelta(0, "x"), Ping(), Failed(fault))
    with pytest.raises(errors.APIError) as caught:
        stream(pairs.write_stream(GEMINI_GENERATE, events))
    assert caught.value.code == 503
    array = msgspec.json.decode(pairs.write_stream(GEMINI_GENERATE, events, ARRAYED))
    assert len(array) == 2 and next(iter(array[1])) == "error"
