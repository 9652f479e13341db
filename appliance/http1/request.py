"""The server's side of HTTP/1.1: request heads and bodies out of received bytes.

The rule: nothing that two parsers could read differently is accepted (RFC 9112 sections 3, 6 and 11.2), and nothing
of the next request is consumed before `next_head` is called again. llhttp parses the heads only (see the package);
request line, Host, framing and bodies are ours.
"""

from collections.abc import Callable

import httptools

from appliance.http1.buffer import UnreadBytes
from appliance.http1.chunked import ChunkedDecoder, too_large
from appliance.http1.framing import body_framing
from appliance.http1.head import Fields, index_fields, read_fields, settle_connection
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.repeat import LastHead
from appliance.http1.request_line import is_host, split_request_line, split_target

_CR = 13
_TOKEN_BYTES = b"GPOHDCTABEFIJKLMNQRSUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"
_LONGEST_LINE = 8192  # of a request line, where only its path is looked for
_JOIN_AT = 512  # parts of a chunked body are joined this many at a time: tiny chunks must not cost objects


class RequestHead:
    """One request's head.

    `target` is raw as sent; `path` and `query` (without `?`) are its parts, still percent-encoded. `headers` are in
    order, names lower-case, without upgrade offers; `get(name)` is the first value or None. `content_length` and
    `chunked` frame the body; `has_body` says whether there is one. `expect_continue`: the client waits for a 100.
    `raw` is the head as received.
    """

    __slots__ = (
        "chunked",
        "content_length",
        "expect_continue",
        "get",
        "has_body",
        "headers",
        "keep_alive",
        "kin",
        "method",
        "path",
        "query",
        "raw",
        "target",
        "version",
    )

    method: bytes
    target: bytes
    path: bytes
    query: bytes
    version: tuple[int, int]
    headers: Fields
    get: Callable[[bytes], bytes | None]  # the table's own bound method: a call without a Python frame
    keep_alive: bool
    expect_continue: bool
    content_length: int | None
    chunked: bool
    has_body: bool
    raw: bytes
    kin: object
    """The same object for heads of a connection that differ only in their length."""

    def twin(self) -> "RequestHead":
        """A copy, to be given another length."""
        twin = RequestHead()
        twin.method, twin.target, twin.path, twin.query = self.method, self.target, self.path, self.query
        twin.version, twin.headers, twin.get, twin.kin = self.version, self.headers, self.get, self.kin
        twin.content_length, twin.chunked, twin.has_body = self.content_length, self.chunked, self.has_body
        twin.keep_alive, twin.expect_continue = self.keep_alive, self.expect_continue
        twin.raw = self.raw
        return twin


