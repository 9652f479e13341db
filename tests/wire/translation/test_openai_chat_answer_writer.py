import msgspec
import openai
import pytest
from hypothesis import given, settings

from appliance.domain.chat import Citation, Opaque, Reasoning, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import (
    Answer,
    Cited,
    Ended,
    Event,
    Failed,
    PartClosed,
    PartOpened,
    Ping,
    Started,
    Stopped,
    TextDelta,
    fold,
    unfold,
)
from appliance.domain.tokens import Tokens
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from tests.wire.translation import pairs
from tests.wire.translation.sdk_openai import chat_stream
from tests.wire.translation.strategies import common_answers, event_streams

RICH = Answer(
    id="msg_1",
    model="claude",
    parts=(
        Reasoning("think ", Seal("anthropic", "sig")),
        Text("Hello ", citations=(Citation("https://e.org", "E"), Citation(quote="a document"))),
        Opaque("anthropic_messages", "server_tool_use", msgspec.Raw(b"{}")),
        Text("world", citations=(Citation("https://f.org", "F", start=0, end=5),)),
        ToolCall("call_1", "f", '{"a": 1}'),
        ToolCall("call_2", "g", "free", custom=True),
    ),
    stop=Stopped("tool_calls"),
    usage=Tokens(10, 5, 4, 3, 2, "known"),
    tier="flex",
)


@settings(max_examples=30, deadline=None)
@given(events=event_streams(common_answers()))
def test_the_sdk_puts_together_what_was_said(events: list[Event]) -> None:
    answer = fold(events)
    final = chat_stream(pairs.write_stream(OPENAI_CHAT, events))
    message = final.choices[0].message
    assert final.id == answer.id
    texts = [part.text for part in answer.parts if isinstance(part, Text)]
    assert (message.content or "") == "".join(texts)
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()] == [
        (call.id, call.name, call.arguments) for call in calls
    ]
    assert final.usage.completion_tokens == answer.usage.output  # type: ignore[union-attr]
    assert final.choices[0].finish_reason == {"end": "stop"}.get(answer.stop.reason, answer.stop.reason)  # type: ignore[union-attr]


def test_reasoning_citations_and_usage_in_the_sdks_hands() -> None:
    final = chat_stream(pairs.write_stream(OPENAI_CHAT, unfold(msgspec.structs.replace(RICH, parts=RICH.parts[:5]))))
    message = final.choices[0].message
    assert message.content == "Hello world"
    assert [
        (note.url_citation.url, note.url_citation.start_index, note.url_citation.end_index)
        for note in message.annotations
    ] == [
        ("https://e.org", 0, 6),
        ("https://f.org", 6, 11),
    ]
    assert message.reasoning_content == "think "
    detail = {
        "type": "reasoning.text",
        "text": "think ",
        "index": 0,
        "signature": "sig",
        "format": "anthropic-claude-v1",
    }
    assert message.reasoning_details == [detail]
    assert final.usage.prompt_tokens_details.cached_tokens == 4


def test_a_citation_covers_its_text_even_if_it_comes_first() -> None:
    cited = Cited(0, Citation("https://e.org"))
    events: list[Event] = [
        Started(),
        PartOpened(0, "text"),
        cited,
        TextDelta(0, "abc"),
        PartClosed(0),
        Stopped("end"),
        Ended(),
    ]
    final = chat_stream(pairs.write_stream(OPENAI_CHAT, events))
    note = final.choices[0].message.annotations[0].url_citation
    assert (note.start_index, note.end_index) == (0, 3)


def test_every_chunk_has_one_id_and_the_stream_ends_as_openais() -> None:
    data = pairs.write_stream(OPENAI_CHAT, unfold(RICH))
    events = data.split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    chunks = [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events[:-2]]
    assert {chunk["id"] for chunk in chunks} == {"msg_1"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] == 15
    assert chunks[-1]["service_tier"] == "flex"
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_usage_is_told_only_when_it_was_asked_for() -> None:
    reply = msgspec.structs.replace(pairs.REPLY, include_usage=False)
    assert b'"usage"' not in pairs.write_stream(OPENAI_CHAT, unfold(RICH), reply)


def test_a_provider_that_does_not_say_that_it_starts_is_started() -> None:
    events: list[Event] = [Ping(), PartOpened(0, "text"), TextDelta(0, "x"), PartClosed(0), Stopped("end"), Ended()]
    assert chat_stream(pairs.write_stream(OPENAI_CHAT, events)).choices[0].message.content == "x"


def test_log_probabilities_stand_beside_their_text() -> None:
    logprobs = (TokenLogprob("hé", -0.5, (104, 195, 169), (TokenLogprob("ha", -1.5),)),)
    answer = Answer(id="a", model="m", parts=(Text("hé", logprobs=logprobs),), stop=Stopped("end"))
    assert pairs.plain(fold(pairs.streamed_through(OPENAI_CHAT, unfold(answer)))) == answer
    assert chat_stream(pairs.write_stream(OPENAI_CHAT, unfold(answer))).choices[0].logprobs.content[0].logprob == -0.5


def test_what_was_not_told_is_taken_from_the_reply() -> None:
    final = chat_stream(pairs.write_stream(OPENAI_CHAT, unfold(Answer(parts=(Text("x"),), stop=Stopped("end")))))
    assert (final.id, final.model, final.created) == ("reply_1", "m", 1_790_000_000)


def test_a_failure_raises_in_the_sdk_and_a_ping_is_a_comment() -> None:
    writer = OPENAI_CHAT.answer_writer(pairs.REPLY)
    data = b"".join(
        writer.write(event)
        for event in (
            Started("a"),
            PartOpened(0, "text"),
            TextDelta(0, "x"),
            Ping(),
            Failed(UpstreamFault("provider_cut_off")),
        )
    )
    assert b"\n\n: keep-alive\n\n" in data and b"[DONE]" not in data
    with pytest.raises(openai.APIError):
        chat_stream(data)
