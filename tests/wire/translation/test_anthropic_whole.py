import msgspec
import pytest
from hypothesis import given, settings

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Stopped, fold, unfold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.anthropic import ANTHROPIC
from appliance.wire.translation.anthropic_whole import read_answer, write_answer
from tests.wire.translation import pairs
from tests.wire.translation.sdk_anthropic import whole
from tests.wire.translation.strategies import common_answers

SOURCE = pairs.source(ANTHROPIC)
PAGE = msgspec.Raw(
    b'{"type":"web_search_result_location","cited_text":"q","url":"u","title":"t","encrypted_index":"E"}'
)
NATIVE = Opaque("anthropic_messages", "web_search_result_location", PAGE)
SEARCH = Opaque("anthropic_messages", "server_tool_use", msgspec.Raw(b'{"type":"server_tool_use","id":"s","input":{}}'))
RICH = Answer(
    id="a",
    model="m",
    parts=(
        Reasoning("so", Seal("anthropic", "S")),
        Reasoning("", Seal("anthropic", "R", "redacted")),
        SEARCH,
        Text("hi", citations=(Citation("u", "t", "q", native=NATIVE),)),
        ToolCall("c", "f", '{"z": 1, "a": 2.0}'),
    ),
    stop=Stopped("refusal", None, "cyber"),
    usage=Tokens(9, 2, 4, 1, 1, "known"),
    tier="priority",
)  # fmt: skip


def test_a_rich_answer_comes_back_whole() -> None:
    assert read_answer(write_answer(RICH, pairs.REPLY), SOURCE) == RICH


@settings(max_examples=40, deadline=None)
@given(answer=common_answers())
def test_whole_and_streamed_say_the_same(answer: Answer) -> None:
    read = read_answer(write_answer(answer, pairs.REPLY), SOURCE)
    assert read == fold(pairs.streamed_through(ANTHROPIC, unfold(answer)))


def test_the_sdk_reads_it() -> None:
    final = whole(write_answer(RICH, pairs.REPLY))
    assert [block.type for block in final.content] == [
        "thinking", "redacted_thinking", "server_tool_use", "text", "tool_use",
    ]  # fmt: skip
    assert (final.content[4].input, final.stop_details.category) == ({"z": 1, "a": 2.0}, "cyber")
    assert (final.usage.input_tokens, final.usage.service_tier) == (4, "priority")


def test_what_another_provider_said_has_a_form_too() -> None:
    answer = Answer(
        parts=(
            Reasoning("so"),
            Reasoning(),
            Refusal("no"),
            Opaque("openai_responses", "x", msgspec.Raw(b"{}")),
            ToolCall("c", "f", "not json"),
        ),
        tier="default",
    )
    final = whole(write_answer(answer, pairs.REPLY))
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
    assert (final.id, final.stop_reason, final.usage.service_tier) == ("reply_1", "refusal", "standard")
    assert final.content[2].input == {}


def test_an_error_inside_a_200_and_garbage_are_the_providers_fault() -> None:
    with pytest.raises(UpstreamFault) as raised:
        read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', SOURCE)
    assert raised.value.phase == "body"
    for body in (b"", b"<html>", b'{"content":[7],"stop_reason":"end_turn"}', b"{}"):
        with pytest.raises(UpstreamFault) as raised:
            read_answer(body, SOURCE)
        assert raised.value.code == "provider_garbled"
