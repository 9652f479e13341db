from pathlib import Path

import pytest

from appliance.domain.chat import Citation, Opaque, Reasoning, Seal, Text, ToolCall
from appliance.domain.stream import Event, Failed, Stopped, fold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.gemini_interactions import GEMINI_INTERACTIONS
from tests.wire.streams import one_by_one
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN, check, told

FOLDER = GOLDEN / "gemini"
GOLDENS = sorted([*FOLDER.glob("interactions_*.sse"), *FOLDER.glob("events_interactions_*.sse")])
EVERY = (FOLDER / "events_interactions_every_kind.sse").read_bytes()


def read(*pieces: bytes) -> list[Event]:
    return pairs.read_stream(GEMINI_INTERACTIONS.answer_reader(pairs.source(GEMINI_INTERACTIONS)), pieces)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden_streams_whole_and_byte_by_byte(path: Path) -> None:
    data = path.read_bytes()
    events = read(data)
    check(path, events)
    pairs.in_order(events)
    assert [told(event) for event in read(*one_by_one(data))] == [told(event) for event in events]


def test_every_kind_of_step_is_a_part() -> None:
    answer = fold(read(EVERY))
    assert [part for part in answer.parts if not isinstance(part, Opaque)] == [
        Reasoning("**Think**", Seal("gemini", "+/8=", "signature")),
        Text("Grüße 🏡", citations=(Citation("https://e.org", "E", None, 0, 5),)),
        ToolCall("c1", "f", '{"a":1}'),
        ToolCall("c2", "g", '{"whole":1.0}'),
        ToolCall("c3", "h", "{}"),
    ]
    assert (answer.id, answer.created, answer.tier) == ("v1_a", 1793491200, "flex")
    assert (answer.usage, answer.stop) == (Tokens(23, 12, 8, None, 7, "known"), Stopped("tool_calls"))


@pytest.mark.parametrize(
    "data",
    [
        b"data: {nonsense\n\n",
        b'data: {"event_type":"step.start","index":"x"}\n\n',
        b'data: {"event_type":"step.start","index":0,"step":7}\n\n',
        b"data: " + b"x" * (17 << 20),
    ],
)
def test_garbage_and_endless_events_are_the_providers_fault(data: bytes) -> None:
    last = read(data)[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_garbled"


def test_without_its_last_event_a_stream_was_cut_off() -> None:
    last = read(EVERY[: EVERY.index(b"event: interaction.completed")])[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_cut_off"
