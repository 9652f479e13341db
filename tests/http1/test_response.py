"""Rules of the client's side, each whole and byte by byte; valid answers agree with h11."""

from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal, TruncatedBody
from appliance.http1.response import ResponseReader
from appliance.http1.write import LAST_CHUNK, chunk, response_head
from tests.http1.drive import CUTS, SMALL, byte_by_byte, cut_at, response, whole

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_SIZED = _OK + b"Content-Length: 5\r\n\r\n"

# name, method, bytes, then: status and keep alive, body, complete, surplus, reusable
ANSWERS = [
    ("sized", b"POST", _SIZED + b"hello", 200, b"hello", True, False, True),
    ("sized_empty", b"POST", _OK + b"content-length: 0\r\n\r\n", 200, b"", True, False, True),
    ("chunked", b"POST", _CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n\r\n", 200, b"hello", True, False, True),
    ("until_eof", b"POST", _OK + b"\r\nhello", 200, b"hello", True, False, False),
    ("until_eof_empty", b"POST", _OK + b"\r\n", 200, b"", True, False, False),
    ("close", b"POST", _OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", 200, b"a", True, False, False),
    ("http_1_0", b"POST", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a", True, False, False),
    (
        "http_1_0_keep_alive",
        b"POST",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        200,
        b"a",
        True,
        False,
        True,
    ),
    ("head", b"HEAD", _SIZED, 200, b"", True, False, True),
    ("head_chunked", b"HEAD", _CHUNKED, 200, b"", True, False, True),
    ("head_with_body", b"HEAD", _SIZED + b"hello", 200, b"", True, True, False),
    ("204", b"POST", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, False, True),
    ("204_with_length", b"POST", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b"", True, False, False),
    ("304_with_length", b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", True, False, True),
    ("surplus_sized", b"POST", _SIZED + b"hello" + _SIZED, 200, b"hello", True, True, False),
    ("surplus_chunked", b"POST", _CHUNKED + b"0\r\n\r\nX", 200, b"", True, True, False),
    (
        "interim",
        b"POST",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\n" + _SIZED + b"hello",
        200,
        b"hello",
        True,
        False,
        True,
    ),
    (
        "as_many_interim_as_allowed",
        b"POST",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + _SIZED + b"hello",
        200,
        b"hello",
        True,
        False,
        True,
    ),
    (
        "exactly_the_body_limit",
        b"POST",
        _OK + b"Content-Length: 64\r\n\r\n" + b"x" * 64,
        200,
        b"x" * 64,
        True,
        False,
        True,
    ),
    ("no_reason", b"POST", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True, False, True),
    ("empty_reason", b"POST", b"HTTP/1.1 429 \r\nContent-Length: 0\r\n\r\n", 429, b"", True, False, True),
    (
        "upgrade_advertised",
        b"POST",
        _OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhello",
        200,
        b"hello",
        True,
        False,
        True,
    ),
    (
        "cookies_repeat",
        b"POST",
        _OK + b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        200,
        b"",
        True,
        False,
        True,
    ),
]

REFUSED = [
    ("not_http", b"SSH-2.0-OpenSSH\r\n", "bad_status_line"),
    ("looks_like_http", b"HELLO\r\n", "bad_status_line"),
    ("http_2", b"HTTP/2.0 200 OK\r\n\r\n", "bad_status_line"),
    ("http_1_2", b"HTTP/1.2 200 OK\r\n\r\n", "bad_status_line"),
    ("two_spaces", b"HTTP/1.1  200 OK\r\n\r\n", "bad_status_line"),
    ("two_digits", b"HTTP/1.1 99 OK\r\n\r\n", "bad_status_line"),
    ("four_digits", b"HTTP/1.1 2000 OK\r\n\r\n", "bad_status_line"),
    ("status_600", b"HTTP/1.1 600 OK\r\n\r\n", "bad_status_line"),
    ("status_099", b"HTTP/1.1 099 OK\r\n\r\n", "bad_status_line"),
    ("nul_in_reason", b"HTTP/1.1 200 O\x00K\r\n\r\n", "bad_status_line"),
    ("cr_in_reason", b"HTTP/1.1 200 O\rK\r\n\r\n", "bad_status_line"),
    ("lf_status_line", b"HTTP/1.1 200 OK\nA: b\r\n\r\n", "bad_line_ending"),
    ("leading_crlf", b"\r\n" + _SIZED + b"hello", "bad_status_line"),
    ("switching", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "unexpected_upgrade"),
    ("endless_interim", b"HTTP/1.1 100 Continue\r\n\r\n" * 4, "too_many_interim"),
    ("both_lengths", _OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_framing"),
    ("te_then_length", _OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "bad_framing"),
    ("two_lengths", _OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "bad_framing"),
    ("two_codings", _OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_framing"),
    ("gzip_chunked", _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "bad_framing"),
    ("identity", _OK + b"Transfer-Encoding: identity\r\n\r\n", "bad_framing"),
    ("te_on_1_0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_framing"),
    ("length_plus", _OK + b"Content-Length: +5\r\n\r\nhello", "bad_framing"),
    ("fold", _OK + b"A: b\r\n c\r\n\r\n", "bad_header"),
    ("space_before_colon", _OK + b"A : b\r\n\r\n", "bad_header"),
    ("bare_lf", _OK + b"A: b\nC: d\r\n\r\n", "bad_header"),
    ("bad_chunk", _CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", "bad_chunk"),
    ("bad_chunk_end", _CHUNKED + b"5\r\nhelloXX0\r\n\r\n", "bad_chunk"),
    ("bad_trailer", _CHUNKED + b"0\r\nHTTP/1.1 200 OK\r\n\r\n", "bad_trailer"),
    ("long_trailers", _CHUNKED + b"0\r\nA: " + b"b" * 90 + b"\r\n\r\n", "trailers_too_large"),
    ("long_head", _OK + b"A: " + b"b" * 600 + b"\r\n\r\n", "head_too_large"),
    ("many_headers", _OK + b"A: b\r\n" * 9 + b"\r\n", "too_many_headers"),
    ("large_sized", _OK + b"Content-Length: 65\r\n\r\n" + b"x" * 65, "body_too_large"),
    ("large_chunked", _CHUNKED + b"21\r\n" + b"x" * 33 + b"\r\n20\r\n", "body_too_large"),
    ("large_until_eof", _OK + b"\r\n" + b"x" * 65, "body_too_large"),
]

TRUNCATED = [
    ("nothing", b"", "head"),
    ("half_head", _OK, "head"),
    ("only_interim", b"HTTP/1.1 100 Continue\r\n\r\n", "head"),
    ("sized", _SIZED + b"hell", "body"),
    ("chunked_in_data", _CHUNKED + b"5\r\nhel", "body"),
    ("chunked_without_last", _CHUNKED + b"5\r\nhello\r\n", "body"),
    ("chunked_in_size", _CHUNKED + b"5", "body"),
    ("chunked_without_last_crlf", _CHUNKED + b"5\r\nhello\r\n0\r\n", "body"),
]


@pytest.mark.parametrize("case", ANSWERS, ids=[case[0] for case in ANSWERS])
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_answers(case: Any, cut: Any) -> None:
    _, method, data, status, *rest = case
    head, body = response(cut(data), method)
    assert head[0] == status
    assert body == tuple(rest)
    assert not {b"upgrade", b"http2-settings"} & {name for name, _ in head[3]}


@pytest.mark.parametrize(("data", "code"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_refused(data: bytes, code: str, cut: Any) -> None:
    assert response(cut(data), eof=False)[-1] == ("refused", 502, code)


@pytest.mark.parametrize(("data", "phase"), [pytest.param(*case[1:], id=case[0]) for case in TRUNCATED])
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_truncated(data: bytes, phase: str, cut: Any) -> None:
    outcome = response(cut(data))[-1]
    assert outcome[:2] == ("truncated", phase)
    assert str(TruncatedBody(phase)).endswith(phase)


@given(CUTS)
def test_cut_anywhere(cuts: list[int]) -> None:
    for _, method, data, *_ in ANSWERS:
        assert response(cut_at(data, cuts), method) == response([data], method)
    for _, data, code in REFUSED:
        assert response(cut_at(data, cuts), eof=False)[-1] == ("refused", 502, code)
    for _, data, _ in TRUNCATED:
        assert response(cut_at(data, cuts)) == response([data])


def _reader(data: bytes, method: bytes = b"POST", limits: Limits = SMALL) -> ResponseReader:
    reader = ResponseReader(limits, method)
    reader.feed(data)
    assert reader.next_head() is not None
    return reader


def test_body_gives_what_is_there_and_completes_in_the_same_call() -> None:
    reader = _reader(_CHUNKED + b"5\r\nhello\r\n3\r\nyo")
    assert reader.body() == b"helloyo" and not reader.complete
    assert reader.body() == b""
    reader.feed(b"u\r\n0\r\n\r\n")
    assert reader.body() == b"u" and reader.complete and reader.reusable


def test_bytes_after_the_answer_poison_the_connection_even_if_they_come_later() -> None:
    reader = _reader(_SIZED + b"hello")
    assert reader.body() == b"hello" and reader.reusable
    reader.feed(b"H")
    assert reader.surplus and not reader.reusable
    assert reader.body() == b""


def test_eof_before_the_body_was_asked_for_still_gives_it() -> None:
    for data in (_OK + b"\r\nhello", _SIZED + b"hello", _CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"):
        reader = _reader(data)
        reader.eof()
        assert reader.complete and reader.body() == b"hello" and reader.body() == b""


def test_a_segment_of_a_sized_body_is_not_copied() -> None:
    reader = _reader(_SIZED)
    segment = b"hell"
    reader.feed(segment)
    assert reader.body() is segment


def test_calls_out_of_order_are_errors_of_the_caller() -> None:
    reader = ResponseReader(SMALL)
    with pytest.raises(RuntimeError):
        reader.body()
    reader.feed(_SIZED)
    reader.next_head()
    with pytest.raises(RuntimeError):
        reader.next_head()


def test_chunk_overhead_is_bounded() -> None:
    limits = Limits(body_bytes=1000)
    reader = _reader(_CHUNKED, limits=limits)
    line = b"1;" + b"x" * 900 + b"\r\na\r\n"
    for _ in range(limits.chunk_overhead_bytes // (len(line) - 1)):
        reader.feed(line)
        assert reader.body() == b"a"
    reader.feed(line)
    with pytest.raises(ProtocolRefusal) as refused:
        reader.body()
    assert refused.value.code == "chunk_overhead"


_VALUES = st.text([chr(c) for c in range(33, 127)] + [" "], max_size=30).map(lambda text: text.encode().strip())
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12).map(
    lambda name: b"x" + name.encode()
)
_BODIES = st.one_of(st.none(), st.binary(max_size=200), st.lists(st.binary(max_size=60), max_size=6))


@given(st.integers(200, 599), st.lists(st.tuples(_NAMES, _VALUES), max_size=6), _BODIES, CUTS)
def test_written_answers_are_read_back_and_agree_with_h11(status: Any, headers: Any, body: Any, cuts: Any) -> None:
    if body is None:
        framing, wire, content = [], b"until the end", b"until the end"
    elif isinstance(body, bytes):
        framing, wire, content = [(b"content-length", b"%d" % len(body))], body, body
    else:
        framing, wire = [(b"transfer-encoding", b"chunked")], b"".join(map(chunk, body)) + LAST_CHUNK
        content = b"".join(body)
    if status in (204, 304):
        framing, wire, content = [], b"", b""
    data = response_head(status, [*headers, *framing]) + wire

    head, outcome = response(cut_at(data, cuts), limits=Limits())
    assert (head[0], list(head[3])) == (status, [*headers, *framing])
    assert outcome[:3] == (content, True, False)

    reference = h11.Connection(h11.CLIENT)
    reference.send(h11.Request(method=b"POST", target=b"/", headers=[(b"host", b"a"), (b"content-length", b"0")]))
    reference.send(h11.EndOfMessage())
    reference.receive_data(data)
    reference.receive_data(b"")
    event = reference.next_event()
    assert isinstance(event, h11.Response)
    assert (event.status_code, event.reason, list(event.headers)) == (status, head[1], list(head[3]))
    got = b""
    while isinstance(event := reference.next_event(), h11.Data):
        got += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert got == content


_PIECES = st.sampled_from(
    [
        _OK,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"Content-Length: 5\r\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
        b"0\r\n",
        b"A: b\r\n",
        b"HTTP/1.1 204 X\r\n",
        b"A" * 60,
        b"\x00",
    ]
)


@given(st.lists(st.one_of(_PIECES, st.binary(max_size=4)), max_size=14).map(b"".join), CUTS)
def test_nearly_valid_bytes_have_one_outcome_however_cut(data: bytes, cuts: list[int]) -> None:
    def outcome(
        pieces: list[bytes],
    ) -> Any:  # a refusal may come before or after body bytes were given; the rest is compared
        return [fact if fact[0] != "truncated" else fact[:2] for fact in response(pieces)]

    assert outcome(cut_at(data, cuts)) == outcome([data])
    assert outcome(byte_by_byte(data)) == outcome([data])
