import anthropic
import msgspec
import pytest
from hypothesis import given, settings

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import (
    Answer,
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
from appliance.wire.translation.anthropic import ANTHROPIC
from appliance.wire.translation.seals import PREFIX, unstamp
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN
from tests.wire.translation.sdk_anthropic import stream
from tests.wire.translation.strategies import common_answers, event_streams

GEMINI = Seal("gemini", "CqIB", "part", "call_1")
OPENAI = Seal("openai", "gAAA", "encrypted", "rs_1")
RICH = Answer(
    id="chatcmpl-1",
    model="gpt",
    parts=(
        Reasoning("think", Seal("anthropic", "sig")),
        Reasoning("", Seal("anthropic", "data", "redacted")),
        Reasoning("sum", OPENAI),
        Reasoning("", GEMINI),
        Reasoning("unsealed"),
        Reasoning(),
        Text("Hello", citations=(Citation("https://e.org", "E", "q"), Citation(quote="of a document"))),
        Opaque("openai_responses", "web_search_call", msgspec.Raw(b"{}")),
        ToolCall("call_1", "f", '{"a": 1}'),
    ),
    stop=Stopped("tool_calls"),
    usage=Tokens(10, 5, 4, 3, 2, "known"),
)


def write(*parts: object, stop: Stopped | None = None) -> bytes:
    answer = Answer(id="a", model="m", parts=parts, stop=stop or Stopped("end"))  # type: ignore[arg-type]
    return pairs.write_stream(ANTHROPIC, unfold(answer))


@settings(max_examples=30, deadline=None)
@given(events=event_streams(common_answers()))
def test_the_sdk_puts_together_what_was_said(events: list[Event]) -> None:
    answer = fold(events)
    kinds, final = stream(pairs.write_stream(ANTHROPIC, events))
    assert (kinds[0], kinds[-2], kinds[-1]) == ("message_start", "message_delta", "message_stop")
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(answer.parts)
    assert final.id == answer.id
    said = [block.text for block in final.content if block.type == "text"]
    assert said == [part.text for part in answer.parts if isinstance(part, Text)]
    called = [(block.id, block.name, block.input) for block in final.content if block.type == "tool_use"]
    assert called == [
        (part.id, part.name, msgspec.json.decode(part.arguments)) for part in answer.parts if isinstance(part, ToolCall)
    ]
    assert answer.usage is not None and answer.usage.cached is not None
    assert final.usage.input_tokens + final.usage.cache_read_input_tokens == answer.usage.input
    assert final.usage.output_tokens == answer.usage.output
    assert answer.stop is not None
    stops = {"end": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    assert final.stop_reason == stops[answer.stop.reason]


def test_seals_citations_and_usage_in_the_sdks_hands() -> None:
    _, final = stream(pairs.write_stream(ANTHROPIC, unfold(RICH)))
    blocks = final.content
    assert [block.type for block in blocks] == [
        "thinking", "redacted_thinking", "thinking", "thinking", "thinking", "text", "tool_use",
    ]  # fmt: skip
    assert (blocks[0].thinking, blocks[0].signature, blocks[1].data) == ("think", "sig", "data")
    assert blocks[2].thinking == "sum" and unstamp(blocks[2].signature) == OPENAI
    assert blocks[3].thinking == "" and unstamp(blocks[3].signature) == GEMINI
    assert (blocks[4].thinking, blocks[4].signature) == ("unsealed", "")
    assert [(one.type, one.url, one.cited_text) for one in blocks[5].citations] == [
        ("web_search_result_location", "https://e.org", "q")
    ]
    usage = final.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (3, 4, 3)
    assert usage.output_tokens_details.thinking_tokens == 2


def test_what_anthropic_itself_streams_comes_out_as_it_went_in() -> None:
    data = (GOLDEN / "anthropic" / "events_every_kind.sse").read_bytes()
    _, before = stream(data)
    _, after = stream(
        pairs.write_stream(ANTHROPIC, pairs.read_stream(ANTHROPIC.answer_reader(pairs.source(ANTHROPIC)), [data]))
    )
    for block in (*before.content, *after.content):
        if block.type == "server_tool_use":
            block.input = {}  # what streams into a server tool's block is not translated
        if hasattr(block, "caller"):
            block.caller = None
    assert [block.to_dict() for block in after.content] == [block.to_dict() for block in before.content]
    assert after.usage.output_tokens_details == before.usage.output_tokens_details
    assert (after.stop_reason, after.usage.input_tokens) == (before.stop_reason, before.usage.input_tokens)


def test_a_stamped_seal_is_not_mistaken_for_a_signature() -> None:
    _, final = stream(write(Reasoning("", Seal("xai", "data", "redacted"))))
    assert final.content[0].type == "redacted_thinking" and final.content[0].data.startswith(PREFIX)


@pytest.mark.parametrize(
    ("part", "stop", "reason"),
    [
        (Refusal("no"), Stopped("end"), "refusal"),
        (Text("x"), Stopped("filtered"), "refusal"),
        (Text("x"), Stopped("context_full"), "model_context_window_exceeded"),
        (Text("x"), Stopped("pause"), "pause_turn"),
        (Text("x"), Stopped("stop_sequence", "END"), "stop_sequence"),
    ],
)
def test_reasons_to_stop(part: object, stop: Stopped, reason: str) -> None:
    _, final = stream(write(part, stop=stop))
    assert (final.stop_reason, final.stop_sequence) == (reason, stop.sequence)


def test_a_provider_that_does_not_say_that_it_starts_is_started() -> None:
    events: list[Event] = [Ping(), PartOpened(0, "text"), TextDelta(0, "x"), PartClosed(0), Stopped("end"), Ended()]
    kinds, final = stream(pairs.write_stream(ANTHROPIC, events))
    assert kinds.count("message_start") == 1 and final.content[0].text == "x"


def test_raw_json_of_a_provider_is_written_on_one_line() -> None:
    raw = msgspec.Raw(b'{"type":"server_tool_use",\n "id":"s","name":"web_search","input":{"q":"a\\nb"}}')
    _, final = stream(write(Opaque("anthropic_messages", "server_tool_use", raw)))
    assert final.content[0].input == {"q": "a\nb"}


def test_a_refusals_category_is_told() -> None:
    _, final = stream(write(stop=Stopped("refusal", None, "cyber")))
    assert final.stop_details.category == "cyber"


def test_a_failure_raises_in_the_sdk_and_a_ping_is_a_ping() -> None:
    writer = ANTHROPIC.answer_writer(pairs.REPLY)
    fault = UpstreamFault("provider_cut_off")
    events = (Started("a"), PartOpened(0, "text"), TextDelta(0, "x"), Ping(), Failed(fault))
    data = b"".join(writer.write(event) for event in events)
    assert b'event: ping\ndata: {"type":"ping"}\n\n' in data and b"message_stop" not in data
    with pytest.raises(anthropic.APIError):
        stream(data)
