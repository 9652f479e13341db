from pathlib import Path

import msgspec
import pytest

from appliance.domain.chat import Citation, Reasoning, Seal, Text, ToolCall
from appliance.domain.stream import Ended, Failed, Started, Stopped, UsageTold, fold
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from tests.wire.streams import one_by_one
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN, check, told

GOLDENS = sorted([*(GOLDEN / "openai").glob("chat_*.sse"), *(GOLDEN / "openai").glob("events_chat_*.sse")])


def read(*pieces: bytes) -> list:
    return pairs.read_stream(OPENAI_CHAT.answer_reader(pairs.source(OPENAI_CHAT)), pieces)


def chunk(choice: bytes, more: bytes = b"") -> bytes:
    return b'data: {"id":"c","model":"m","choices":[{"index":0,' + choice + b"}]" + more + b"}\n\n"


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden_streams_whole_and_byte_by_byte(path: Path) -> None:
    data = path.read_bytes()
    events = read(data)
    check(path, events)
    pairs.in_order(events)
    assert [told(event) for event in read(*one_by_one(data))] == [told(event) for event in events]


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    def call(more: bytes) -> bytes:
        return chunk(b'"delta":{"tool_calls":[{"index":0,' + more + b"}]}")

    events = read(
        call(b'"id":"a","function":{"name":"f","arguments":"{}"}'),
        call(b'"id":"b","function":{"name":"g","arguments":"["}'),
        call(b'"function":{"arguments":"]"}'),
        chunk(b'"delta":{},"finish_reason":"tool_calls"'),
    )
    assert fold(events).parts == (ToolCall("a", "f", "{}"), ToolCall("b", "g", "[]"))


def test_reasoning_details_keep_blocks_and_seals_apart() -> None:
    def detail(more: bytes) -> bytes:
        return chunk(b'"delta":{"reasoning":"ignored","reasoning_details":[{' + more + b"}]}")

    events = read(
        detail(b'"type":"reasoning.text","text":"a","index":0,"format":"anthropic-claude-v1"'),
        detail(b'"type":"reasoning.text","signature":"S","index":0,"format":"anthropic-claude-v1"'),
        detail(b'"type":"reasoning.text","text":"b","index":1'),
        detail(b'"type":"reasoning.encrypted","data":"G","id":"call_1","format":"google-gemini-v1","index":2'),
        chunk(b'"delta":{"content":"hi"},"finish_reason":"stop"'),
    )
    assert fold(events).parts == (
        Reasoning("a", Seal("anthropic", "S")),
        Reasoning("b"),
        Reasoning("", Seal("gemini", "G", "part", "call_1")),
        Text("hi"),
    )


def test_citations_count_from_the_start_of_their_part() -> None:
    note = b'{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":1,"end_index":2}}'
    events = read(
        chunk(b'"delta":{"content":"hi"}'), chunk(b'"delta":{"annotations":[' + note + b']},"finish_reason":"stop"')
    )
    assert fold(events).parts == (Text("hi", citations=(Citation("u", "t", start=1, end=2),)),)


def test_without_done_a_finish_reason_makes_it_whole_and_nothing_else_does() -> None:
    assert isinstance(read(chunk(b'"delta":{"content":"x"},"finish_reason":"length"'))[-1], Ended)
    last = read(chunk(b'"delta":{"content":"x"}'))[-1]
    assert isinstance(last, Failed) and last.fault.code == "provider_cut_off"


def test_the_tier_is_told_even_without_usage() -> None:
    events = read(chunk(b'"delta":{},"finish_reason":"stop"', b',"service_tier":"flex"'), b"data: [DONE]\n\n")
    assert [event.tier for event in events if isinstance(event, UsageTold)] == ["flex"]
    assert events[-2:] == [Stopped("end"), Ended()]


def test_garbage_and_endless_events_are_the_providers_fault() -> None:
    for data in (b"data: {nonsense\n\n", b'data: {"choices":7}\n\n', b"data: " + b"x" * (17 << 20)):
        last = read(data)[-1]
        assert isinstance(last, Failed) and last.fault.code == "provider_garbled"


def test_content_in_pieces_is_read_and_arguments_as_an_object_too() -> None:
    events = read(
        chunk(b'"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"so"}]}]}'),
        chunk(b'"delta":{"content":[{"type":"text","text":"hi"}]}'),
        chunk(
            b'"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]},"finish_reason":"stop"'
        ),
    )
    assert fold(events).parts == (Reasoning("so"), Text("hi"), ToolCall("a", "f", '{"x":1}'))


def test_what_stands_beside_the_content_never_breaks_the_answer() -> None:
    odd = {
        "annotations": [7, {"url_citation": {"title": 7}}],
        "reasoning_details": [{"type": 7}],
        "reasoning": "so",
        "content": "hi",
    }
    choice = {"delta": odd, "logprobs": {"tokens": ["hi"], "content": 7}, "finish_reason": 7}
    data = msgspec.json.encode({"id": 7, "model": None, "created": "now", "choices": [choice]})
    events = read(b"data: " + data + b"\n\ndata: [DONE]\n\n")
    assert isinstance(events[-1], Ended)
    assert fold(events).parts == (Reasoning("so"), Text("hi"))


def test_azures_first_chunk_does_not_start_the_answer() -> None:
    filtered = b'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n'
    events = read(filtered, chunk(b'"delta":{"content":"x"},"finish_reason":"stop"'))
    assert events[0] == Started("c", "m")
