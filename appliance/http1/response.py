"""The client's side of HTTP/1.1: one answer out of received bytes.

The rule: an answer is complete only when its framing says so, and a connection is reusable only when not a byte
followed it: a surplus byte would be read as the beginning of somebody else's answer. llhttp parses the heads only
(see the package); status line, framing and bodies are ours. Refusals carry status 502.
"""

from collections.abc import Callable

import httptools

from appliance.http1.buffer import UnreadBytes, without_line_ending
from appliance.http1.chunked import ChunkedDecoder, too_large
from appliance.http1.framing import body_framing
from appliance.http1.head import Fields, index_fields, is_field_value, read_fields, settle_connection
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal, TruncatedBody

_STATUS = 502
_NO_BODY, _SIZED, _CHUNKED, _UNTIL_EOF = range(4)


class ResponseHead:
    """One final answer's head; as `RequestHead`. `reason` is as sent, possibly empty."""

    __slots__ = ("chunked", "content_length", "get", "headers", "keep_alive", "reason", "status", "version")

    status: int
    reason: bytes
    version: tuple[int, int]
    headers: Fields
    get: Callable[[bytes], bytes | None]
    content_length: int | None
    chunked: bool
    keep_alive: bool


class ResponseReader(UnreadBytes):
    """Reads the one answer to a request with `method`; make a new one for each exchange.

    Feed what arrives, ask `next_head` until it gives the head, then after each feed `body()` for the bytes of the
    body that are there, until `complete`. When the peer closes: `eof()`, then `body()` once more.
    """

    __slots__ = (
        "_at_eof",
        "_closed",
        "_decoder",
        "_framing",
        "_head",
        "_interim",
        "_left",
        "_limits",
        "_method",
        "complete",
        "surplus",
    )

    complete: bool
    """The whole answer was received and returned."""
    surplus: bool
    """Bytes arrived after the answer: the connection must be dropped."""

    def __init__(self, limits: Limits, method: bytes = b"POST") -> None:
        super().__init__()
        self._limits = limits
        self._method = method
        self._head: ResponseHead | None = None
        self._framing = _UNTIL_EOF
        self._left = 0  # bytes that the body still lacks (sized) or may still have (until EOF)
        self._decoder: ChunkedDecoder | None = None
        self._interim = 0
        self._at_eof = b""  # body bytes that `eof` found unread
        self._closed = False
        self.complete = False
        self.surplus = False

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take received bytes; parses nothing."""
        if not isinstance(data, bytes):
            data = bytes(data)
        if self.complete:
            self.surplus = self.surplus or bool(data)
        else:
            self._append(data)

    @property
    def reusable(self) -> bool:
        """The connection may carry another request: the answer is complete by its own framing, nothing followed it,
        and the peer neither closed nor said that it will.
        """
        # An answer that ends with the connection is complete only after `eof`, hence never reusable.
        head = self._head
        return self.complete and not self.surplus and not self._closed and head is not None and head.keep_alive

    def next_head(self) -> ResponseHead | None:
        """The final answer's head, or None when more bytes are needed; 1xx answers are skipped.

        Raises `ProtocolRefusal`.
        """
        if self._head is not None:
            raise RuntimeError("an answer has one head")
        while self._pos < len(self._buf):
            if self._buf[self._pos] != 0x48:
                raise ProtocolRefusal(_STATUS, "bad_status_line", "the answer does not begin with HTTP/")
            raw = self._take_head(self._limits.head_bytes, _STATUS)
            if raw is None:
                return None
            head = _parse(raw, self._limits)
            if head.status >= 200:
                self._begin_body(head)
                return head
            self._interim += 1
            if head.status == 101:
                raise ProtocolRefusal(_STATUS, "unexpected_upgrade", "the peer switched protocols unasked")
            if self._interim > self._limits.interim_count:
                raise ProtocolRefusal(_STATUS, "too_many_interim", "the peer sends interim answers without end")
        return None

    def _begin_body(self, head: ResponseHead) -> None:
        self._head = head
        status = head.status
        if self._method == b"HEAD" or status == 204 or status == 304:  # RFC 9112 section 6.3
            self._framing = _NO_BODY
            if self._method != b"HEAD" and status == 204 and (head.chunked or head.content_length):
                head.keep_alive = False  # it announces what it must not send: do not wait for it to arrive later
            self._finish()
        elif head.chunked:
            self._framing = _CHUNKED
            self._decoder = ChunkedDecoder(self._limits, _STATUS)
        elif head.content_length is not None:
            self._framing = _SIZED
            self._left = head.content_length
            if self._left > self._limits.body_bytes:
                raise too_large(self._limits, _STATUS)
            if not self._left:
                self._finish()
        else:
            self._left = self._limits.body_bytes

    def body(self) -> bytes:
        """The bytes of the body that arrived since the last call; b"" when there are none (see `complete`).

        Raises `ProtocolRefusal`.
        """
        if self.complete:
            rest, self._at_eof = self._at_eof, b""
            return rest
        if self._head is None:
            raise RuntimeError("the head comes first")
        buf = self._buf
        pos = self._pos
        end = len(buf)
        if pos == end:
            return b""
        decoder = self._decoder
        if decoder is not None:
            parts: list[bytes | bytearray] = []
            pos = decoder.decode(buf, pos, parts)
            if pos == end:
                self._buf = b""
                self._pos = 0
            else:
                self._pos = pos
            if decoder.done:
                self._finish()
            if len(parts) == 1:
                part = parts[0]
                return part if isinstance(part, bytes) else bytes(part)
            return b"".join(parts)
        left = self._left
        if end - pos < left:
            self._left = left - (end - pos)
        elif self._framing == _SIZED:
            data = self._copy(pos, pos + left)
            self._consume_to(pos + left)
            self._finish()
            return data
        elif end - pos > left:
            raise too_large(self._limits, _STATUS)
        else:
            self._left = 0
        data = self._copy(pos, end)
        self._consume_to(end)
        return data

    def eof(self) -> None:
        """The peer closed. Completes a body that ends with the connection; else raises `TruncatedBody`.

        Bytes of the body not yet asked for are still given by `body()`.
        """
        self._closed = True
        if self.complete:
            return
        if self._head is None:
            raise TruncatedBody("head")
        rest = self.body()
        if self._framing == _UNTIL_EOF:
            self.complete = True
        elif not self.complete:
            raise TruncatedBody("body")
        self._at_eof = rest

    def _finish(self) -> None:
        self.complete = True
        self._decoder = None
        if self._pos != len(self._buf):
            self.surplus = True
            self._buf = b""
            self._pos = 0

    def _check_start_line(self, line: bytes) -> None:
        _split_status_line(line)


def _split_status_line(line: bytes) -> tuple[int, bytes, bool]:
    """Status, reason and whether it is HTTP/1.1, of a status line with its line ending."""
    line = without_line_ending(line, _STATUS)
    version = line[:9]
    digits = line[9:12]
    if (version == b"HTTP/1.1 " or version == b"HTTP/1.0 ") and digits.isdigit() and line[12:13] in (b" ", b""):
        reason = line[13:]
        if 100 <= int(digits) <= 599 and (reason == b"OK" or is_field_value(reason)):
            return int(digits), reason, version == b"HTTP/1.1 "
    raise ProtocolRefusal(_STATUS, "bad_status_line", "the answer does not begin with an HTTP/1 status line")


def _parse(raw: bytes, limits: Limits) -> ResponseHead:
    status, reason, http_1_1 = _split_status_line(raw[: raw.index(b"\n") + 1])
    fields = read_fields(httptools.HttpResponseParser, raw, limits.header_count, _STATUS)
    index = index_fields(fields, _STATUS)
    head = ResponseHead()
    head.status = status
    head.reason = reason
    head.version = (1, 1) if http_1_1 else (1, 0)
    head.content_length, head.chunked = body_framing(index, http_1_1, _STATUS)
    head.keep_alive = settle_connection(fields, index, http_1_1)
    head.headers = fields
    head.get = index.get
    return head
