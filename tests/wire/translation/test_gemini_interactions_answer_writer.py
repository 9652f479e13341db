import msgspec
import pytest
from hypothesis import given, settings

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Event, Failed, PartOpened, Ping, Started, Stopped, TextDelta, fold, unfold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.gemini_interactions import GEMINI_INTERACTIONS
from appliance.wire.translation.gemini_seals import seal_of
from tests.wire.translation import pairs
from tests.wire.translation.sdk_google import interaction, interaction_stream
from tests.wire.translation.strategies import common_answers, event_streams

ANTHROPIC = Seal("anthropic", "sig")
RICH = Answer(
    id="msg_1",
    model="claude",
    parts=(
        Reasoning("think", ANTHROPIC),
        Text("Hello", citations=(Citation("https://e.org", "E", None, 0, 5), Citation(quote="of a document"))),
        Refusal("No."),
        Opaque("anthropic_messages", "server_tool_use", msgspec.Raw(b"{}")),
        ToolCall("call_1", "f", '{"a": 1}'),
        ToolCall("call_2", "free", "text", custom=True),
    ),
    stop=Stopped("tool_calls"),
    usage=Tokens(10, 5, 4, 3, 2, "known"),
    tier="flex",
)


@settings(max_examples=20, deadline=None)
@given(events=event_streams(common_answers()))
def test_the_sdk_gives_what_was_said(events: list[Event]) -> None:
    answer = fold(events)
    told = interaction_stream(pairs.write_stream(GEMINI_INTERACTIONS, events))
    kinds = [event.event_type for event in told]
    assert kinds[:2] == ["interaction.created", "interaction.status_update"]
    assert kinds[-1] == "interaction.completed"
    assert kinds.count("step.start") == kinds.count("step.stop") == len(answer.parts)
    deltas = [event.delta for event in told if event.event_type == "step.delta"]
    said = "".join(delta.text for delta in deltas if delta.type == "text")
    assert said == "".join(part.text for part in answer.parts if isinstance(part, Text))
    final = told[-1].interaction
    assert answer.usage is not None and answer.stop is not None
    assert final.usage.total_tokens == (answer.usage.input or 0) + (answer.usage.output or 0)
    statuses = {"end": "completed", "length": "incomplete", "tool_calls": "requires_action"}
    assert (final.id, final.status) == (answer.id, statuses[answer.stop.reason])


def test_seals_citations_and_calls_in_the_stream_and_in_the_whole() -> None:
    told = interaction_stream(pairs.write_stream(GEMINI_INTERACTIONS, unfold(RICH)))
    deltas = [event.delta for event in told if event.event_type == "step.delta"]
    assert [delta.type for delta in deltas] == [
        "thought_summary", "thought_signature", "text", "text_annotation_delta", "text", "arguments_delta",
        "arguments_delta",
    ]  # fmt: skip
    assert seal_of(deltas[1].signature, kind="signature") == ANTHROPIC
    assert deltas[3].annotations[0].url == "https://e.org"
    assert deltas[-1].arguments == '{"input":"text"}'
    whole = interaction(GEMINI_INTERACTIONS.write_answer(RICH, pairs.REPLY))
    thought, text, refusal, call, custom = whole.steps
    assert (thought.summary[0].text, text.content[0].annotations[0].end_index) == ("think", 5)
    assert (refusal.content[0].text, call.arguments, custom.arguments) == ("No.", {"a": 1}, {"input": "text"})
    assert (whole.status, whole.service_tier, whole.usage.total_thought_tokens) == ("requires_action", "flex", 2)


def test_a_failure_is_an_error_event_and_a_ping_an_empty_line() -> None:
    fault = UpstreamFault("provider_refused", status=503)
    events = (Started("a"), PartOpened(0, "text"), TextDelta(0, "x"), Ping(), Failed(fault))
    data = pairs.write_stream(GEMINI_INTERACTIONS, events)
    assert b"\n\n\n" in data and b"interaction.completed" not in data
    told = interaction_stream(data)
    assert told[-1].event_type == "error" and told[-1].error.code == "UNAVAILABLE"


@pytest.mark.parametrize(("stop", "status"), [("filtered", "incomplete"), ("pause", "completed")])
def test_reasons_to_stop(stop: str, status: str) -> None:
    answer = Answer(id="a", model="m", parts=(Text("x"),), stop=Stopped(stop))  # type: ignore[arg-type]
    told = interaction_stream(pairs.write_stream(GEMINI_INTERACTIONS, unfold(answer)))
    assert told[-1].interaction.status == status
