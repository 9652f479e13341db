import pytest

from appliance.domain.chat import Citation, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import (
    Answer,
    ArgumentsDelta,
    Ended,
    Event,
    Failed,
    PartClosed,
    PartOpened,
    Ping,
    Started,
    Stopped,
    TextDelta,
    UsageTold,
    fold,
    unfold,
)
from appliance.domain.tokens import Tokens

WHOLE = Answer(
    id="a",
    model="m",
    created=1,
    parts=(
        Reasoning("so", Seal("anthropic", "sig")),
        Reasoning("", Seal("openai", "enc", "encrypted", "rs_1")),
        Text("hi", citations=(Citation("https://e.org"),), logprobs=(TokenLogprob("hi", -0.5),)),
        Refusal("no"),
        ToolCall("c1", "f", '{"a":1}'),
        ToolCall("c2", "g", "free", custom=True),
    ),
    stop=Stopped("tool_calls"),
    usage=Tokens(1, 2, certainty="known"),
    tier="flex",
)


def test_a_whole_answer_unfolds_and_folds_back() -> None:
    assert fold(unfold(WHOLE)) == WHOLE
    assert fold(unfold(Answer())) == Answer()


def test_calls_may_overlap_and_the_last_usage_counts() -> None:
    events: list[Event] = [
        Started("a"),
        UsageTold(Tokens(1)),
        PartOpened(0, "tool_call", ToolCall("x", "f", "")),
        PartOpened(1, "tool_call", ToolCall("y", "g", "")),
        ArgumentsDelta(1, "{"),
        Ping(),
        ArgumentsDelta(0, "[]"),
        ArgumentsDelta(1, "}"),
        PartClosed(0),
        PartClosed(1),
        UsageTold(Tokens(1, 5), "default"),
        Stopped("tool_calls"),
        Ended(),
    ]
    answer = fold(events)
    assert answer.parts == (ToolCall("x", "f", "[]"), ToolCall("y", "g", "{}"))
    assert (answer.usage, answer.tier) == (Tokens(1, 5), "default")


def test_a_broken_stream_raises_its_fault_and_disorder_is_told() -> None:
    fault = UpstreamFault("provider_cut_off")
    with pytest.raises(UpstreamFault) as raised:
        fold([Started(), PartOpened(0, "text"), TextDelta(0, "h"), Failed(fault)])
    assert raised.value is fault
    with pytest.raises(ValueError):
        fold([PartOpened(1, "text")])
