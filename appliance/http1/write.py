"""HTTP/1.1 heads and chunks to bytes.

The rule: this is the one place where header values and targets are checked before they are written. Model names,
tiers and paths come from clients, headers from providers: whatever is not printable ASCII is percent-encoded, so no
value can end its line. Nothing is added: the caller says every header, framing and date included.
"""

from collections.abc import Iterable
from http import HTTPStatus
from operator import itemgetter

from appliance.http1.head import TOKEN, is_token

LAST_CHUNK = b"0\r\n\r\n"
"""Ends a chunked body without trailers."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The interim answer that a client waits for before it sends its body (RFC 9110 section 10.1.1)."""

_PLAIN = bytes(range(32, 127)) + b"\t"
_NAME = itemgetter(0)
_LINE = b": ".join
"""A pair of name and value as a line: all lines of a head without a step of the interpreter for each."""
_ENCODED = tuple(bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte for byte in range(256))
_PHRASES = {int(status): status.phrase.encode() for status in HTTPStatus}
_STATUS_LINES = tuple(b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, b"")) for status in range(600))


def safe_value(value: bytes | str) -> bytes:
    """A header value that is safe to write: bytes that are not printable ASCII, space or tab are percent-encoded.

    Surrounding white space is removed. Text is taken as UTF-8.
    """
    raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if raw.translate(None, _PLAIN):
        raw = b"".join([_ENCODED[byte] for byte in raw])
    return raw.strip(b" \t")


def safe_target(target: bytes | str) -> bytes:
    """A request target that is safe to write: as `safe_value`, and white space and `#` are percent-encoded too."""
    return safe_value(target).replace(b" ", b"%20").replace(b"\t", b"%09").replace(b"#", b"%23")


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An answer's head, its empty line included. `status` is 100 to 599, names are tokens (else `ValueError`)."""
    if not 100 <= status <= 599:
        raise ValueError("not a status code")
    return _head(_STATUS_LINES[status], headers)


def request_head(method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A request's head, its empty line included. `method` and names are tokens, `target` is not empty (`ValueError`).

    The caller gives Host and the framing headers.
    """
    if not is_token(method) or not target:
        raise ValueError("not a request line")
    return _head(b"%b %b HTTP/1.1\r\n" % (method, safe_target(target)), headers)


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; b"" for b"", since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _head(start_line: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"%b%b\r\n" % (start_line, header_lines(headers))


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines, each with its line end. Names are tokens (else `ValueError`); values are made safe."""
    if not isinstance(headers, list):
        headers = list(headers)
    if not headers:
        return b""
    # One look at all names and one at all lines, instead of two for each: names may have bytes of tokens alone, and of
    # bytes that are not plain the lines may have nothing but their ends.
    names = [*map(_NAME, headers)]
    if b"" in names or b"".join(names).translate(None, TOKEN):
        raise ValueError("not a header name")
    lines = b"\r\n".join([*map(_LINE, headers), b""])
    if lines.translate(None, _PLAIN) == b"\r\n" * len(headers):
        return lines
    return b"".join([b"%b: %b\r\n" % (name, safe_value(value)) for name, value in headers])
