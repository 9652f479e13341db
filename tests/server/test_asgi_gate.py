"""What passes the gate is what our parser read, in its plainest form, however it was cut; h11 reads the same."""

from typing import Any

import h11
import pytest
from hypothesis import given

from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.server.asgi_gate import NOT_HTTP, Gate, Plain
from tests.http1.drive import CUTS, SMALL, byte_by_byte, cut_at, requests
from tests.http1.smuggling_corpus import CORPUS

GOOD = b"POST /good?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost:a\r\nTransfer-Encoding:chunked\r\n\r\n"
    b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\nAuthorization: x\r\n\r\n"
)
ABSOLUTE = (
    b"GET http://real.test/p?q HTTP/1.1\r\nHost: other.test\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"
)


def passed(pieces: list[bytes], limits: Limits = SMALL) -> tuple[bytes, ProtocolRefusal | None]:
    gate = Gate(limits)
    data = b""
    refusal = None
    for piece in pieces:
        for out in gate.feed(piece):
            assert refusal is None, "a refusal is the last"
            if isinstance(out, Plain):
                data += out.data
            else:
                refusal = out
    assert gate.refused == (refusal is not None)
    return data, refusal


def as_h11(data: bytes) -> list[tuple[Any, ...]]:
    """What Hypercorn's parser makes of it: method, target, headers, body of each request, then how it ended."""
    seen: list[tuple[Any, ...]] = []
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    body = b""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            assert not event.headers
            seen.append((request.method, request.target, tuple(request.headers), body))
            connection.send(h11.Response(status_code=204, headers=[]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return seen
            connection.start_next_cycle()
        else:
            return seen


def as_ours(data: bytes) -> list[tuple[Any, ...]]:
    outcome = requests([data])
    return [(method, target, headers, body) for method, target, _, headers, _, body in outcome[:-1]]


def test_heads_and_bodies_come_out_in_their_plainest_form() -> None:
    assert passed([GOOD])[0] == b"POST /good?a=b HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"
    plain = b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert passed([CHUNKED])[0] == plain
    assert passed([ABSOLUTE])[0] == b"GET /p?q HTTP/1.1\r\nhost: real.test\r\nconnection: close\r\n\r\n"
    assert passed([b"OPTIONS * HTTP/1.0\r\n\r\n"])[0] == b"OPTIONS * HTTP/1.0\r\n\r\n"


@given(CUTS)
def test_what_passes_means_the_same_however_it_is_cut(cuts: list[int]) -> None:
    data = GOOD + CHUNKED + GOOD
    through, refusal = passed(cut_at(data, cuts))
    assert refusal is None
    assert as_ours(through) == as_ours(passed([data])[0])
    assert as_h11(through) == as_ours(through)


@pytest.mark.parametrize(("data", "status", "code"), [pytest.param(*case[1:], id=case[0]) for case in CORPUS])
@pytest.mark.parametrize("cut", [lambda data: [data], byte_by_byte], ids=["whole", "bytes"])
def test_what_is_hostile_stops_here(data: bytes, status: int, code: str, cut: Any) -> None:
    if code == "body_too_large" and b"Content-Length" in data:
        return  # it is passed on part by part; who keeps it counts it
    through, refusal = passed(cut(GOOD + data))
    assert refusal is not None
    assert (refusal.status, refusal.code) == (status, code)
    good, *more = as_h11(through)
    assert good[1] == b"/good?a=b"
    assert more == [], "of the hostile one no whole request passed"


def test_nothing_comes_after_a_refusal() -> None:
    gate = Gate(SMALL)
    gate.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert gate.feed(GOOD) == []


def test_what_the_client_is_to_send_next() -> None:
    gate = Gate(SMALL)
    seen = [gate.waiting]
    for piece in (b"POST / HTTP/1.1\r\nHo", b"st: a\r\nContent-Length: 3\r\n\r\n", b"ab", b"c", b"GET"):
        gate.feed(piece)
        seen.append(gate.waiting)
    assert seen == ["IDLE", "HEAD", "BODY", "BODY", "IDLE", "HEAD"]


def test_a_client_that_waits_is_invited_and_one_that_does_not_is_not() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    (plain,) = Gate(SMALL).feed(head)
    assert isinstance(plain, Plain) and plain.invite and b"expect" not in plain.data
    assert [piece.invite for piece in Gate(SMALL).feed(head + b"a") if isinstance(piece, Plain)] == [False, False]
    old = head.replace(b"1.1", b"1.0")
    assert [piece.invite for piece in Gate(SMALL).feed(old) if isinstance(piece, Plain)] == [False]


@pytest.mark.parametrize("before", [b"", GOOD, b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"])
def test_h11_refuses_what_is_not_http_wherever_it_stands(before: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        as_h11(before + NOT_HTTP)