class RequestReader(UnreadBytes):
    """Reads the requests of one connection, in order.

    Feed what arrives at any time; ask `next_head` until it gives a head, then, if `head.has_body`, `next_body` until
    it gives the body (or `next_part` as long as `body_due`), then `next_head` again. After a `ProtocolRefusal` the
    connection can only be answered and closed.
    """

    __slots__ = (
        "_body_due",
        "_decoder",
        "_empty_lines",
        "_head",
        "_joined",
        "_last",
        "_left",
        "_limits",
        "_missing",
        "_parts",
        "_unparsed",
    )

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._empty_lines = 0
        self._head: RequestHead | None = None
        self._body_due = False
        self._missing = 0  # bytes that a body of known length still lacks
        self._left = 0  # the same, of one that is read in parts
        self._parts: list[bytes | bytearray] = []
        self._joined = bytearray()
        self._decoder: ChunkedDecoder | None = None
        self._last = LastHead()
        self._unparsed = b""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take received bytes; parses nothing."""
        if not isinstance(data, bytes):
            data = bytes(data)
        missing = self._missing
        if not missing:
            self._append(data)
        elif len(data) <= missing:
            self._parts.append(data)
            self._missing = missing - len(data)
        else:
            self._parts.append(data[:missing])
            self._missing = 0
            self._append(data[missing:])

    @property
    def body_due(self) -> bool:
        """The last head announced a body that `next_body` has not yet returned."""
        return self._body_due

    @property
    def idle(self) -> bool:
        """Between two requests, and nothing of the next one has arrived."""
        return not self._body_due and self._pos == len(self._buf)

    @property
    def unread_bytes(self) -> int:
        """Received bytes that no `next_head` or `next_body` has consumed: what pipelining holds in memory."""
        return len(self._buf) - self._pos

    @property
    def begun_path(self) -> bytes:
        """The path of a head that was refused or is not whole, as far as it is here; b"" where nothing tells.

        For the words of a refusal alone: nothing of it was checked.
        """
        end = min(self._pos + _LONGEST_LINE, len(self._buf))
        line = (self._unparsed or self._copy(self._pos, end)).partition(b"\r")[0]
        target = line.split(b" ")[1] if b" " in line else b""
        return target.partition(b"?")[0] if target.startswith(b"/") else b""

    def drop(self) -> None:
        """Let go of all that was received: the connection will only be answered and closed."""
        self._parts = []
        self._joined = bytearray()
        self._decoder = None
        self._unparsed = b""
        self._consume_to(len(self._buf))

    def leftover(self) -> bytes:
        """The unread bytes; they stay unread."""
        return self._copy(self._pos, len(self._buf))

    def replay(self) -> bytes:
        """The last head as received and all that followed it, for another server to read instead of this one.

        Only before any of that request's body was consumed; raises `RuntimeError` later.
        """
        head = self._head
        if head is None:
            raise RuntimeError("no request head to replay, or its body was already read")
        return head.raw + self.leftover()

    def next_head(self) -> RequestHead | None:
        """The next request's head, or None when more bytes are needed. Raises `ProtocolRefusal`."""
        if self._body_due:
            raise RuntimeError("the body of the last request was not read")
        self._head = None
        pos = self._pos
        buf = self._buf
        if pos == len(buf):
            return None
        if buf[pos] not in _TOKEN_BYTES:
            pos = self._skip_empty_lines()
            if pos == len(self._buf):
                return None
        raw = self._take_head(self._limits.head_bytes, 431)
        if raw is None:
            return None
        self._empty_lines = 0
        head = self._last.recall(raw)
        if head is None:
            self._unparsed = raw
            head = _parse(raw, self._limits)
            self._unparsed = b""
            self._last.remember(head)
        self._body_due = head.has_body
        self._head = head
        return head

    def next_body(self) -> bytes | None:
        """The whole body, or None when more bytes are needed; b"" when the request has none (the call is optional).

        Raises `ProtocolRefusal` as soon as the announced or the running length passes the limit.
        """
        if not self._body_due:
            return b""
        head = self._head
        if head is not None:  # first call for this body
            self._head = None
            if head.chunked:
                self._decoder = ChunkedDecoder(self._limits, 400)
            else:
                return self._start_sized(head.content_length or 0)
        if self._decoder is not None:
            return self._continue_chunked(self._decoder)
        if self._missing:
            return None
        body = b"".join(self._parts)
        self._parts = []
        self._body_due = False
        return body

    def next_part(self) -> bytes:
        """What has arrived of the body since the last call; `body_due` says whether more is to come.

        For a body that is passed on as it comes, instead of `next_body`. An announced length is not held against the
        limit, since nothing of it is kept; the chunked coding is. Raises `ProtocolRefusal`.
        """
        if not self._body_due:
            return b""
        head = self._head
        if head is not None:  # first call for this body
            self._head = None
            self._left = head.content_length or 0
            self._decoder = ChunkedDecoder(self._limits, 400) if head.chunked else None
        if self._decoder is not None:
            parts: list[bytes | bytearray] = []
            self._pos = self._decoder.decode(self._buf, self._pos, parts)
            if self._decoder.done:
                self._decoder = None
                self._body_due = False
                self._consume_to(self._pos)
            return b"".join(parts)
        end = min(self._pos + self._left, len(self._buf))
        part = self._copy(self._pos, end)
        self._consume_to(end)
        self._left -= len(part)
        self._body_due = self._left > 0
        return part

    def _start_sized(self, length: int) -> bytes | None:
        if length > self._limits.body_bytes:
            raise too_large(self._limits, 400)
        pos = self._pos
        end = pos + length
        received = len(self._buf)
        if end <= received:
            body = self._copy(pos, end)
            self._consume_to(end)
            self._body_due = False
            return body
        if pos < received:
            self._parts.append(self._copy(pos, received))
        self._missing = end - received
        self._consume_to(received)
        return None

    def _continue_chunked(self, decoder: ChunkedDecoder) -> bytes | None:
        parts = self._parts
        self._pos = decoder.decode(self._buf, self._pos, parts)
        if not decoder.done:
            if len(parts) >= _JOIN_AT:
                self._joined += b"".join(parts)
                parts.clear()
            return None
        self._consume_to(self._pos)
        body = b"".join(parts)
        if self._joined:
            body = bytes(self._joined + body)
            self._joined = bytearray()
        self._parts = []
        self._decoder = None
        self._body_due = False
        return body

    def _skip_empty_lines(self) -> int:
        buf = self._buf
        pos = self._pos
        while pos < len(buf) and buf[pos] == _CR:
            if pos + 1 == len(buf):  # wait for the LF
                self._consume_to(pos)
                return len(self._buf)
            if buf[pos + 1] != 10 or self._empty_lines == self._limits.empty_lines:
                raise ProtocolRefusal(400, "bad_line_ending", "stray line endings before the request line")
            self._empty_lines += 1
            pos += 2
        if pos < len(buf) and buf[pos] not in _TOKEN_BYTES:
            raise ProtocolRefusal(400, "bad_request_line", "the request line does not begin with a method")
        self._consume_to(pos)
        return self._pos

    def _check_start_line(self, line: bytes) -> None:
        split_request_line(line)


