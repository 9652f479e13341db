"""Unread bytes of one connection and the search for the end of a head.

The rule: the cost is linear in the bytes received, however they are cut. Bytes already searched are not searched
again, and a buffer that grows is a `bytearray` until it is empty, so that a head sent byte by byte is not copied byte
by byte. The common case, a whole message in one segment, stays the very `bytes` object that was received.
"""

from abc import ABC, abstractmethod

from appliance.http1.refusal import ProtocolRefusal

_CR = 13


class UnreadBytes(ABC):
    """What was received and not yet consumed: `_buf[_pos:]`, of which `_buf[_pos:_scan]` holds no end of a head."""

    __slots__ = ("_buf", "_line_checked", "_pos", "_scan")

    _buf: bytes | bytearray

    def __init__(self) -> None:
        self._buf = b""
        self._pos = 0
        self._scan = 0
        self._line_checked = False

    def _append(self, data: bytes) -> None:
        buf = self._buf
        pos = self._pos
        if pos == len(buf):
            self._buf = data
            self._pos = self._scan = 0
            return
        if isinstance(buf, bytes):
            with memoryview(buf) as view:
                buf = bytearray(view[pos:])
            self._buf = buf
        elif pos:
            del buf[:pos]
        self._pos = 0
        self._scan = self._scan - pos if self._scan > pos else 0
        buf += data

    def _consume_to(self, pos: int) -> None:
        if pos == len(self._buf):
            self._buf = b""
            self._pos = self._scan = 0
        else:
            self._pos = self._scan = pos

    def _copy(self, start: int, end: int) -> bytes:
        """`_buf[start:end]`, copied at most once, and not at all when it is the whole segment as received."""
        buf = self._buf
        if isinstance(buf, bytes):
            return buf[start:end]
        with memoryview(buf) as view:
            return bytes(view[start:end])

    def _take_head(self, limit_bytes: int, refusal_status: int) -> bytes | None:
        """Consume and return one head, from the start line to the empty line, or return None when more is needed.

        A start line is checked as soon as it is complete, so that garbage does not keep a connection until a
        timeout, and so that the outcome does not depend on how the bytes were cut.
        """
        buf = self._buf
        pos = self._pos
        end = buf.find(b"\r\n\r\n", self._scan)
        if end < 0:
            self._check_partial_head(limit_bytes, refusal_status)
            return None
        end += 4
        if end - pos > limit_bytes:
            self._check_partial_head(limit_bytes, refusal_status)
        head = self._copy(pos, end)
        self._consume_to(end)
        self._line_checked = False
        return head

    def _check_partial_head(self, limit_bytes: int, refusal_status: int) -> None:
        buf = self._buf
        pos = self._pos
        if not self._line_checked:
            eol = buf.find(b"\n", self._scan, pos + limit_bytes)
            if eol >= 0:
                self._line_checked = True
                self._check_start_line(bytes(buf[pos : eol + 1]))
        if len(buf) - pos > limit_bytes:
            code = "head_too_large"
            raise ProtocolRefusal(refusal_status, code, f"the head is longer than {limit_bytes} bytes")
        self._scan = max(pos, len(buf) - 3)

    @abstractmethod
    def _check_start_line(self, line: bytes) -> None:
        """Raise `ProtocolRefusal` unless `line`, with its line ending, is an acceptable start line."""


def without_line_ending(line: bytes, refusal_status: int) -> bytes:
    """A start line without its CRLF; a bare LF is refused."""
    if len(line) < 2 or line[-2] != _CR:
        raise ProtocolRefusal(refusal_status, "bad_line_ending", "the start line does not end in CRLF")
    return line[:-2]
