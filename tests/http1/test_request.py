"""Rules of the server's side, each whole and byte by byte; valid requests agree with h11."""

from contextlib import suppress
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request import RequestHead, RequestReader
from appliance.http1.write import LAST_CHUNK, chunk, request_head
from tests.http1.drive import CUTS, SMALL, byte_by_byte, cut_at, requests, whole

_H = b"Host: a\r\n"
_HOST = (b"host", b"a")


def _read(data: bytes, limits: Limits = SMALL) -> tuple[RequestHead, RequestReader]:
    reader = RequestReader(limits)
    reader.feed(data)
    head = reader.next_head()
    assert head is not None
    return head, reader


ACCEPTED = [
    # name, bytes, method, target, version, headers, keep alive, body
    ("get", b"GET / HTTP/1.1\r\n" + _H + b"\r\n", b"GET", b"/", (1, 1), (_HOST,), True, b""),
    ("empty_lines", b"\r\n\r\nGET / HTTP/1.1\r\n" + _H + b"\r\n", b"GET", b"/", (1, 1), (_HOST,), True, b""),
    ("http_1_0", b"GET / HTTP/1.0\r\n\r\n", b"GET", b"/", (1, 0), (), False, b""),
    (
        "http_1_0_keep_alive",
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        b"GET",
        b"/",
        (1, 0),
        ((b"connection", b"Keep-Alive"),),
        True,
        b"",
    ),
    (
        "sized",
        b"POST /v1?a=b HTTP/1.1\r\n" + _H + b"Content-Length: 5\r\n\r\nhello",
        b"POST",
        b"/v1?a=b",
        (1, 1),
        (_HOST, (b"content-length", b"5")),
        True,
        b"hello",
    ),
    (
        "white_space_around_values",
        b"POST / HTTP/1.1\r\n" + _H + b"X:\t a b \t\r\nContent-Length:  005 \r\n\r\nhello",
        b"POST",
        b"/",
        (1, 1),
        (_HOST, (b"x", b"a b"), (b"content-length", b"005")),
        True,
        b"hello",
    ),
    (
        "chunked",
        b"POST / HTTP/1.1\r\n"
        + _H
        + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n03;a=b\r\nllo\r\n0\r\nX: y\r\n\r\n",
        b"POST",
        b"/",
        (1, 1),
        (_HOST, (b"transfer-encoding", b"Chunked")),
        True,
        b"hello",
    ),
    (
        "coding_with_white_space",
        b"POST / HTTP/1.1\r\n" + _H + b"Transfer-Encoding: \t chunked \r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST",
        b"/",
        (1, 1),
        (_HOST, (b"transfer-encoding", b"chunked")),
        True,
        b"a",
    ),
    (
        "chunked_empty",
        b"POST / HTTP/1.1\r\n" + _H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST",
        b"/",
        (1, 1),
        (_HOST, (b"transfer-encoding", b"chunked")),
        True,
        b"",
    ),
    (
        "h2c_offer_is_dropped_and_the_body_read",
        b"POST / HTTP/1.1\r\n"
        + _H
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        + b"Content-Length: 5\r\n\r\nhello",
        b"POST",
        b"/",
        (1, 1),
        (_HOST, (b"content-length", b"5")),
        True,
        b"hello",
    ),
    (
        "websocket_offer_is_dropped",
        b"GET / HTTP/1.1\r\n" + _H + b"connection: keep-alive, upgrade, close\r\nupgrade: websocket\r\n\r\n",
        b"GET",
        b"/",
        (1, 1),
        (_HOST, (b"connection", b"keep-alive, close")),
        False,
        b"",
    ),
    (
        "connection_upgrade_alone_is_dropped",
        b"GET / HTTP/1.1\r\n" + _H + b"connection: upgrade\r\n\r\n",
        b"GET",
        b"/",
        (1, 1),
        (_HOST,),
        True,
        b"",
    ),
    (
        "two_connection_headers",
        b"GET / HTTP/1.1\r\n" + _H + b"connection: x\r\nconnection: close\r\n\r\n",
        b"GET",
        b"/",
        (1, 1),
        (_HOST, (b"connection", b"x"), (b"connection", b"close")),
        False,
        b"",
    ),
    (
        "keep_alive_then_close",
        b"GET / HTTP/1.1\r\n" + _H + b"connection: keep-alive\r\nconnection: close\r\n\r\n",
        b"GET",
        b"/",
        (1, 1),
        (_HOST, (b"connection", b"keep-alive"), (b"connection", b"close")),
        False,
        b"",
    ),
    (
        "absolute_form_replaces_host",
        b"GET http://b:1/x?y HTTP/1.1\r\nA: b\r\n" + _H + b"\r\n",
        b"GET",
        b"http://b:1/x?y",
        (1, 1),
        ((b"host", b"b:1"), (b"a", b"b")),
        True,
        b"",
    ),
    ("options_star", b"OPTIONS * HTTP/1.1\r\n" + _H + b"\r\n", b"OPTIONS", b"*", (1, 1), (_HOST,), True, b""),
    (
        "values_from_128_up",
        b"GET / HTTP/1.1\r\n" + _H + b"X: \xc3\xa9\r\n\r\n",
        b"GET",
        b"/",
        (1, 1),
        (_HOST, (b"x", b"\xc3\xa9")),
        True,
        b"",
    ),
    (
        "exactly_the_header_limit",
        b"GET / HTTP/1.1\r\n" + _H + b"A: b\r\n" * 7 + b"\r\n",
        b"GET",
        b"/",
        (1, 1),
        (_HOST, *[(b"a", b"b")] * 7),
        True,
        b"",
    ),
    (
        "exactly_the_body_limit",
        b"PUT / HTTP/1.1\r\n" + _H + b"content-length: 64\r\n\r\n" + b"x" * 64,
        b"PUT",
        b"/",
        (1, 1),
        (_HOST, (b"content-length", b"64")),
        True,
        b"x" * 64,
    ),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=[case[0] for case in ACCEPTED])
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_accepted(case: Any, cut: Any) -> None:
    _, data, *expected = case
    assert requests(cut(data)) == [tuple(expected), ("waiting", False)]


