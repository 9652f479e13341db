"""Targets of the HTTP/1.1 layer: requests, the gate before the ASGI lane, the chunked coding, answers.

Each takes any bytes and raises (AssertionError, or whatever escaped) if a property does not hold. h11 is the other
opinion: where both accept a message, they agree on all of it. What only one of them accepts proves nothing.
"""

import zlib
from dataclasses import replace
from typing import Any

import h11

from appliance.http1.chunked import ChunkedDecoder
from appliance.http1.refusal import ProtocolRefusal
from appliance.server.asgi_gate import Gate, Plain
from tests.http1.drive import SMALL, Outcome, byte_by_byte, cut_at, requests, response

Message = tuple[Any, ...]
_BYTE_BY_BYTE_BYTES = 160


def cuts_of(data: bytes) -> list[int]:
    """Where a case is cut: decided by its bytes, so that they alone reproduce it."""
    mark = zlib.crc32(data)
    return [mark & 0xFFFF, mark >> 16, (mark >> 8) & 0xFFFF][: 1 + mark % 3]


def pieces_of(data: bytes) -> list[bytes]:
    """The bytes, cut: usually in a few places, short ones sometimes everywhere."""
    if len(data) <= _BYTE_BY_BYTE_BYTES and zlib.crc32(data) % 8 == 0:
        return byte_by_byte(data)
    return cut_at(data, cuts_of(data))


def check_request(data: bytes) -> None:
    """Requests: one outcome however cut, nothing raised but refusals, and h11 reads what is accepted alike."""
    outcome = requests([data])
    assert requests(pieces_of(data)) == outcome, "the outcome depends on how the bytes were cut"
    accepted = [
        (method, target, headers, body) for method, target, _, headers, _, body in outcome[:-1] if len(outcome) > 1
    ]
    if accepted:
        for ours, theirs in zip(accepted, h11_requests(data), strict=False):
            assert _comparable(ours) == _comparable(theirs), "h11 reads this request otherwise"


def check_gate(data: bytes) -> None:
    """The gate: what passes is read by h11 exactly as by us, whole requests and nothing else, however cut."""
    through = _through([data])
    ours = requests([through], _ROOMY)
    assert _meaning(requests([_through(pieces_of(data))], _ROOMY)) == _meaning(ours), "what passes depends on the cuts"
    assert ours[-1][0] == "waiting", "we refuse what the gate passed"
    passed = h11_requests(through)
    for mine, theirs in zip(ours[:-1], passed, strict=False):
        assert (mine[0], mine[1], _comparable_headers(mine[3]), mine[5]) == theirs, (
            "h11 reads otherwise what the gate passed"
        )
    last = next((at + 1 for at, mine in enumerate(ours[:-1]) if not mine[4] or mine[2] == (1, 0)), len(ours) - 1)
    assert len(passed) == last, "h11 refuses what the gate passed, or finds more in it"


_ROOMY = replace(SMALL, head_bytes=8192, header_count=100, body_bytes=10**18)
"""The gate has applied the limits, and writes a head anew in a few bytes more."""


def _meaning(outcome: Outcome) -> Outcome:
    """The whole requests of an outcome: how much of an unfinished one has passed is a matter of cuts."""
    return outcome[:-1]


def _through(pieces: list[bytes]) -> bytes:
    gate = Gate(SMALL)
    passed = b""
    for piece in pieces:
        for out in gate.feed(piece):
            assert isinstance(out, Plain | ProtocolRefusal)
            passed += out.data if isinstance(out, Plain) else b""
    return passed


def check_chunked(data: bytes) -> None:
    """The chunked coding: one outcome however cut, bounded, and h11 finds the same body with the same end."""
    outcome = _decoded([data])
    assert _decoded(pieces_of(data)) == outcome, "the outcome depends on how the bytes were cut"
    body, rest, end = outcome
    assert len(body) <= SMALL.body_bytes
    if end == "done":
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        theirs = h11_requests(head + data[: len(data) - len(rest)])
        if theirs:
            assert theirs[0][3] == body, "h11 finds another body"
            assert len(theirs) == 1


def _decoded(pieces: list[bytes]) -> tuple[bytes, bytes, str]:
    decoder = ChunkedDecoder(SMALL, 400)
    unread = b""
    out: list[bytes | bytearray] = []
    try:
        for piece in pieces:
            unread += piece
            if not decoder.done:
                unread = unread[decoder.decode(unread, 0, out) :]
    except ProtocolRefusal as refusal:
        return b"", b"", refusal.code
    if not decoder.done:
        return b"", b"", "more"
    return b"".join(out), unread, "done"


def check_response(data: bytes) -> None:
    """Answers: one outcome however cut, nothing raised but refusals, and h11 reads whole answers alike."""
    method = b"HEAD" if data[-1:] == b"h" else b"POST"
    outcome = response([data], method)
    assert response(pieces_of(data), method) == outcome, "the outcome depends on how the bytes were cut"
    if len(outcome) == 2 and outcome[1][0] != "refused" and outcome[1][0] != "truncated":
        (status, reason, _, headers, _), (body, complete, surplus, reusable) = outcome
        assert complete
        assert not (surplus and reusable)
        theirs = _h11_response(data, method)
        if theirs is not None:
            told, read, lines, content = theirs
            assert (status, reason, body) == (told, read, content), "h11 reads this answer otherwise"
            ours, others = _comparable((b"", b"", headers, b"")), _comparable((b"", b"", lines, b""))
            assert ours == others, "h11 reads this answer otherwise"


def h11_requests(data: bytes) -> list[Message]:
    """Method, target, headers and body of each request that h11 finds, until it refuses or lacks bytes."""
    seen: list[Message] = []
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                seen.append((request.method, request.target, tuple(request.headers), body))
                connection.send(h11.Response(status_code=404, headers=[(b"content-length", b"0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return seen
                connection.start_next_cycle()
            else:
                return seen
    except h11.RemoteProtocolError:
        return seen


def _comparable(request: Message) -> Message:
    """A request without what we take from it on purpose: offers to upgrade, and a Host that its target overrules."""
    method, target, headers, body = request
    dropped = {b"connection", b"upgrade", b"http2-settings"} | ({b"host"} if target[:1] != b"/" else set())
    return method, target, [header for header in _comparable_headers(headers) if header[0] not in dropped], body


def _comparable_headers(headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name, value.lower() if name == b"transfer-encoding" else value) for name, value in headers)


def _h11_response(data: bytes, method: bytes) -> Message | None:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target=b"/", headers=[(b"host", b"a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    answer: h11.Response | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                answer = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and answer is not None:
                return answer.status_code, bytes(answer.reason), tuple(answer.headers), body
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
