"""Targets of translation: any bytes as a request, as a whole answer, as a stream; from each dialect into each.

Nothing escapes but faults; what is written is JSON, or events in UTF-8, if what was read is (requests that are not were
refused before, and what a provider says is carried as bytes); a stream has one end, which is the last of it. The other
opinion is the same reader on the same bytes, cut.
"""

import json
from contextlib import suppress

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.stream import Ended, Event, Failed
from appliance.wire.translation.codec import Codec, Reply, Source, Target
from appliance.wire.translation.codecs import CODECS
from tests.fuzz.http1_targets import pieces_of

SOURCE = Source(home="lab", provider="p", tier_asked="flex")
REPLY = Reply(id="req_1", model="m", created=1, include_usage=True)
ARRAY = Reply(id="req_1", model="m", created=1, framing="array")


def check_translation(data: bytes) -> None:
    """A body or a stream, in whatever dialect it may be, into every other."""
    try:
        data.decode()
    except UnicodeDecodeError:
        is_text = False
    else:
        is_text = True
    for codec in CODECS.values():
        if is_text:
            _request(codec, data)
        _answer(codec, data, is_text=is_text)
        _stream(codec, data, is_text=is_text)


def _request(codec: Codec, data: bytes) -> None:
    try:
        conversation = codec.read_request(data)
    except CallerFault:
        return
    for name, target in CODECS.items():
        for stream in (False, True):
            with suppress(CallerFault):
                wanted = Target(model="other", home="lab", stream=stream, tier="flex")
                written = target.write_request(conversation, wanted)
                json.loads(written.body)
                assert written == target.write_request(conversation, wanted), f"{name} is not written the same twice"


def _answer(codec: Codec, data: bytes, *, is_text: bool) -> None:
    try:
        answer = codec.read_answer(data, SOURCE)
    except UpstreamFault:
        return
    for target in CODECS.values():
        written = target.write_answer(answer, REPLY)
        if is_text:
            json.loads(written)


def _stream(codec: Codec, data: bytes, *, is_text: bool) -> None:
    events = _events(codec, [data])
    cut = [_told(event) for event in _events(codec, pieces_of(data))]
    assert [_told(event) for event in events] == cut, f"{codec.name} reads otherwise what was cut"
    ends = [event for event in events if isinstance(event, Ended | Failed)]
    assert len(ends) == 1 and events[-1] is ends[0], f"{codec.name}: one end, and it is the last"
    for target in CODECS.values():
        for reply in (REPLY, ARRAY):
            writer = target.answer_writer(reply)
            written = b"".join([writer.write(event) for event in events])
            if is_text:
                written.decode()


def _events(codec: Codec, pieces: list[bytes]) -> list[Event]:
    reader = codec.answer_reader(SOURCE)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.eof()


def _told(event: Event) -> object:
    """An event that can be compared: faults are not equal to their like."""
    return (event.fault.code, event.fault.message) if isinstance(event, Failed) else event
