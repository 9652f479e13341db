import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.sse import SseSplitter, comment, event, event_fields, one_line
from tests.wire.streams import cut, one_by_one

LINES = st.lists(st.sampled_from([b"data: x", b"", b"", b": c", b"event: e", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf"]))


def split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = SseSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events, splitter.rest


@pytest.mark.parametrize(
    ("data", "events", "rest"),
    [
        (b"data: a\n\ndata: b\n\n", [b"data: a\n\n", b"data: b\n\n"], b""),
        (b"data: a\r\n\r\ndata: b\r\n\r\nda", [b"data: a\r\n\r\n", b"data: b\r\n\r\n"], b"da"),
        (b"data: a\r\rdata: b\r\r", [b"data: a\r\r", b"data: b\r\r"], b""),
        (b"data: a\r\n\ndata: b\n\r\nx", [b"data: a\r\n\n", b"data: b\n\r\n"], b"x"),
        (b": ping\n\n\n\ndata: a\n\n", [b": ping\n\n", b"\n\n", b"data: a\n\n"], b""),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbf", [b"data: a\n\n"], b"\xef\xbb\xbf"),
        (b"data: a\n", [], b"data: a\n"),
        (b"", [], b""),
    ],
)
def test_events_are_cut_at_blank_lines_however_they_end(data: bytes, events: list[bytes], rest: bytes) -> None:
    assert split([data]) == (events, rest)
    assert split(one_by_one(data)) == (events, rest)


@given(LINES.map(b"\n".join) | LINES.map(b"".join) | st.binary(), st.lists(st.integers(0, 10_000)))
def test_the_cuts_of_the_input_change_nothing(data: bytes, places: list[int]) -> None:
    events, rest = split([data])
    assert split(cut(data, places)) == (events, rest)
    assert split(one_by_one(data)) == (events, rest)
    whole = b"".join(events) + rest
    assert whole == (data.removeprefix(b"\xef\xbb\xbf") if events else data)


def test_an_unfinished_event_is_bounded() -> None:
    splitter = SseSplitter(max_event_bytes=100)
    assert splitter.feed(b"data: " + b"a" * 90 + b"\n\n") == [b"data: " + b"a" * 90 + b"\n\n"]
    for _ in range(100):
        splitter.feed(b"a")
    with pytest.raises(ValueError):
        splitter.feed(b"a")


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n"])
def test_an_event_in_many_pieces_is_copied_once(ending: bytes) -> None:
    splitter = SseSplitter()
    for _ in range(50_000):  # quadratic copying would take 1.25 GB of it
        assert splitter.feed(b"data: abcdefghijklmnopqrstuvwxyz 0123456789 abcdef\n"[:49] + ending[:-2]) == []
    [event] = splitter.feed(ending * 2 if ending == b"\n\n" else ending)[:1]
    assert len(event) > 50_000 * 49
    assert len(splitter._parts) <= 1


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"data: x\n\n", (None, b"x")),
        (b"data:x\n\n", (None, b"x")),
        (b"data:  x\n\n", (None, b" x")),
        (b"event: e\ndata: x\ndata: y\n\n", (b"e", b"x\ny")),
        (b"id: 1\r\nevent:e\r\ndata: x\r\n\r\n", (b"e", b"x")),
        (b"data: x\rdata: y\r\r", (None, b"x\ny")),
        (b"data: x\rdata: y\n\n", (None, b"x\ny")),
        (b": a comment\n\n", (None, b"")),
        (b"data\n\n", (None, b"")),
        (b"datum: x\nretry: 3\n\n", (None, b"")),
        (b"\ndata: x\n\n", (None, b"x")),
    ],
)
def test_fields(raw: bytes, fields: tuple[bytes | None, bytes]) -> None:
    assert event_fields(raw) == fields


@given(st.binary().filter(lambda data: b"\n" not in data and b"\r" not in data), st.sampled_from([None, b"error"]))
def test_what_is_written_reads_back(data: bytes, name: bytes | None) -> None:
    [raw] = SseSplitter().feed(event(data, name))
    assert event_fields(raw) == (name, data)


def test_comments_carry_nothing_and_keep_to_one_line() -> None:
    assert event_fields(comment(b"data: x")) == (None, b"")
    for text in (b"a\nb", b"a\rb"):
        with pytest.raises(ValueError):
            comment(text)
        with pytest.raises(ValueError):
            event(text)


def test_json_is_put_on_one_line_and_means_the_same() -> None:
    assert event(one_line(b'{\r\n"a":\n1}')) == b'data: {  "a": 1}\n\n'
