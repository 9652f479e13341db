from pathlib import Path

import pytest

from appliance.domain.chat import Seal, Text, ToolCall
from appliance.domain.stream import Ended, Event, Failed, Ping, UsageTold, fold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.anthropic import ANTHROPIC
from appliance.wire.translation.codec import Source
from tests.wire.streams import one_by_one
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN, check, told

GOLDENS = sorted((GOLDEN / "anthropic").glob("*.sse"))
EVERY = (GOLDEN / "anthropic" / "events_every_kind.sse").read_bytes()


def read(*pieces: bytes, home: str = "anthropic") -> list[Event]:
    return pairs.read_stream(ANTHROPIC.answer_reader(Source(home=home)), pieces)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden_streams_whole_and_byte_by_byte(path: Path) -> None:
    data = path.read_bytes()
    events = read(data)
    check(path, events)
    pairs.in_order(events)
    assert [told(event) for event in read(*one_by_one(data))] == [told(event) for event in events]


def test_every_kind_of_block_is_a_part() -> None:
    answer = fold(read(EVERY))
    kinds = [type(part).__name__ for part in answer.parts]
    assert kinds == [
        "Reasoning",
        "Reasoning",
        "Text",
        "Opaque",
        "Opaque",
        "Reasoning",
        "ToolCall",
        "ToolCall",
        "Opaque",
    ]
    assert [part.seal.kind for part in answer.parts if hasattr(part, "seal") and part.seal] == [
        "signature",
        "redacted",
        "signature",
    ]
    assert answer.parts[6:8] == (
        ToolCall("toolu_01", "mow", '{"lawn": "front 🏡"}'),
        ToolCall("toolu_02", "rest", "{}"),
    )
    text = answer.parts[2]
    assert isinstance(text, Text) and text.text == "The grass is 緑."
    assert [(one.url, one.title, one.quote) for one in text.citations] == [
        (None, "Nature", "grass"), (None, None, "p"), (None, "Doc", "b"), ("https://e.org/s", "S", "s"),
        ("https://e.org/w", "W", "w"),
    ]  # fmt: skip
    assert text.citations[0].native is not None


def test_counts_of_the_end_replace_those_of_the_start() -> None:
    told = [event for event in read(EVERY) if isinstance(event, UsageTold)]
    assert [event.tokens for event in told] == [
        Tokens(420, 1, 300, 100, None, "known", 0),
        Tokens(420, 40, 300, 100, 12, "known", 0),
    ]
    assert told[-1].tier == "standard"


def test_pings_pass_and_a_seal_belongs_to_the_provider_asked() -> None:
    events = read(EVERY, home="zai")
    assert sum(isinstance(event, Ping) for event in events) == 2
    answer = fold(events)
    assert next(part.seal for part in answer.parts if hasattr(part, "seal")) == Seal("zai", "EqQBCgIYAhIM1gbc")


def test_without_message_stop_a_stop_reason_makes_it_whole_and_nothing_else_does() -> None:
    whole = EVERY[: EVERY.index(b"event: message_stop")]
    assert isinstance(read(whole)[-1], Ended)
    last = read(whole[: whole.index(b"event: message_delta")])[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_cut_off"


@pytest.mark.parametrize(
    "data",
    [
        b"data: {nonsense\n\n",
        b'event: message_start\ndata: {"type":"message_start","message":7}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":7}}\n\n',
        b"data: " + b"x" * (17 << 20),
    ],
)
def test_garbage_and_endless_events_are_the_providers_fault(data: bytes) -> None:
    last = read(data)[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_garbled"


def test_input_that_does_not_stream_is_taken_from_the_start() -> None:
    events = read(
        b'data: {"type":"content_block_start","index":0,"content_block":'
        b'{"type":"tool_use","id":"a","name":"f","input":{"x":1}}}\n\n'
        b'data: {"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"of no block"}}\n\n'
        b'data: {"type":"content_block_stop","index":9}\n\ndata: {"type":"message_stop"}\n\n'
    )
    assert fold(events).parts == (ToolCall("a", "f", '{"x":1}'),)
