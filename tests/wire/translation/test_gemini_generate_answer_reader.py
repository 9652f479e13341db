from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.chat import Citation, Opaque, Reasoning, Seal, Text, ToolCall
from appliance.domain.stream import Event, Failed, UsageTold, fold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.codec import Source
from appliance.wire.translation.gemini_generate import GEMINI_GENERATE
from tests.wire.streams import cut, one_by_one
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN, check, told

FOLDER = GOLDEN / "gemini"
GOLDENS = sorted(FOLDER.glob("events_generate_*.sse"))
EVERY = (FOLDER / "events_generate_every_kind.sse").read_bytes()
ARRAY = (FOLDER / "events_generate_every_kind.array").read_bytes()


def read(*pieces: bytes) -> list[Event]:
    return pairs.read_stream(GEMINI_GENERATE.answer_reader(Source(home="gemini", provider="g")), pieces)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden_streams_whole_and_byte_by_byte(path: Path) -> None:
    data = path.read_bytes()
    events = read(data)
    check(path, events)
    pairs.in_order(events)
    assert [type(event) for event in read(*one_by_one(data))] == [type(event) for event in events]


@pytest.mark.parametrize("name", ["every_kind", "overloaded"])
def test_the_array_says_what_the_events_say(name: str) -> None:
    array = (FOLDER / f"events_generate_{name}.array").read_bytes()
    events = [told(event) for event in read((FOLDER / f"events_generate_{name}.sse").read_bytes())]
    assert [told(event) for event in read(array)] == events
    assert [told(event) for event in read(*one_by_one(array))] == events


@settings(max_examples=60, deadline=None)
@given(places=st.lists(st.integers(0, 100_000), max_size=8))
def test_any_cut_of_the_array_gives_the_same(places: list[int]) -> None:
    assert [told(event) for event in read(*cut(ARRAY, places))] == [told(event) for event in read(ARRAY)]


def test_every_kind_of_part() -> None:
    answer = fold(read(EVERY))
    assert [part for part in answer.parts if not isinstance(part, Opaque)] == [
        Reasoning("**Thinking**"),
        Text("Grüße, 緑 🏡."),
        Reasoning("", Seal("gemini", "AbC+/w==", "part")),
        Reasoning("", Seal("gemini", "QUJD", "part")),
        Text(" Signed."),
        Text(" Unsigned."),
        Reasoning("", Seal("gemini", "REVG", "part", "fc_1")),
        ToolCall("fc_1", "mow", '{"lawn":"front 🏡","n":1.0}'),
        ToolCall("call_r-1_x_10", "rest", "{}"),
        ToolCall("call_r-1_x_11", "mow", "{}"),
    ]
    assert [part.kind for part in answer.parts if isinstance(part, Opaque)] == [
        "executable_code",
        "code_execution_result",
    ]
    assert answer.stop is not None and answer.stop.reason == "tool_calls"


def test_usage_is_told_when_it_changes_and_thoughts_are_output() -> None:
    usage = [event for event in read(EVERY) if isinstance(event, UsageTold)]
    assert usage[0].tokens == Tokens(20, 0, 0, None, 0, "known")
    assert usage[-1] == UsageTold(Tokens(23, 38, 8, None, 5, "known"), "flex")


def test_grounding_becomes_citations_that_count_characters() -> None:
    answer = fold(read((FOLDER / "events_generate_grounded.sse").read_bytes()))
    (text,) = answer.parts
    assert isinstance(text, Text)
    assert text.citations == (
        Citation("https://e.org/a", "A", "Züge fahren", 0, 11),
        Citation("https://e.org/b", "B", "Züge fahren", 0, 11),
        Citation("https://e.org/b", "B", "heute.", 12, 18),
    )
    assert [text.text[one.start : one.end] for one in text.citations] == [one.quote for one in text.citations]


def test_a_finish_reason_makes_it_whole_and_nothing_else_does() -> None:
    last = read(EVERY[: EVERY.rindex(b"data: ")])[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_cut_off"
    assert not isinstance(read(EVERY.rstrip())[-1], Failed)  # a last event without its blank line counts


@pytest.mark.parametrize(
    "data",
    [
        b"data: {nonsense\n\n",
        b'data: {"candidates":7}\n\n',
        b'[{"candidates":7}]',
        b"[17]",
        b'[{"a":"\\"}"},}]',
        b"data: " + b"x" * (17 << 20),
    ],
)
def test_garbage_and_endless_events_are_the_providers_fault(data: bytes) -> None:
    last = read(data)[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_garbled"


def test_a_call_that_was_malformed_is_a_fault_that_names_the_reason() -> None:
    last = read((FOLDER / "events_generate_malformed_call.sse").read_bytes())[-1]
    assert isinstance(last, Failed)
    assert (last.fault.code, getattr(last.fault, "provider_code", None)) == (
        "provider_error",
        "MALFORMED_FUNCTION_CALL",
    )
