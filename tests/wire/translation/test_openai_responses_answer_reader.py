from pathlib import Path

import pytest

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.stream import Answer, Event, Failed, Ping, Stopped, fold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.openai_responses import OPENAI_RESPONSES
from tests.wire.streams import one_by_one
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN, check, told

FOLDER = GOLDEN / "openai"
GOLDENS = sorted([*FOLDER.glob("responses_*.sse"), *FOLDER.glob("events_responses_*.sse")])
EVERY = (FOLDER / "events_responses_every_kind.sse").read_bytes()


def read(*pieces: bytes) -> list[Event]:
    return pairs.read_stream(OPENAI_RESPONSES.answer_reader(pairs.source(OPENAI_RESPONSES)), pieces)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden_streams_whole_and_byte_by_byte(path: Path) -> None:
    data = path.read_bytes()
    events = read(data)
    check(path, events)
    pairs.in_order(events)
    assert [told(event) for event in read(*one_by_one(data))] == [told(event) for event in events]


def test_every_kind_of_item_is_a_part() -> None:
    answer = fold(read(EVERY))
    assert [part for part in answer.parts if not isinstance(part, Opaque)] == [
        Reasoning("**One**\n\nTwo", Seal("openai", "gAAA1", "encrypted", "rs_1")),
        Reasoning("raw thought"),
        Text(
            "Grüße 🏡",
            citations=(Citation("https://e.org/a", "A", None, 0, 5), Citation("https://e.org/b", "B", None, 6, 7)),
            logprobs=(TokenLogprob("Grüße", -0.5, (71,), (TokenLogprob("Hi", -1.5, (72, 105)),)),),
        ),
        Refusal("I can't."),
        ToolCall("call_0", "f0", '{"a":1}'),
        ToolCall("call_1", "f1", '{"b":2}'),
        ToolCall("call_c", "patch", "*** Begin", custom=True),
        ToolCall("call_3", "f3", '{"only":"done"}'),
        Text("only done", citations=(Citation("https://e.org/a", "A", None, 0, 5),)),
    ]
    assert [part.kind for part in answer.parts if isinstance(part, Opaque)] == ["web_search_call"]
    assert (answer.id, answer.model, answer.created) == ("resp_1", "gpt-6-sol-2026", 1790000002)
    assert (answer.usage, answer.tier) == (Tokens(20, 30, 8, 4, 11, "known"), "flex")
    assert answer.stop == Stopped("tool_calls")
    assert any(isinstance(event, Ping) for event in read(EVERY))


def test_the_whole_reads_as_its_stream() -> None:
    data = (FOLDER / "responses_reasoning.sse").read_bytes()
    body = data[data.rindex(b'"response":') + 11 : data.rindex(b"}")]
    body = body[: body.rindex(b',"sequence_number"')] if b',"sequence_number"' in body else body
    whole = OPENAI_RESPONSES.read_answer(body, pairs.source(OPENAI_RESPONSES))
    streamed: Answer = fold(read(data))
    assert whole == streamed


@pytest.mark.parametrize(
    "data",
    [
        b"data: {nonsense\n\n",
        b'data: {"type":"response.created","response":7}\n\n',
        b'data: {"type":"response.output_item.added","item":7}\n\n',
        b"data: " + b"x" * (17 << 20),
    ],
)
def test_garbage_and_endless_events_are_the_providers_fault(data: bytes) -> None:
    last = read(data)[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_garbled"


def test_an_overload_inside_a_200_is_a_refusal_of_the_provider() -> None:
    (last,) = [
        event for event in read((FOLDER / "responses_error_nested.sse").read_bytes()) if isinstance(event, Failed)
    ]
    assert last.fault.code == "provider_refused"
