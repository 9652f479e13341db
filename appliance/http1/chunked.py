"""The chunked transfer coding (RFC 9112 section 7.1), strictly, for requests and responses alike.

The rule: sizes are plain hexadecimal, lines end in CRLF, extensions and trailers are bounded, checked and discarded
(a trailer never becomes a header: it could replace a credential). Refusals do not depend on how the bytes were cut.
"""

from appliance.http1.head import is_field_value, is_token
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal

_HEX = b"0123456789abcdefABCDEF"
_SIZE_DIGITS = 16

_SIZE, _DATA, _DATA_END, _TRAILER = range(4)


class ChunkedDecoder:
    """Decodes one body. `done` is set when its last byte was consumed; `body_bytes` counts what was announced."""

    __slots__ = ("_left", "_limits", "_overhead", "_seen", "_state", "_status", "_trailer", "body_bytes", "done")

    def __init__(self, limits: Limits, refusal_status: int) -> None:
        self._limits = limits
        self._status = refusal_status
        self._state = _SIZE
        self._left = 0  # bytes of the current chunk not yet seen
        self._seen = 0  # bytes of the unfinished line that were already searched for its end
        self._overhead = 0
        self._trailer = 0
        self.body_bytes = 0
        self.done = False

    def decode(self, buf: bytes | bytearray, pos: int, out: list[bytes | bytearray]) -> int:
        """Consume `buf` from `pos` on, append the body's bytes to `out`, return where the unconsumed bytes begin.

        Stops after the body; an unfinished line (bounded) stays unconsumed. Raises `ProtocolRefusal`.
        """
        end = len(buf)
        while pos < end:
            state = self._state
            if state == _SIZE:
                eol = self._line_end(buf, pos, self._limits.chunk_line_bytes)
                if eol < 0:
                    if end - pos > self._limits.chunk_line_bytes + 1:
                        raise ProtocolRefusal(self._status, "bad_chunk", "the chunk-size line is too long")
                    return pos
                size = self._size(buf[pos:eol])
                self._overhead += eol - pos + 4
                if self._overhead > self._limits.chunk_overhead_bytes:
                    raise ProtocolRefusal(self._status, "chunk_overhead", "too many chunks for their content")
                pos = eol + 2
                if size == 0:
                    self._state = _TRAILER
                    continue
                self.body_bytes += size
                if self.body_bytes > self._limits.body_bytes:
                    raise too_large(self._limits, self._status)
                stop = pos + size
                if stop + 2 <= end and buf[stop : stop + 2] == b"\r\n":
                    out.append(buf[pos:stop])
                    pos = stop + 2
                    continue
                self._left = size
                self._state = _DATA
            elif state == _DATA:
                stop = pos + self._left
                if stop > end:
                    stop = end
                out.append(buf[pos:stop])
                self._left -= stop - pos
                pos = stop
                if not self._left:
                    self._state = _DATA_END
            elif state == _DATA_END:
                if end - pos < 2:
                    return pos
                if buf[pos : pos + 2] != b"\r\n":
                    raise ProtocolRefusal(self._status, "bad_chunk", "no CRLF after the chunk's data")
                pos += 2
                self._state = _SIZE
            else:
                room = self._limits.trailer_bytes - self._trailer
                eol = self._line_end(buf, pos, room)
                if eol < 0:
                    if end - pos > room + 1:
                        raise self._trailers_too_large()
                    return pos
                if eol == pos:
                    self.done = True
                    return pos + 2
                self._check_trailer(bytes(buf[pos:eol]))
                pos = eol + 2
        return pos

    def _line_end(self, buf: bytes | bytearray, pos: int, limit: int) -> int:
        """Where the line from `pos` ends if it has at most `limit` bytes, else -1; never searches a byte twice."""
        eol = buf.find(b"\r\n", pos + self._seen, pos + limit + 2)
        if eol < 0:
            self._seen = max(0, len(buf) - pos - 1)
        else:
            self._seen = 0
        return eol

    def _size(self, line: bytes | bytearray) -> int:
        if line.strip(_HEX):
            line, _, extension = line.partition(b";")
            if line.strip(_HEX) or not is_field_value(bytes(extension)):
                raise ProtocolRefusal(self._status, "bad_chunk", "the chunk size is not plain hexadecimal")
        if not 0 < len(line) <= _SIZE_DIGITS:
            raise ProtocolRefusal(self._status, "bad_chunk", "the chunk size is empty or too long")
        return int(line, 16)

    def _check_trailer(self, line: bytes) -> None:
        self._trailer += len(line) + 2
        if self._trailer > self._limits.trailer_bytes:
            raise self._trailers_too_large()
        name, colon, value = line.partition(b":")
        if not colon or not is_token(name) or not is_field_value(value):
            raise ProtocolRefusal(self._status, "bad_trailer", "a trailer line is malformed")
        if name.lower() in (b"content-length", b"transfer-encoding"):
            raise ProtocolRefusal(self._status, "bad_trailer", "framing headers are not allowed as trailers")

    def _trailers_too_large(self) -> ProtocolRefusal:
        status = 431 if self._status == 400 else self._status
        return ProtocolRefusal(status, "trailers_too_large", f"more than {self._limits.trailer_bytes} bytes")


def too_large(limits: Limits, status: int) -> ProtocolRefusal:
    """The refusal of a body over the limit: 413 to a client, else `status`."""
    return ProtocolRefusal(
        413 if status == 400 else status, "body_too_large", f"the body is longer than {limits.body_bytes} bytes"
    )
