import msgspec
import pytest
from hypothesis import given, settings

from appliance.domain.chat import Citation, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Stopped, fold, unfold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from appliance.wire.translation.openai_chat_whole import read_answer, write_answer
from tests.wire.translation import pairs
from tests.wire.translation.sdk_openai import chat_whole
from tests.wire.translation.strategies import common_answers

SOURCE = pairs.source(OPENAI_CHAT)
RICH = Answer(
    id="a",
    model="m",
    created=5,
    parts=(
        Reasoning("so", Seal("anthropic", "S")),
        Text("hi", citations=(Citation("u", "t", start=0, end=2),), logprobs=(TokenLogprob("hi", -1.0, (104, 105)),)),
        Refusal("no"),
        ToolCall("c", "f", "{}"),
        ToolCall("d", "g", "free", custom=True),
    ),
    stop=Stopped("filtered"),
    usage=Tokens(3, 2, 0, 1, 0, "known"),
    tier="flex",
)


def test_a_rich_answer_comes_back_whole() -> None:
    assert read_answer(write_answer(RICH, pairs.REPLY), SOURCE) == RICH


@settings(max_examples=40, deadline=None)
@given(answer=common_answers())
def test_whole_and_streamed_say_the_same(answer: Answer) -> None:
    whole = read_answer(write_answer(answer, pairs.REPLY), SOURCE)
    assert whole == fold(pairs.streamed_through(OPENAI_CHAT, unfold(answer)))


def test_the_sdk_reads_it() -> None:
    final = chat_whole(write_answer(RICH, pairs.REPLY))
    message = final.choices[0].message
    assert (final.id, message.content, message.refusal, message.reasoning_content) == ("a", "hi", "no", "so")
    assert [call.id for call in message.tool_calls] == ["c", "d"]
    assert (final.usage.total_tokens, final.service_tier, final.choices[0].finish_reason) == (
        5,
        "flex",
        "content_filter",
    )


def test_an_error_inside_a_200_and_garbage_are_the_providers_fault() -> None:
    with pytest.raises(UpstreamFault) as raised:
        read_answer(b'{"error":{"message":"x","code":503}}', SOURCE)
    assert raised.value.phase == "body"
    for body in (b"", b"<html>", b'{"choices":[]}', b'{"id":1}'):
        with pytest.raises(UpstreamFault) as raised:
            read_answer(body, SOURCE)
        assert raised.value.code == "provider_garbled"


def test_an_answer_without_usage_or_reason_is_an_answer() -> None:
    body = b'{"choices":[{"message":{"content":"x","function_call":{"name":"f","arguments":"{}"}}}]}'
    answer = read_answer(body, SOURCE)
    assert answer.parts == (Text("x"), ToolCall("call_0", "f", "{}"))
    assert (answer.stop, answer.usage) == (Stopped("tool_calls"), None)
    assert "usage" not in msgspec.json.decode(write_answer(answer, pairs.REPLY))
