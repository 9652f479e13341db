"""Conversations and answers to translate, for hypothesis. `common_*` is the subset that every dialect can say.

On the common subset an identity holds: canonical → A → canonical, and A → canonical → B → canonical. What is outside
is in the table of drops, or refused, and is tested dialect by dialect.
"""

from typing import Any

import msgspec
from hypothesis import strategies as st

from appliance.domain.chat import (
    Conversation,
    DialectName,
    File,
    Image,
    Inline,
    OutputFormat,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from appliance.domain.stream import (
    Answer,
    AnswerPart,
    ArgumentsDelta,
    Event,
    PartClosed,
    PartOpened,
    Stopped,
    TextDelta,
    unfold,
)
from appliance.domain.tokens import Tokens

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
"""Any characters at all, but at least one: empty texts are refused by some providers."""
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
CALL_IDS = st.from_regex(r"[a-z]{2,5}_[A-Za-z0-9]{1,8}", fullmatch=True)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
JSON_OBJECTS = st.dictionaries(WORDS, JSON_VALUES, max_size=3)


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


SCHEMAS = st.builds(
    lambda properties: raw({"type": "object", "properties": {name: {"type": "string"} for name in properties}}),
    st.lists(NAMES, max_size=3, unique=True),
)
TOOLS = st.builds(Tool, NAMES, WORDS, SCHEMAS)
TEXTS = st.builds(Text, WORDS)
IMAGES = st.builds(
    Image, st.builds(Inline, st.sampled_from(["image/png", "image/jpeg", "image/webp"]), st.just("iVBORw0KGgo="))
)
FILES = st.builds(File, st.just(Inline("application/pdf", "JVBERi0xLjQK")))
ARGUMENTS = JSON_OBJECTS.map(json_text)


@st.composite
def common_turns(draw: st.DrawFn, names: list[str]) -> tuple[Turn, ...]:
    """Instructions first if at all, then user and assistant in turns; every call gets its result, in order."""
    turns: list[Turn] = []
    if draw(st.booleans()):
        turns.append(Turn("system", tuple(draw(st.lists(TEXTS, min_size=1, max_size=2)))))
    call_number = 0
    for _ in range(draw(st.integers(1, 3))):
        asked: list[Part] = draw(st.lists(st.one_of(TEXTS, IMAGES, FILES), min_size=1, max_size=3))
        turns.append(Turn("user", tuple(asked)))
        for _ in range(draw(st.integers(0, 2)) if names else 0):
            said: list[Part] = draw(st.lists(TEXTS, max_size=1))
            results: list[Part] = []
            for _ in range(draw(st.integers(1, 3))):
                call_number += 1
                call_id = f"{draw(CALL_IDS)}_{call_number}"
                said.append(ToolCall(call_id, draw(st.sampled_from(names)), draw(ARGUMENTS)))
                results.append(ToolResult(call_id, (draw(TEXTS),)))
            turns += [Turn("assistant", tuple(said)), Turn("tool", tuple(results))]
        if draw(st.booleans()):
            turns.append(Turn("assistant", (draw(TEXTS),)))
            turns.append(Turn("user", (draw(TEXTS),)))
    return tuple(turns)


@st.composite
def common_conversations(draw: st.DrawFn, dialect: DialectName = "openai_chat") -> Conversation:
    """A request on the common subset. Its model is `m` and it is not streamed: targets say both."""
    tools = tuple(draw(st.lists(TOOLS, max_size=3, unique_by=lambda tool: tool.name)))
    names = [tool.name for tool in tools]
    choices = [ToolChoice("auto"), ToolChoice("required"), ToolChoice("none")]
    choices += [ToolChoice("named", (name,)) for name in names]
    output = st.none() | st.builds(lambda schema: OutputFormat("json_schema", schema), SCHEMAS)
    efforts = st.sampled_from(["low", "medium", "high"])
    return Conversation(
        dialect=dialect,
        model="m",
        turns=draw(common_turns(names)),
        tools=tools,
        tool_choice=draw(st.none() | st.sampled_from(choices)) if tools else None,
        output=draw(output),
        thinking=draw(st.none() | st.builds(Thinking, st.just(True), efforts)),
        max_output_tokens=draw(st.integers(1, 100_000)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.25, 1.0])),
        top_p=draw(st.none() | st.sampled_from([0.5, 1.0])),
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
    )


TOKENS = st.builds(
    lambda fresh, cached, output, reasoning: Tokens(
        input=fresh + cached,
        output=output + reasoning,
        cached=cached,
        cache_write=None,
        reasoning=reasoning,
        certainty="known",
    ),
    *[st.integers(0, 10_000)] * 4,
)


@st.composite
def common_answers(draw: st.DrawFn) -> Answer:
    """An answer on the common subset: a text or calls or both, with usage."""
    parts: list[AnswerPart] = draw(st.lists(TEXTS, max_size=1))
    calls = draw(st.integers(0 if parts else 1, 3))
    for number in range(calls):
        parts.append(ToolCall(f"{draw(CALL_IDS)}_{number}", draw(NAMES), draw(ARGUMENTS)))
    reasons = [Stopped("tool_calls")] if calls else [Stopped("end"), Stopped("length")]
    return Answer(
        id=draw(st.from_regex(r"[a-z]{3,8}[-_][A-Za-z0-9]{4,12}", fullmatch=True)),
        model=draw(NAMES),
        parts=tuple(parts),
        stop=draw(st.sampled_from(reasons)),
        usage=draw(TOKENS),
    )


@st.composite
def event_streams(draw: st.DrawFn, answers: st.SearchStrategy[Answer]) -> list[Event]:
    """The events of an answer, its texts and arguments cut anywhere, its calls' fragments in turns."""
    answer = draw(answers)
    events: list[Event] = []
    for event in unfold(answer):
        if isinstance(event, TextDelta | ArgumentsDelta) and not getattr(event, "logprobs", None):
            text = event.text if isinstance(event, TextDelta) else event.json
            cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
            bounds = zip([0, *cuts], [*cuts, len(text)], strict=True)
            pieces = [piece for piece in (text[begin:end] for begin, end in bounds) if piece]
            events += [type(event)(event.index, piece) for piece in pieces]
        else:
            events.append(event)
    return _in_turns(draw, events)


def _in_turns(draw: st.DrawFn, events: list[Event]) -> list[Event]:
    """Let calls that follow each other overlap: opened in order, fragments in any order, closed together."""
    opened = [event.index for event in events if isinstance(event, PartOpened) and event.call is not None]
    if len(opened) < 2 or not draw(st.booleans()):
        return events
    mine = [event for event in events if getattr(event, "index", None) in opened]
    first = events.index(mine[0])
    before = events[:first]
    after = [event for event in events[first:] if event not in mine]
    openings: list[Event] = [event for event in mine if isinstance(event, PartOpened)]
    closings: list[Event] = [event for event in mine if isinstance(event, PartClosed)]
    lanes = [[event for event in mine if isinstance(event, ArgumentsDelta) and event.index == at] for at in opened]
    mixed: list[Event] = []
    while any(lanes):
        lane = draw(st.sampled_from([lane for lane in lanes if lane]))
        mixed.append(lane.pop(0))
    return before + openings + mixed + closings + after
