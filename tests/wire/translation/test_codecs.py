"""Every dialect, and every ordered pair of them: what one says, the other says too, and comes back the same."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.chat import Conversation, ToolCall
from appliance.domain.stream import Answer, Event, Stopped, fold, unfold
from appliance.wire.translation.codec import Codec
from appliance.wire.translation.codecs import CODECS
from tests.wire.streams import cut
from tests.wire.translation import pairs
from tests.wire.translation.strategies import common_answers, common_conversations, event_streams

EACH = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
PAIRS = pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.permutations(CODECS.values(), 2)),
    ids=[f"{a}-{b}" for a, b in itertools.permutations(CODECS, 2)],
)


@EACH
@settings(max_examples=60, deadline=None)
@given(conversation=common_conversations())
def test_a_request_comes_back_the_same(codec: Codec, conversation: Conversation) -> None:
    conversation = pairs.sayable(conversation, codec)
    assert pairs.through(codec, conversation) == conversation


@PAIRS
@settings(max_examples=40, deadline=None)
@given(conversation=common_conversations())
def test_a_request_crosses_a_pair_unchanged(first: Codec, second: Codec, conversation: Conversation) -> None:
    conversation = pairs.sayable(conversation, first, second)
    body = first.write_request(conversation, pairs.target(first)).body
    read = first.read_request(body)
    written = second.write_request(read, pairs.target(second))
    assert written.body == second.write_request(read, pairs.target(second)).body
    again = second.read_request(written.body)
    assert pairs.as_of(conversation, again) == pairs.as_of(conversation, read)


@EACH
@settings(max_examples=60, deadline=None)
@given(answer=common_answers())
def test_a_whole_answer_comes_back_the_same(codec: Codec, answer: Answer) -> None:
    body = codec.write_answer(answer, pairs.REPLY)
    assert pairs.plain(codec.read_answer(body, pairs.source(codec))) == answer


@EACH
@settings(max_examples=80, deadline=None)
@given(events=event_streams(common_answers()), places=st.lists(st.integers(0, 100_000), max_size=8))
def test_a_stream_comes_back_the_same_however_it_is_cut(codec: Codec, events: list[Event], places: list[int]) -> None:
    data = pairs.write_stream(codec, events)
    read = pairs.read_stream(codec.answer_reader(pairs.source(codec)), cut(data, places))
    pairs.in_order(read)
    assert pairs.plain(fold(read)) == fold(events)
    assert read == pairs.read_stream(codec.answer_reader(pairs.source(codec)), [data])


@PAIRS
@settings(max_examples=40, deadline=None)
@given(events=event_streams(common_answers()))
def test_a_stream_crosses_a_pair_unchanged(first: Codec, second: Codec, events: list[Event]) -> None:
    once = pairs.streamed_through(first, events)
    twice = pairs.streamed_through(second, once)
    assert pairs.plain(fold(twice)) == fold(events)


@EACH
def test_arguments_that_a_model_wrote_on_several_lines_come_back_from_a_stream(codec: Codec) -> None:
    call = ToolCall("c", "f", '{\n\n  "a":\r\n 1}')
    events = unfold(Answer(id="a", model="m", parts=(call,), stop=Stopped("tool_calls")))
    (part,) = fold(pairs.streamed_through(codec, events)).parts
    assert isinstance(part, ToolCall)
    assert msgspec.json.decode(part.arguments) == {"a": 1}
