"""What the tests of every codec share: a target, a source, a reply, and bytes cut anywhere."""

from collections.abc import Iterable

import msgspec

from appliance.domain.chat import Conversation, Turn
from appliance.domain.stream import Answer, Ended, Event, Failed, Ping, fold
from appliance.wire.translation.codec import AnswerReader, Codec, Reply, Source, Target

HOMES = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "gemini_generate": "gemini",
    "gemini_interactions": "gemini",
}
REPLY = Reply(id="reply_1", model="m", created=1_790_000_000, include_usage=True)


def target(codec: Codec, stream: bool = False) -> Target:
    return Target(model="m", home=HOMES[codec.name], stream=stream)


def source(codec: Codec) -> Source:
    return Source(home=HOMES[codec.name], provider="p")


def through(codec: Codec, conversation: Conversation) -> Conversation:
    """canonical → bytes → canonical, told as if it came from the first dialect."""
    read = codec.read_request(codec.write_request(conversation, target(codec)).body)
    return as_of(conversation, read)


def as_of(conversation: Conversation, read: Conversation) -> Conversation:
    """What was read, with what a body need not tell as in `conversation`: the dialect, and Gemini's model."""
    return msgspec.structs.replace(read, dialect=conversation.dialect, model=read.model or conversation.model)


def sayable(conversation: Conversation, *codecs: Codec) -> Conversation:
    """The conversation without what one of these dialects has no field for.

    Responses knows no stop sequences, and Interactions has its instructions in one text.
    """
    names = {codec.name for codec in codecs}
    if "openai_responses" in names:
        conversation = msgspec.structs.replace(conversation, stop=())
    first = conversation.turns[0]
    if "gemini_interactions" in names and first.role == "system":
        joined = Turn("system", first.parts[:1])
        conversation = msgspec.structs.replace(conversation, turns=(joined, *conversation.turns[1:]))
    return conversation


def read_stream(reader: AnswerReader, pieces: Iterable[bytes]) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        events += reader.feed(piece)
    return events + reader.eof()


def write_stream(codec: Codec, events: Iterable[Event], reply: Reply = REPLY) -> bytes:
    writer = codec.answer_writer(reply)
    return b"".join(writer.write(event) for event in events)


def streamed_through(codec: Codec, events: Iterable[Event]) -> list[Event]:
    return read_stream(codec.answer_reader(source(codec)), [write_stream(codec, events)])


def plain(answer: Answer) -> Answer:
    """Without what a dialect makes up when it is not told: the time."""
    return msgspec.structs.replace(answer, created=None)


def in_order(events: list[Event]) -> None:
    """Assert the order that `domain/stream.py` promises, and that a fold works."""
    opened: set[int] = set()
    next_index = 0
    for at, event in enumerate(events):
        index = getattr(event, "index", None)
        if type(event).__name__ == "PartOpened":
            assert index == next_index
            next_index += 1
            opened.add(index)
        elif type(event).__name__ == "PartClosed":
            opened.remove(index)  # type: ignore[arg-type]
        elif index is not None:
            assert index in opened, event
        if isinstance(event, Ended | Failed):
            assert at == len(events) - 1
    if events and isinstance(events[-1], Ended):
        assert not opened
        fold(events)


def without_pings(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Ping)]
