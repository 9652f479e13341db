"""Server-sent events as bytes: cutting a stream into whole events, reading one, writing one.

The rule: what is not understood is not changed. The events that come out, joined, are the bytes that went in (but for
a byte order mark at the very start), and they are the same wherever the input was cut. The format is that of the
WHATWG HTML standard, section 9.2: a line ends in LF, CR LF or CR, a blank line ends an event.
"""

import re

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Default bound of one event. The terminal event of a Responses stream repeats the whole request, images included."""

_BOM = b"\xef\xbb\xbf"
# A blank line, however its ends are written. A CR that ends the buffer may be half of a CR LF, so `\r\n\r` and `\n\r`
# wait for one more byte; `\r\r` does not (an LF after it opens the next event, as an empty line: harmless).
_BLANK_LINE = re.compile(rb"\n\n|\r\n\r\n|\r\r|\r\n\n|\n\r\n|\r\n\r(?=[^\n])|\n\r(?=[^\n])")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANKS = bytes.maketrans(b"\r\n", b"  ")


class SseSplitter:
    """Cuts a stream into whole raw events, terminator included. Linear in the bytes fed, however small the pieces.

    A comment followed by a blank line comes out as an event of its own; stray blank lines open the next event.
    `carriage`: a CR was seen so far, so line ends may be anything.
    """

    __slots__ = ("_begun", "_max_event_bytes", "_parts", "_size", "_tail", "carriage")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._parts: list[bytes] = []  # of the unfinished event
        self._size = 0
        self._tail = b""  # its last three bytes: a terminator may straddle two feeds
        self.carriage = False  # a CR was seen: the slower search from then on
        self._begun = False

    @property
    def rest(self) -> bytes:
        """The bytes of the unfinished event."""
        return b"".join(self._parts)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes. Raises ValueError when an unfinished event is longer than the bound."""
        if not self.carriage and b"\r" in data:
            self.carriage = True
        if self._parts:
            window = self._tail + data
            if (_BLANK_LINE.search(window) is None) if self.carriage else (b"\n\n" not in window):
                self._keep(data)
                return []
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts = []
            self._size = 0
        if self.carriage:
            events, rest = _cut(data)
        else:
            if 0 <= data.find(b"\n\n") == len(data) - 2:  # the usual case: one event, whole
                events, rest = [data], b""
            else:
                *pieces, rest = data.split(b"\n\n")
                events = [piece + b"\n\n" for piece in pieces]
        if rest:
            self._keep(rest)
        if events and not self._begun:
            self._begun = True
            events[0] = events[0].removeprefix(_BOM)
        return events

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        self._tail = data[-3:] if len(data) > 2 else (self._tail + data)[-3:] if self._size > len(data) else data
        if self._size > self._max_event_bytes:
            raise ValueError(f"an event is longer than {self._max_event_bytes} bytes")


def _cut(data: bytes) -> tuple[list[bytes], bytes]:
    events = []
    begin = 0
    for found in _BLANK_LINE.finditer(data):
        events.append(data[begin : found.end()])
        begin = found.end()
    return events, data[begin:]


def event_fields(raw: bytes) -> tuple[bytes | None, bytes]:
    """(event name or None, its data lines joined by LF) of one raw event; empty data for a comment."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.endswith(b"\n\n") and b"\r" not in raw:
        return None, raw[6:-2]
    name: bytes | None = None
    data: list[bytes] = []
    for line in _LINE_END.split(raw) if b"\r" in raw else raw.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return name, data[0] if len(data) == 1 else b"\n".join(data)


def plain_name(raw: bytes) -> bytes | None:
    """The name of an event in the usual form, `event:` and then one line with an object; None if it has another.

    For events without CR, and without a search for fields: `event_fields` finds the same name.
    """
    if not raw.startswith(b"event: "):
        return None
    at = raw.find(b"\n")
    if raw.startswith(b"data: {", at + 1) and raw.find(b"\n", at + 1) == len(raw) - 2:
        return raw[7:at]
    return None


def comment(text: bytes) -> bytes:
    """A comment of one line: every client must ignore it. `text` must not contain CR or LF (ValueError)."""
    if b"\n" in text or b"\r" in text:
        raise ValueError("a comment is one line")
    return b": " + text + b"\n\n"


def one_line(json: bytes) -> bytes:
    """JSON without line ends: between its values they are blanks, and what others wrote may hold them."""
    return json if b"\n" not in json and b"\r" not in json else json.translate(_BLANKS)


def event(data: bytes, name: bytes | None = None) -> bytes:
    """One event. `data` must not contain CR or LF (ValueError): JSON as msgspec writes it never does."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("data is one line")
    return b"data: " + data + b"\n\n" if name is None else b"event: " + name + b"\ndata: " + data + b"\n\n"
