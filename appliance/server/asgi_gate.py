"""What a client sends to the ASGI lane, read by our own parser first.

The rule: Hypercorn gets nothing that it and we could read differently. h11 takes folded headers, bare line feeds,
repeated lengths in one header, transfer codings on HTTP/1.0 and much else that `http1/` refuses; so every head is
parsed here and written anew in its plainest form, and chunked bodies are framed anew, without extensions and trailers.
Both lanes then refuse the same requests, with the same status and code.
"""

from typing import Literal

import msgspec

from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request import RequestHead, RequestReader
from appliance.http1.write import LAST_CHUNK, chunk

NOT_HTTP = b"\x00\r\n\r\n"
"""What no parser takes for the beginning of anything: makes h11 refuse at this place, once it comes to it."""

Waiting = Literal["IDLE", "HEAD", "BODY"]


class Plain(msgspec.Struct, frozen=True):
    """Bytes for Hypercorn. `invite`: they are a head whose client waits for a 100 before it sends the body."""

    data: bytes
    invite: bool = False


class Gate:
    """Reads one connection's requests. After a refusal nothing more comes out."""

    def __init__(self, limits: Limits) -> None:
        self._reader = RequestReader(limits)
        self._chunked = False
        self.refused = False
        self.heads = 0
        """How many requests have begun."""
        self.head: RequestHead | None = None
        """Whose body is not there yet, or was refused."""

    @property
    def waiting(self) -> Waiting:
        """What the client is to send next: a request, the rest of a head, or the rest of a body."""
        if self._reader.body_due:
            return "BODY"
        return "IDLE" if self._reader.idle else "HEAD"

    @property
    def begun_path(self) -> bytes:
        """The path of a head that was refused or has not come whole, see RequestReader."""
        return self._reader.begun_path

    def feed(self, data: bytes) -> list[Plain | ProtocolRefusal]:
        """What may be passed on of all that was received so far, in order; a refusal is the last."""
        pieces: list[Plain | ProtocolRefusal] = []
        if self.refused:
            return pieces
        self._reader.feed(data)
        try:
            self._read(pieces)
        except ProtocolRefusal as refusal:
            self.refused = True
            pieces.append(refusal)
        return pieces

    def _read(self, pieces: list[Plain | ProtocolRefusal]) -> None:
        reader = self._reader
        while True:
            expectant: RequestHead | None = None
            if not reader.body_due:
                head = reader.next_head()
                if head is None:
                    return
                self.heads += 1
                pieces.append(Plain(plain_head(head)))
                if not head.has_body:
                    continue
                self.head = head
                self._chunked = head.chunked
                expectant = head if head.expect_continue else None
            part = reader.next_part()
            if part:
                pieces.append(Plain(chunk(part) if self._chunked else part))
            elif expectant is not None and reader.unread_bytes == 0:  # what is there already needs no 100
                pieces[-1] = Plain(plain_head(expectant), invite=True)
            if reader.body_due:
                return
            self.head = None
            if self._chunked:
                pieces.append(Plain(LAST_CHUNK))


def plain_head(head: RequestHead) -> bytes:
    """A head as there is only one way to read it: origin form, one space after each colon, no expectation."""
    target = head.path + b"?" + head.query if head.query else head.path
    lines = [b"%b: %b\r\n" % header for header in head.headers if header[0] != b"expect"]
    return b"%b %b HTTP/%d.%d\r\n%b\r\n" % (head.method, target, *head.version, b"".join(lines))
