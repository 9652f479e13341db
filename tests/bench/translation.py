"""What translating costs: CPU per streamed event, read from one dialect and written in another, for each ordered pair.

`python -m tests.bench.translation` prints a table. In one process and without sockets, so it is what translation adds
to a relayed event.
"""

import time
from collections.abc import Callable

from appliance.domain.chat import DialectName, ToolCall
from appliance.domain.stream import (
    ArgumentsDelta,
    Ended,
    Event,
    PartClosed,
    PartOpened,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    UsageTold,
)
from appliance.domain.tokens import Tokens
from appliance.wire.translation.codec import Codec, Reply, Source
from appliance.wire.translation.codecs import CODECS

EVENTS = 5000
_REPLY = Reply(id="reply_1", model="m", created=1_790_000_000, include_usage=True)


def answer(events: int) -> list[Event]:
    """A third each of reasoning, words and arguments."""
    each = events // 3
    return [
        Started("id_1", "model", 1_790_000_000),
        PartOpened(0, "reasoning"),
        *[ReasoningDelta(0, " thinking")] * each,
        PartClosed(0),
        PartOpened(1, "text"),
        *[TextDelta(1, " words")] * each,
        PartClosed(1),
        PartOpened(2, "tool_call", ToolCall("call_1", "f", "")),
        *[ArgumentsDelta(2, '{"a": "')] * each,
        PartClosed(2),
        UsageTold(Tokens(100, events, certainty="known")),
        Stopped("tool_calls"),
        Ended(),
    ]


def written(codec: Codec, events: list[Event]) -> list[bytes]:
    """The stream as a provider of this dialect would send it, event by event."""
    writer = codec.answer_writer(_REPLY)
    return [data for event in events if (data := writer.write(event))]


def translate(source: Codec, target: Codec, stream: list[bytes]) -> None:
    """Read and write one answer as it arrives."""
    reader, writer = source.answer_reader(Source(home="p")), target.answer_writer(_REPLY)
    for data in stream:
        for event in reader.feed(data):
            writer.write(event)


def micros_per_event(work: Callable[[], None], events: int, rounds: int = 3) -> float:
    """CPU microseconds for one event, the best of some rounds: others share the machine."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best / events * 1e6


def costs(events: int = EVENTS) -> dict[tuple[DialectName, DialectName], float]:
    """CPU microseconds per event for each (provider's dialect, caller's dialect)."""
    streams = {name: written(codec, answer(events)) for name, codec in CODECS.items()}
    return {
        (one, other): micros_per_event(lambda a=one, b=other: translate(CODECS[a], CODECS[b], streams[a]), events)  # type: ignore[misc]
        for one in CODECS
        for other in CODECS
        if one != other
    }


if __name__ == "__main__":
    for (provider, caller), micros in costs().items():
        print(f"{provider:>20} → {caller:<20} {micros:6.2f} µs per event")