def _parse(raw: bytes, limits: Limits) -> RequestHead:
    method, target, version = split_request_line(raw[: raw.index(b"\n") + 1])
    path, query, authority = split_target(method, target)
    http_1_1 = version == (1, 1)
    fields = read_fields(httptools.HttpRequestParser, raw, limits.header_count, 400)
    index = index_fields(fields, 400)

    host = index.get(b"host")
    if host is None:
        if http_1_1:
            raise ProtocolRefusal(400, "missing_host", "HTTP/1.1 needs a Host header")
    elif not is_host(host):
        raise ProtocolRefusal(400, "bad_host", "the Host header is not a host")
    if authority is not None:
        if not is_host(authority):
            raise ProtocolRefusal(400, "bad_target", "the request target names no host")
        # RFC 9112 section 3.2.2: the target's authority replaces Host
        fields[:] = [(name, value) for name, value in fields if name != b"host"]
        fields.insert(0, (b"host", authority))
        index[b"host"] = authority

    length, chunked = body_framing(index, http_1_1, 400)
    head = RequestHead()
    head.method = method
    head.target = target
    head.path = path
    head.query = query
    head.version = version
    head.keep_alive = settle_connection(fields, index, http_1_1)
    head.headers = fields
    head.get = index.get
    head.content_length = length
    head.chunked = chunked
    head.has_body = chunked or bool(length)
    head.expect_continue = False
    expectation = index.get(b"expect")
    if expectation is not None and http_1_1:  # RFC 9110 section 10.1.1: ignored on HTTP/1.0
        if expectation.lower() != b"100-continue":
            raise ProtocolRefusal(417, "bad_expectation", "the only expectation met here is 100-continue")
        head.expect_continue = head.has_body
    head.raw = raw
    head.kin = fields
    return head
