"""What the tests of the stream readers share: golden bytes, and the outcome of a stream however it is cut."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from appliance.wire.dialect import StreamReader

GOLDEN = Path(__file__).parent.parent / "golden"


class Outcome(msgspec.Struct, frozen=True):
    """All that a reader tells at the end, and what it forwarded."""

    forwarded: bytes
    started: bool
    content_started: bool
    terminal_event: bytes | None
    fault: tuple[str, int, str | None, bytes | None] | None
    fault_event: bytes | None
    tier: str | None
    response_id: str | None
    usage: Any
    events: int
    output_bytes: int
    sequence_number: int


def golden(name: str, family: str = "openai") -> bytes:
    return (GOLDEN / family / f"{name}.sse").read_bytes()


def names(prefix: str, family: str = "openai") -> list[str]:
    return sorted(path.stem for path in (GOLDEN / family).glob(f"{prefix}_*.sse"))


def read(reader: StreamReader, pieces: Iterable[bytes]) -> Outcome:
    forwarded = b"".join(reader.feed(piece) for piece in pieces)
    fault = reader.eof()
    assert fault is reader.fault
    assert reader.ended
    assert reader.terminal == (reader.terminal_event is not None)
    return Outcome(
        forwarded=forwarded,
        started=reader.started,
        content_started=reader.content_started,
        terminal_event=reader.terminal_event,
        fault=None if fault is None else (fault.code, fault.status, fault.provider_code, fault.body),
        fault_event=reader.fault_event,
        tier=reader.tier,
        response_id=reader.response_id,
        usage=reader.usage,
        events=reader.events,
        output_bytes=reader.output_bytes_estimate,
        sequence_number=reader.sequence_number,
    )


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[begin:end] for begin, end in zip([0, *at], [*at, len(data)], strict=True)]


def started_after(reader: StreamReader, data: bytes) -> bytes | None:
    """The event on which the stream counts as started, or None."""
    for raw in data.split(b"\n\n"):
        reader.feed(raw + b"\n\n")
        if reader.started:
            return raw
    return None
