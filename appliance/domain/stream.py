"""An answer in no dialect, as events and as a whole. The rule: the whole is the events folded, and nothing else.

Order of events: `Started`; then for each part `PartOpened`, its deltas, `PartClosed`; `UsageTold` at any time, each
replacing the last; `Stopped` once; `Ended` last. `Ping` may stand anywhere. `Failed` ends a stream in place of all
that is missing. Parts are numbered from 0 in the order of opening. One part is open at a time, but for tool calls:
several may be open together, since some providers send the fragments of parallel calls in turns.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import Fault
from appliance.domain.tokens import Tokens

StopReason = Literal["end", "length", "stop_sequence", "tool_calls", "filtered", "refusal", "pause", "context_full"]
"""`filtered`: by the provider's filter; `refusal`: by the model's own guard; `pause`: a server tool's turn is too long;
`context_full`: the model's window ran out before the caller's limit."""
PartKind = Literal["text", "reasoning", "refusal", "tool_call", "opaque"]


class Started(msgspec.Struct, frozen=True, gc=False):
    """The answer begins. `id` and `model` are the provider's, `created` a second since 1970; empty or None: untold."""

    id: str = ""
    model: str = ""
    created: int | None = None


class PartOpened(msgspec.Struct, frozen=True):
    """A part begins. `call` (without arguments) comes with kind `tool_call`, `opaque` with kind `opaque`."""

    index: int
    kind: PartKind
    call: ToolCall | None = None
    opaque: Opaque | None = None


class TextDelta(msgspec.Struct, frozen=True):
    """More words of a text."""

    index: int
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """More words of reasoning."""

    index: int
    text: str


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    """More words of a refusal."""

    index: int
    text: str


class ArgumentsDelta(msgspec.Struct, frozen=True, gc=False):
    """A fragment of a call's arguments: JSON text cut anywhere."""

    index: int
    json: str


class Sealed(msgspec.Struct, frozen=True):
    """The seal of an open reasoning part; at most one, after its text."""

    index: int
    seal: Seal


class Cited(msgspec.Struct, frozen=True):
    """A citation of an open text part."""

    index: int
    citation: Citation


class PartClosed(msgspec.Struct, frozen=True, gc=False):
    """A part is complete."""

    index: int


class UsageTold(msgspec.Struct, frozen=True):
    """What was used so far, and the tier served in the provider's word; the last one counts."""

    tokens: Tokens
    tier: str | None = None


class Stopped(msgspec.Struct, frozen=True, gc=False):
    """Why the model stopped; `sequence` is the stop sequence that it met, `category` the kind of refusal."""

    reason: StopReason
    sequence: str | None = None
    category: str | None = None


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The stream is whole."""


class Failed(msgspec.Struct, frozen=True):
    """The stream broke: nothing follows."""

    fault: Fault


class Ping(msgspec.Struct, frozen=True, gc=False):
    """The provider is alive and says nothing."""


Event = (
    Started
    | PartOpened
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ArgumentsDelta
    | Sealed
    | Cited
    | PartClosed
    | UsageTold
    | Stopped
    | Ended
    | Failed
    | Ping
)

AnswerPart = Text | Reasoning | Refusal | ToolCall | Opaque


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    id: str = ""
    model: str = ""
    created: int | None = None
    parts: tuple[AnswerPart, ...] = ()
    stop: Stopped | None = None
    usage: Tokens | None = None
    tier: str | None = None


class _Open:
    __slots__ = ("call", "citations", "kind", "logprobs", "opaque", "pieces", "seal")

    def __init__(self, opened: PartOpened) -> None:
        self.kind = opened.kind
        self.call = opened.call
        self.opaque = opened.opaque
        self.pieces: list[str] = []
        self.citations: list[Citation] = []
        self.logprobs: list[TokenLogprob] | None = None
        self.seal: Seal | None = None

    def part(self) -> AnswerPart:
        text = "".join(self.pieces)
        if self.kind == "text":
            logprobs = None if self.logprobs is None else tuple(self.logprobs)
            return Text(text, citations=tuple(self.citations), logprobs=logprobs)
        if self.kind == "reasoning":
            return Reasoning(text, self.seal)
        if self.kind == "refusal":
            return Refusal(text)
        if self.call is not None:
            return msgspec.structs.replace(self.call, arguments=text)
        if self.opaque is None:
            raise ValueError("an opaque part came without its content")
        return self.opaque


def fold(events: Iterable[Event]) -> Answer:
    """The whole answer. Raises the fault of a `Failed`, and ValueError if the events are out of order."""
    started = Started()
    usage: UsageTold | None = None
    stopped: Stopped | None = None
    parts: list[_Open] = []
    for event in events:
        match event:
            case PartOpened():
                if event.index != len(parts):
                    raise ValueError("a part was opened out of order")
                parts.append(_Open(event))
            case TextDelta():
                part = parts[event.index]
                part.pieces.append(event.text)
                if event.logprobs is not None:
                    part.logprobs = [*(part.logprobs or ()), *event.logprobs]
            case ArgumentsDelta():
                parts[event.index].pieces.append(event.json)
            case ReasoningDelta() | RefusalDelta():
                parts[event.index].pieces.append(event.text)
            case Sealed():
                parts[event.index].seal = event.seal
            case Cited():
                parts[event.index].citations.append(event.citation)
            case Started():
                started = event
            case UsageTold():
                usage = event
            case Stopped():
                stopped = event
            case Failed():
                raise event.fault
            case PartClosed() | Ended() | Ping():
                pass
    return Answer(
        id=started.id,
        model=started.model,
        created=started.created,
        parts=tuple(part.part() for part in parts),
        stop=stopped,
        usage=None if usage is None else usage.tokens,
        tier=None if usage is None else usage.tier,
    )


def unfold(answer: Answer) -> list[Event]:
    """The events of a whole answer, each part in one delta: `fold` gives the answer back."""
    events: list[Event] = [Started(answer.id, answer.model, answer.created)]
    for index, part in enumerate(answer.parts):
        events += _of_part(index, part)
    if answer.usage is not None:
        events.append(UsageTold(answer.usage, answer.tier))
    if answer.stop is not None:
        events.append(answer.stop)
    events.append(Ended())
    return events


def _of_part(index: int, part: AnswerPart) -> list[Event]:
    events: list[Event]
    if isinstance(part, Text):
        events = [PartOpened(index, "text"), TextDelta(index, part.text, part.logprobs)]
        events += [Cited(index, citation) for citation in part.citations]
    elif isinstance(part, Reasoning):
        events = [PartOpened(index, "reasoning")]
        if part.text:
            events.append(ReasoningDelta(index, part.text))
        if part.seal is not None:
            events.append(Sealed(index, part.seal))
    elif isinstance(part, Refusal):
        events = [PartOpened(index, "refusal"), RefusalDelta(index, part.text)]
    elif isinstance(part, ToolCall):
        call = msgspec.structs.replace(part, arguments="")
        events = [PartOpened(index, "tool_call", call), ArgumentsDelta(index, part.arguments)]
    else:
        events = [PartOpened(index, "opaque", None, part)]
    events.append(PartClosed(index))
    return events
