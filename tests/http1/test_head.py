"""What is a header line, byte for byte; connection options and upgrades."""

from typing import Any

import httptools
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.http1.head import index_fields, is_field_value, is_token, read_fields, settle_connection
from appliance.http1.refusal import ProtocolRefusal

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_VALUE = frozenset({9, *range(32, 127), *range(128, 256)})

SIDES = [
    pytest.param(httptools.HttpRequestParser, b"GET / HTTP/1.1\r\n", 400, id="request"),
    pytest.param(httptools.HttpResponseParser, b"HTTP/1.1 200 OK\r\n", 502, id="response"),
]


@pytest.mark.parametrize(("parser", "line", "status"), SIDES)
def test_every_byte_in_a_name(parser: Any, line: bytes, status: int) -> None:
    for byte in range(256):
        name = b"a" + bytes([byte]) + b"b"
        head = line + name + b": v\r\n\r\n"
        assert is_token(name) is (byte in _TOKEN)
        if byte == 0x3A:  # a colon ends the name
            assert read_fields(parser, head, 9, status) == [(b"a", b"b: v")]
        elif byte in _TOKEN:
            assert read_fields(parser, head, 9, status) == [(name.lower(), b"v")]
        else:
            with pytest.raises(ProtocolRefusal) as refused:
                read_fields(parser, head, 9, status)
            assert (refused.value.status, refused.value.code) == (status, "bad_header")


@pytest.mark.parametrize(("parser", "line", "status"), SIDES)
@pytest.mark.parametrize("around", [(b"v", b"w"), (b"", b"w"), (b"v", b"")], ids=["inside", "first", "last"])
def test_every_byte_in_a_value(parser: Any, line: bytes, status: int, around: tuple[bytes, bytes]) -> None:
    for byte in range(256):
        value = around[0] + bytes([byte]) + around[1]
        head = line + b"a:" + value + b"\r\nb: c\r\n\r\n"
        assert is_field_value(value) is (byte in _VALUE)
        if byte in _VALUE:
            assert read_fields(parser, head, 9, status) == [(b"a", value.strip(b" \t")), (b"b", b"c")]
        else:
            with pytest.raises(ProtocolRefusal) as refused:
                read_fields(parser, head, 9, status)
            assert (refused.value.status, refused.value.code) == (status, "bad_header")


@given(st.binary(min_size=1, max_size=12), st.binary(max_size=12), st.binary(max_size=12))
def test_no_value_makes_a_second_header(name: bytes, value: bytes, more: bytes) -> None:
    head = b"GET / HTTP/1.1\r\n" + name + b":" + value + more + b"\r\n\r\n"
    assume(head.find(b"\r\n\r\n") == len(head) - 4)  # one head, as the buffer hands it out
    try:
        fields = read_fields(httptools.HttpRequestParser, head, 9, 400)
    except ProtocolRefusal:
        return
    assert len(fields) == head.count(b"\r\n") - 2


def test_is_token_and_is_field_value_at_their_edges() -> None:
    assert not is_token(b"")
    assert is_field_value(b"")


def test_count_is_refused_before_parsing() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"\x00\r\n" * 10 + b"\r\n"
    with pytest.raises(ProtocolRefusal) as refused:
        read_fields(httptools.HttpRequestParser, head, 9, 400)
    assert (refused.value.status, refused.value.code) == (431, "too_many_headers")


def test_index_gives_the_first_and_refuses_repeated_framing() -> None:
    assert index_fields([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], 400) == {b"a": b"1", b"b": b"2"}
    for name, code in (
        (b"host", "bad_host"),
        (b"content-length", "bad_framing"),
        (b"transfer-encoding", "bad_framing"),
    ):
        with pytest.raises(ProtocolRefusal) as refused:
            index_fields([(name, b"1"), (name, b"1")], 502)
        assert (refused.value.status, refused.value.code) == (502, code)


@pytest.mark.parametrize(
    ("values", "http_1_1", "expected"),
    [
        ([], True, True),
        ([], False, False),
        ([b"keep-alive"], True, True),
        ([b"keep-alive"], False, True),
        ([b"KEEP-ALIVE"], False, True),
        ([b"close"], True, False),
        ([b"Close"], True, False),
        ([b"close, keep-alive"], False, False),
        ([b"x ,\tclose"], True, False),
        ([b"keep-alive", b"close"], True, False),
        ([b"Keep-Alive", b"close"], False, False),
        ([b"closed"], True, True),
        ([b"x"], False, False),
        ([b""], True, True),
        ([b"upgrade, keep-alive"], False, True),
        ([b"upgrade, close"], True, False),
    ],
)
def test_keep_alive(values: list[bytes], http_1_1: bool, expected: bool) -> None:
    fields = [(b"connection", value) for value in values]
    assert settle_connection(fields, index_fields(fields, 400), http_1_1) is expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(b"upgrade", b"h2c")], []),
        ([(b"http2-settings", b"x"), (b"a", b"b")], [(b"a", b"b")]),
        ([(b"connection", b"Upgrade"), (b"upgrade", b"x"), (b"upgrade", b"y")], []),
        ([(b"connection", b"te, UPGRADE , HTTP2-Settings")], [(b"connection", b"te")]),
        ([(b"connection", b"a"), (b"connection", b"upgrade")], [(b"connection", b"a")]),
        ([(b"upgrade", b"x"), (b"a", b"1"), (b"a", b"2")], [(b"a", b"1"), (b"a", b"2")]),
        ([(b"upgrade-insecure-requests", b"1")], [(b"upgrade-insecure-requests", b"1")]),
        ([(b"connection", b"upgraded")], [(b"connection", b"upgraded")]),
    ],
)
def test_upgrades_leave_both_tables(before: Any, after: Any) -> None:
    fields = list(before)
    index = index_fields(fields, 400)
    settle_connection(fields, index, True)
    assert fields == after
    assert index == dict(reversed(after))
