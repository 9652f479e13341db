"""The search for the end of a head costs a constant per byte, counted in bytes searched and buffers made."""

import pytest

from appliance.http1.buffer import UnreadBytes, without_line_ending
from appliance.http1.refusal import ProtocolRefusal


class _Lines(UnreadBytes):
    """Remembers the start lines it was asked to check."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[bytes] = []

    def _check_start_line(self, line: bytes) -> None:
        self.lines.append(line)


def test_a_head_sent_byte_by_byte_is_searched_and_copied_once() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 9_000 + b"\r\n"
    unread = _Lines()
    searched = 0
    buffers = set()
    taken = None
    for i in range(len(head)):
        unread._append(head[i : i + 1])
        searched += len(unread._buf) - unread._scan
        buffers.add(id(unread._buf)) if i else None
        taken = unread._take_head(65536, 431)
    assert taken == head
    assert searched <= 4 * len(head)
    assert len(buffers) == 1
    assert unread.lines == [b"GET / HTTP/1.1\r\n"]


def test_heads_pipelined_in_one_segment_are_not_searched_twice_or_copied_around() -> None:
    head = b"GET / HTTP/1.1\r\na: b\r\n\r\n"
    segment = head * 1000
    unread = _Lines()
    unread._append(segment)
    for i in range(1000):
        assert unread._buf is segment
        assert unread._scan == unread._pos == i * len(head)
        assert unread._take_head(100, 431) == head
    assert unread._buf == b""


def test_unread_bytes_that_keep_growing_stay_in_one_buffer() -> None:
    head = b"GET / HTTP/1.1\r\na: b\r\n\r\n"
    unread = _Lines()
    unread._append(head * 3)
    unread._append(head)
    buffer = unread._buf
    for _ in range(100):
        assert unread._take_head(100, 431) == head
        unread._append(head)
        assert unread._buf is buffer and len(buffer) == 4 * len(head)


def test_a_whole_segment_is_not_copied() -> None:
    head = b"GET / HTTP/1.1\r\na: b\r\n\r\n"
    unread = _Lines()
    unread._append(head)
    assert unread._take_head(100, 431) is head


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(("length", "fits"), [(64, True), (65, False)])
def test_the_limit_counts_every_byte_of_the_head(step: int, length: int, fits: bool) -> None:
    head = b"GET / HTTP/1.1\r\n".ljust(length - 4, b"x") + b"\r\n\r\n"
    assert len(head) == length
    unread = _Lines()

    def take() -> bytes | None:
        taken = None
        for i in range(0, length, step):
            unread._append(head[i : i + step])
            taken = unread._take_head(64, 431)
        return taken

    if fits:
        assert take() == head
    else:
        with pytest.raises(ProtocolRefusal) as refused:
            take()
        assert (refused.value.status, refused.value.code) == (431, "head_too_large")


@pytest.mark.parametrize("line", [b"a\n", b"\n", b"a\r\r \n"])
def test_a_start_line_ends_in_crlf(line: bytes) -> None:
    with pytest.raises(ProtocolRefusal) as refused:
        without_line_ending(line, 502)
    assert (refused.value.status, refused.value.code) == (502, "bad_line_ending")
    assert without_line_ending(b"a\r\n", 400) == b"a"
