"""A provider's stream in the caller's dialect: watched as the provider's, whole only where that is whole."""

import msgspec
import pytest

from appliance.domain.chat import ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import ArgumentsDelta, Ended, Event, PartClosed, PartOpened, Started, Stopped, TextDelta
from appliance.request.dialects import DIALECTS
from appliance.wire.translation.codec import Reply, Source
from appliance.wire.translation.codecs import CODECS
from appliance.wire.translation.stream import TranslatedStream
from tests.wire.streams import golden

PLACES = {"anthropic_messages": "anthropic", "openai_chat": "openai", "gemini_generate": "gemini"}
REPLY = Reply(id="req_1", model="m", created=1, include_usage=True)


def stream(theirs: str, ours: str) -> TranslatedStream:
    return TranslatedStream(
        DIALECTS[theirs].StreamReader(provider="p"),
        CODECS[theirs].answer_reader(Source(home="h", provider="p")),  # type: ignore[index]
        CODECS[ours].answer_writer(REPLY),  # type: ignore[index]
    )


def play(reader: TranslatedStream, data: bytes, size: int) -> bytes:
    said = b"".join([reader.feed(data[at : at + size]) for at in range(0, len(data), size)])
    if not reader.ended:
        reader.eof()
    return said


TEXTS = [("anthropic_messages", "messages_text"), ("openai_chat", "chat_text"), ("gemini_generate", "generate_text")]


@pytest.mark.parametrize(("theirs", "name"), TEXTS)
@pytest.mark.parametrize("ours", ["openai_chat", "anthropic_messages", "gemini_generate"])
def test_the_same_is_said_wherever_it_is_cut_and_the_end_is_kept_apart(theirs: str, name: str, ours: str) -> None:
    data = golden(name, PLACES[theirs])
    whole, cut = stream(theirs, ours), stream(theirs, ours)
    said = play(whole, data, len(data))
    assert play(cut, data, 7) == said
    for reader in (whole, cut):
        assert reader.terminal and reader.fault is None and reader.started and reader.content_started
        assert reader.usage is not None and reader.usage.certainty == "known"
    assert whole.terminal_event and whole.terminal_event == cut.terminal_event
    plain = DIALECTS[ours].StreamReader(provider="p")  # what goes out is a whole stream of the caller's dialect
    plain.feed(said)
    assert plain.content_started and not plain.terminal
    plain.feed(whole.terminal_event)
    assert (plain.eof() if not plain.ended else plain.fault) is None
    assert plain.terminal


def test_a_fault_in_mid_stream_is_the_providers_and_is_said_in_the_callers_form() -> None:
    reader = stream("anthropic_messages", "openai_chat")
    play(reader, golden("messages_error", "anthropic"), 64)
    assert reader.fault is not None and reader.fault.code == "provider_refused" and not reader.terminal
    said = reader.failure(reader.fault)
    told = msgspec.json.decode(said.removeprefix(b"data: "))["error"]
    assert told["message"] == "Overloaded" and told["startline"]["code"] == "provider_refused"


def test_a_stream_that_is_cut_off_has_no_end() -> None:
    reader = stream("openai_chat", "anthropic_messages")
    play(reader, golden("chat_cut", "openai"), 64)
    assert reader.fault is not None and reader.fault.code == "provider_cut_off"
    assert reader.terminal_event is None
    assert b"message_stop" not in reader.failure(reader.fault)


def test_a_providers_comment_keeps_the_callers_stream_open() -> None:
    reader = stream("openai_chat", "anthropic_messages")
    begun, _, _ = golden("chat_text", "openai").rpartition(b"data: [DONE]")
    reader.feed(begun)
    assert b"ping" in reader.feed(b": PROCESSING\n\n")


def test_what_only_translation_cannot_read_is_a_fault_too() -> None:
    class Reader:
        def feed(self, data: bytes) -> list[object]:
            from appliance.domain.stream import Failed

            return [Failed(UpstreamFault("provider_garbled", provider="p", phase="stream"))]

        def eof(self) -> list[object]:
            return []

    inner = DIALECTS["openai_chat"].StreamReader(provider="p")
    reader = TranslatedStream(inner, Reader(), CODECS["anthropic_messages"].answer_writer(REPLY))  # type: ignore[arg-type]
    assert reader.feed(golden("chat_text", "openai")) == b""
    assert reader.fault is not None and reader.fault.code == "provider_garbled" and not reader.terminal


@pytest.mark.parametrize("ours", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"])
def test_half_a_character_in_words_or_arguments_reads_as_a_mark_and_the_stream_goes_on(ours: str) -> None:
    theirs = "anthropic_messages" if ours == "gemini_generate" else "gemini_generate"
    events: list[Event] = [
        Started("a", "m"),
        PartOpened(0, "text"),
        TextDelta(0, "half?"),
        PartClosed(0),
        PartOpened(1, "tool_call", ToolCall("c", "f", "")),
        ArgumentsDelta(1, '{"a":"half?"}'),
        PartClosed(1),
        Stopped("tool_calls"),
        Ended(),
    ]
    writer = CODECS[theirs].answer_writer(REPLY)  # type: ignore[index]
    data = b"".join([writer.write(event) for event in events]).replace(b"?", b"\xe2\x82")
    reader = stream(theirs, ours)
    said = play(reader, data, 9)
    assert reader.fault is None
    whole = (said + (reader.terminal_event or b"")).decode()
    assert whole.count("half\ufffd") >= 2