def test_pipelined_and_cut_anywhere() -> None:
    data = b"".join(case[1] for case in ACCEPTED)
    expected = [*(tuple(case[2:]) for case in ACCEPTED), ("waiting", False)]
    assert requests([data]) == expected

    @given(CUTS)
    def cut_anywhere(cuts: list[int]) -> None:
        assert requests(cut_at(data, cuts)) == expected

    cut_anywhere()


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a/b%20?c=d?e", b"/a/b%20", b"c=d?e"),
        (b"//a/b", b"//a/b", b""),
        (b"HTTP://a", b"/", b""),
        (b"https://a/b?c", b"/b", b"c"),
        (b"http://a?b/c", b"/", b"b/c"),
        (b"http://[::1]:80/x", b"/x", b""),
    ],
)
def test_path_and_query(target: bytes, path: bytes, query: bytes) -> None:
    head, _ = _read(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.target, head.path, head.query) == (target, path, query)


def test_the_authority_of_an_absolute_target_is_the_host() -> None:
    head, _ = _read(b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n")
    assert head.get(b"host") == b"b" and [value for name, value in head.headers if name == b"host"] == [b"b"]


def test_empty_lines_are_counted_for_each_request_and_once() -> None:
    request = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert len(requests([request * 3])) == 4
    assert requests([b"\r\n\r", request[3:]])[-1] == ("waiting", False)


def test_head_lookup_gives_the_first_of_repeated_names() -> None:
    head, _ = _read(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n")
    assert head.get(b"x") == b"1"
    assert [value for name, value in head.headers if name == b"x"] == [b"1", b"2"]
    assert head.get(b"y") is None


@pytest.mark.parametrize(
    ("line", "version", "expected"),
    [
        (b"Content-Length: 1", b"1.1", True),
        (b"Transfer-Encoding: chunked", b"1.1", True),
        (b"Content-Length: 0", b"1.1", False),
        (b"Content-Length: 1", b"1.0", False),
    ],
)
def test_expect_continue_only_where_a_body_is_awaited(line: bytes, version: bytes, expected: bool) -> None:
    head, _ = _read(b"POST / HTTP/" + version + b"\r\nHost: a\r\nExpect: 100-Continue\r\n" + line + b"\r\n\r\n")
    assert head.expect_continue is expected


def test_a_trailer_never_reaches_the_headers() -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: evil\r\n\r\n"
    head, reader = _read(data)
    assert reader.next_body() == b""
    assert head.get(b"authorization") is None and len(head.headers) == 2


def test_nothing_of_the_next_request_is_consumed_early() -> None:
    first = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    second = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
    head, reader = _read(first + b"ab" + second)
    assert head.raw == first
    assert reader.leftover() == b"ab" + second
    assert reader.replay() == first + b"ab" + second
    assert reader.next_body() == b"ab"
    assert reader.leftover() == second and reader.unread_bytes == len(second)
    reader.next_head()
    assert reader.replay() == second and reader.leftover() == b"" and reader.idle


def test_replay_of_a_request_whose_body_has_not_arrived() -> None:
    head, reader = _read(b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    reader.feed(b"a")
    assert reader.replay() == head.raw + b"a"
    assert reader.next_body() is None
    with pytest.raises(RuntimeError):
        reader.replay()


def test_the_next_head_waits_for_the_body() -> None:
    _, reader = _read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    assert reader.body_due and not reader.idle
    with pytest.raises(RuntimeError):
        reader.next_head()


def test_a_partial_head_is_not_idle_and_a_new_reader_is() -> None:
    reader = RequestReader(SMALL)
    assert reader.idle
    reader.feed(b"GE")
    assert reader.next_head() is None and not reader.idle


def test_the_declared_length_is_refused_before_any_body_arrives() -> None:
    _, reader = _read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n")
    with pytest.raises(ProtocolRefusal) as refused:
        reader.next_body()
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")


def test_a_body_in_one_segment_is_one_slice_and_a_whole_feed_is_not_copied() -> None:
    _, reader = _read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
    body = b"x" * 50
    reader.feed(body)
    assert reader.next_body() is body


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_feed_takes_any_bytes(kind: Any) -> None:
    reader = RequestReader(SMALL)
    reader.feed(kind(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Le"))
    assert reader.next_head() is None
    reader.feed(kind(b"ngth: 4\r\n\r\na"))
    assert reader.next_head() is not None
    assert reader.next_body() is None
    reader.feed(kind(b"b"))
    assert reader.next_body() is None
    reader.feed(kind(b"cdGET"))
    assert reader.next_body() == b"abcd" and reader.leftover() == b"GET"


def test_a_large_body_over_many_feeds_is_kept_in_parts_and_joined_once() -> None:
    limits = Limits()
    piece = b"x" * 1000
    _, reader = _read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", limits)
    for fed in range(1000):
        assert reader.next_body() is None
        reader.feed(piece)
        assert len(reader._parts) == fed + 1 and reader._parts[-1] is piece
        assert not reader._buf
    assert reader.next_body() == piece * 1000
    assert not reader._parts


def test_tiny_chunks_do_not_cost_an_object_each() -> None:
    limits = Limits(body_bytes=200_000)
    _, reader = _read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", limits)
    for _ in range(5000):
        assert reader.next_body() is None
        assert len(reader._parts) <= 1024
        reader.feed(b"2\r\nab\r\n")
    reader.feed(LAST_CHUNK)
    assert reader.next_body() == b"ab" * 5000


_TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=12).map(str.encode)
_VALUES = st.text([chr(c) for c in range(33, 127)] + [" ", "\t", "\xe9"], max_size=30).map(
    lambda text: text.encode("latin-1").strip(b" \t")
)
_RESERVED = {
    b"host",
    b"connection",
    b"upgrade",
    b"http2-settings",
    b"content-length",
    b"transfer-encoding",
    b"expect",
}
_HEADERS = st.lists(
    st.tuples(_TOKENS.filter(lambda name: name.lower() not in _RESERVED), _VALUES),
    max_size=6,
)
_TARGETS = st.text([chr(c) for c in range(33, 127) if chr(c) != "#"], max_size=30).map(lambda t: b"/" + t.encode())
_BODIES = st.one_of(st.none(), st.binary(max_size=200), st.lists(st.binary(max_size=60), max_size=6))
_METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS"])


def _framed(body: bytes | list[bytes] | None) -> tuple[list[tuple[bytes, bytes]], bytes, bytes]:
    if body is None:
        return [], b"", b""
    if isinstance(body, bytes):
        return [(b"Content-Length", b"%d" % len(body))], body, body
    return [(b"Transfer-Encoding", b"chunked")], b"".join(map(chunk, body)) + LAST_CHUNK, b"".join(body)


@given(_METHODS, _TARGETS, _HEADERS, _BODIES, CUTS)
def test_written_requests_are_read_back_and_agree_with_h11(
    method: Any, target: Any, headers: Any, body: Any, cuts: Any
) -> None:
    framing, wire, content = _framed(body)
    sent = [(b"Host", b"a"), *headers, *framing]
    data = request_head(method, target, sent) + wire
    plain = all(value.isascii() for _, value in headers)

    (read, waiting) = requests(cut_at(data, cuts), Limits())
    assert waiting == ("waiting", False)
    assert (read[0], read[1], read[5]) == (method, target, content)
    if plain:
        assert list(read[3]) == [(name.lower(), value) for name, value in sent]

    reference = h11.Connection(h11.SERVER)
    reference.receive_data(data)
    event = reference.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (method, target)
    assert list(event.headers) == list(read[3])
    got = b""
    while isinstance(event := reference.next_event(), h11.Data):
        got += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert got == content


@given(st.binary(max_size=300), CUTS)
def test_random_bytes_are_refused_or_waited_for(data: bytes, cuts: list[int]) -> None:
    assert requests([data]) == requests(cut_at(data, cuts))


_PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
        b"0\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"hello",
        b"5\r\nhello\r\n",
        b";x",
        b"X: y\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"HTTP/1.1",
        b"A" * 200,
        b"1",
        b"\x00",
        b"\xff",
        b"PRI * HTTP/2.0",
    ]
)


@given(st.lists(st.one_of(_PIECES, st.binary(max_size=4)), max_size=14).map(b"".join), CUTS)
def test_nearly_valid_bytes_have_one_outcome_however_cut(data: bytes, cuts: list[int]) -> None:
    expected = requests([data])
    assert requests(byte_by_byte(data)) == expected
    assert requests(cut_at(data, cuts)) == expected


def in_parts(pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], str]:
    """Target and body of each request, its body read as it comes; then how it ended."""
    reader = RequestReader(SMALL)
    seen: list[tuple[bytes, bytes]] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while True:
                if not reader.body_due:
                    head = reader.next_head()
                    if head is None:
                        break
                    seen.append((head.target, b""))
                target, body = seen[-1]
                seen[-1] = (target, body + reader.next_part())
                if reader.body_due:
                    break
    except ProtocolRefusal as refusal:
        return seen, refusal.code
    return seen, "body due" if reader.body_due else ""


@given(st.lists(st.one_of(_PIECES, st.binary(max_size=4)), max_size=14).map(b"".join), CUTS)
def test_a_body_read_in_parts_is_the_body_read_whole(data: bytes, cuts: list[int]) -> None:
    parts, end = in_parts(cut_at(data, cuts))
    *whole, last = requests([data])
    code = last[2] if last[0] == "refused" else ""
    if code == "body_too_large" and end != code:
        return  # an announced length is the reader's affair
    assert end == code or (code == "" and end == "body due")
    complete = [(request[1], request[5]) for request in whole]
    assert parts[: len(complete)] == complete


def test_parts_come_as_they_arrive_and_leave_what_follows() -> None:
    reader = RequestReader(SMALL)
    reader.feed(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nab")
    assert reader.next_head() is not None
    assert (reader.next_part(), reader.next_part(), reader.body_due) == (b"ab", b"", True)
    reader.feed(b"x" * 998 + b"GET")
    assert (reader.next_part(), reader.body_due, reader.next_part()) == (b"x" * 998, False, b"")
    assert reader.leftover() == b"GET"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"POST /v1/messages?key=x HTTP/1.1\r\nhost: x\r\n", b"/v1/messages"),
        (b"POST /v1/mess", b"/v1/mess"),
        (b"POST", b""),
        (b"POST  /a HTTP/1.1\r\n", b""),
        (b"GET http://x/a HTTP/1.1\r\n", b""),
        (b"", b""),
        (b"POST /a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\nGET /b HTTP/1.1\r\n", b"/a"),
        (b"GET /a HTTP/1.1\r\nhost: x\r\n\r\nGET /b HTTP/2.0\r\n", b"/b"),
        (b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n", b""),
        (b"GET /" + b"a" * 70_000, b"/" + b"a" * 8187),
    ],
)
def test_the_path_of_a_head_that_is_refused_or_not_whole(data: bytes, path: bytes) -> None:
    reader = RequestReader(Limits())
    reader.feed(data)
    with suppress(ProtocolRefusal):
        while reader.next_head() is not None:
            pass
    assert reader.begun_path == path
    reader.drop()
    assert reader.begun_path == b""
