"""The request line, byte for byte."""

from typing import Any

import pytest

from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request_line import is_host, split_request_line, split_target
from tests.http1.drive import SMALL, requests


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1\r\n", (b"GET", b"/", (1, 1))),
        (b"M-SEARCH * HTTP/1.0\r\n", (b"M-SEARCH", b"*", (1, 0))),
    ],
)
def test_three_parts(line: bytes, expected: Any) -> None:
    assert split_request_line(line) == expected


@pytest.mark.parametrize(
    ("version", "status"),
    [
        (b"HTTP/2.0", 505),
        (b"HTTP/0.9", 505),
        (b"HTTP/1.2", 505),
        (b"HTTP/9.9", 505),
        (b"HTTP/1", 400),
        (b"HTTP/1.", 400),
        (b"HTTP/11", 400),
        (b"HTTP/x.1", 400),
        (b"HTTP/1.1x", 400),
        (b"", 400),
        (b"http/1.1", 400),
        (b"HTTPS/1.1", 400),
        (b"HTTP/111", 400),
        (b"HTTP/.11", 400),
        (b"HTTP/11.", 400),
    ],
)
def test_other_versions(version: bytes, status: int) -> None:
    with pytest.raises(ProtocolRefusal) as refused:
        split_request_line(b"GET / " + version + b"\r\n")
    assert refused.value.status == status


def test_every_byte_in_a_target() -> None:
    for byte in range(256):
        data = b"GET /a" + bytes([byte]) + b"b?" + bytes([byte]) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        legal = 33 <= byte <= 126 and byte != 0x23
        (outcome, *_) = requests([data], SMALL)
        assert (outcome[0] == b"GET") is legal, byte
        if not legal:
            assert outcome[1] == 400


def test_every_byte_in_a_query() -> None:
    for byte in range(256):
        data = b"GET /?" + bytes([byte]) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        legal = 33 <= byte <= 126 and byte != 0x23
        assert (requests([data], SMALL)[0][0] == b"GET") is legal, byte


def test_every_byte_in_a_method() -> None:
    for byte in range(256):
        (outcome, *_) = requests([b"G" + bytes([byte]) + b"T / HTTP/1.1\r\nHost: a\r\n\r\n"], SMALL)
        assert (outcome[0] == b"GET") is (byte == 0x45), byte


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b?c", (b"/a", b"b?c", None)),
        (b"http://a", (b"/", b"", b"a")),
        (b"HTTPS://a:1/b?c", (b"/b", b"c", b"a:1")),
        (b"http://a?b/c", (b"/", b"b/c", b"a")),
    ],
)
def test_targets(target: bytes, expected: Any) -> None:
    assert split_target(b"GET", target) == expected


@pytest.mark.parametrize("target", [b"a", b"*", b"/#", b"/\xff", b"ftp://a/", b"http:/a", b"http:a", b"?a"])
def test_targets_refused(target: bytes) -> None:
    with pytest.raises(ProtocolRefusal) as refused:
        split_target(b"GET", target)
    assert refused.value.code == "bad_target"


@pytest.mark.parametrize("target", [b"http:///a", b"http://u@a/", b"http://a\\b/", b"http://"])
def test_an_absolute_target_names_a_plain_host(target: bytes) -> None:
    assert requests([b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"])[0][1:] == (400, "bad_target")


def test_hosts() -> None:
    assert all(map(is_host, [b"a", b"a.b:80", b"[::1]:80", b"127.0.0.1", b"a_b"]))
    assert not any(
        map(is_host, [b"", b"a b", b"a/b", b"u@a", b"a\\b", b"a?b", b"a#b", b'"a"', b"\xc3\xa9", b"a,b\x00"])
    )
