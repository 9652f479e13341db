"""The chunked coding: what was chunked comes back however it is cut; limits; linear cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http1.chunked import ChunkedDecoder, too_large
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from tests.http1.drive import CUTS, byte_by_byte, cut_at

_LIMITS = Limits(body_bytes=100, chunk_line_bytes=20, trailer_bytes=30)


def _decode(pieces: list[bytes], limits: Limits = _LIMITS) -> tuple[bytes, bool, bytes]:
    """The body, whether it is done, and the bytes left over."""
    decoder = ChunkedDecoder(limits, 400)
    rest = b""
    out: list[bytes | bytearray] = []
    for piece in pieces:
        rest += piece
        if not decoder.done:
            rest = rest[decoder.decode(rest, 0, out) :]
    return b"".join(out), decoder.done, rest


@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=3),
    st.sampled_from([b"", b";a", b';a="b c"']),
    st.sampled_from([b"", b"A: b\r\n", b"a:\r\nb: \xff\r\n"]),
    st.binary(max_size=10),
    CUTS,
)
def test_round_trip_cut_anywhere(chunks: Any, extension: bytes, trailers: bytes, after: bytes, cuts: list[int]) -> None:
    data = b"".join(b"%X%b\r\n%b\r\n" % (len(c), extension, c) for c in chunks)
    data += b"000" + extension + b"\r\n" + trailers + b"\r\n"
    for pieces in ([data + after], cut_at(data + after, cuts), byte_by_byte(data + after)):
        assert _decode(pieces) == (b"".join(chunks), True, after)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"65\r\n", "body_too_large"),
        (b"1\r\na\r\n64\r\n", "body_too_large"),
        (b"00000000000000001\r\n", "bad_chunk"),
        (b"1;" + b"x" * 19 + b"\r\n", "bad_chunk"),
        (b"1;" + b"x" * 20, "bad_chunk"),
        (b"0\r\n" + b"A: b\r\n" * 6 + b"\r\n", "trailers_too_large"),
        (b"0\r\nA: " + b"b" * 40, "trailers_too_large"),
    ],
)
def test_limits_are_refused_at_once(data: bytes, code: str) -> None:
    for pieces in ([data], byte_by_byte(data)):
        with pytest.raises(ProtocolRefusal) as refused:
            _decode(pieces)
        assert refused.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n",
        b"0;" + b"x" * 18 + b"\r\n\r\n",
        b"0\r\n" + b"A: b\r\n" * 5 + b"\r\n",
        b"0\r\nA: " + b"b" * 25 + b"\r\n\r\n",
    ],
)
def test_limits_are_inclusive(data: bytes) -> None:
    for pieces in ([data], byte_by_byte(data)):
        assert _decode(pieces)[1:] == (True, b"")


def test_overhead_is_bounded_by_an_eighth_and_a_constant() -> None:
    limits = Limits(body_bytes=80_000)
    assert limits.chunk_overhead_bytes == 10_000 + 16_384
    allowed = limits.chunk_overhead_bytes // 5  # "1", two CRLFs
    assert _decode([b"1\r\na\r\n" * allowed], limits)[0] == b"a" * allowed
    with pytest.raises(ProtocolRefusal) as refused:
        _decode([b"1\r\na\r\n" * (allowed + 1)], limits)
    assert refused.value.code == "chunk_overhead"


def test_a_line_sent_byte_by_byte_is_searched_once() -> None:
    decoder = ChunkedDecoder(Limits(), 400)
    line = b"5;" + b"x" * 1000
    buf = bytearray()
    searched = 0
    for byte in line:
        buf.append(byte)
        searched += len(buf) - decoder._seen
        assert decoder.decode(buf, 0, []) == 0
    assert searched <= 2 * len(line)


def test_a_chunk_in_many_feeds_is_handed_on_without_copies() -> None:
    decoder = ChunkedDecoder(Limits(), 400)
    out: list[bytes | bytearray] = []
    decoder.decode(b"1000\r\n", 0, out)
    pieces = [b"x" * 1000, b"y" * 1000, b"z" * 1000]
    for piece in pieces:
        assert decoder.decode(piece, 0, out) == 1000
    assert all(got is sent for got, sent in zip(out, pieces, strict=True))


def test_too_large_names_the_side() -> None:
    assert too_large(_LIMITS, 400).status == 413
    assert too_large(_LIMITS, 502).status == 502
