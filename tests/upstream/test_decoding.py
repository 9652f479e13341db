"""Compressed answers: decoded piece by piece, bounded, the same wherever they are cut."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import UpstreamFault
from appliance.upstream.decoding import PIECE_BYTES, ContentDecoder, content_decoder


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
MOST = 1 << 30


def decoder(name: str, most_bytes: int = MOST) -> ContentDecoder:
    made = content_decoder(name.encode(), most_bytes)
    assert made is not None
    return made


def pieces_of(coder: ContentDecoder, data: bytes, cut: int) -> list[bytes]:
    pieces = []
    for at in range(0, len(data), cut):
        coder.feed(data[at : at + cut])
        while piece := coder.read():
            pieces.append(piece)
    coder.end()
    return pieces


@pytest.mark.parametrize("name", PACKERS)
@given(data=st.binary(max_size=3000), cut=st.integers(1, 600))
def test_any_cut_gives_the_same(name: str, data: bytes, cut: int) -> None:
    assert b"".join(pieces_of(decoder(name), PACKERS[name](data), cut)) == data


@pytest.mark.parametrize("name", PACKERS)
def test_a_few_bytes_that_stand_for_many_come_out_bit_by_bit(name: str) -> None:
    pieces = pieces_of(decoder(name), PACKERS[name](b"x" * 20_000_000), 65_536)
    assert sum(map(len, pieces)) == 20_000_000
    assert max(map(len, pieces)) <= 32 * PIECE_BYTES


@pytest.mark.parametrize("name", PACKERS)
def test_the_whole_is_bounded(name: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        pieces_of(decoder(name, 1_000_000), PACKERS[name](b"x" * 20_000_000), 65_536)
    assert caught.value.code == "provider_garbled"


@pytest.mark.parametrize("name", PACKERS)
def test_a_cut_end_shows(name: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        pieces_of(decoder(name), PACKERS[name](b"some words that are long enough")[:-2], 5)
    assert caught.value.code == "provider_cut_off"


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_what_is_not_compressed_shows(name: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        pieces_of(decoder(name), b'{"not": "compressed at all, but long enough to show it"}' * 20, 64)
    assert caught.value.code == "provider_garbled"


@pytest.mark.parametrize("name", ["deflate", "br"])
def test_bytes_after_the_end_are_no_part_of_it(name: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        pieces_of(decoder(name), PACKERS[name](b"words") + b"and more", 64)
    assert caught.value.code == "provider_garbled"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_members_are_one_body(name: str) -> None:
    pack = PACKERS[name]
    assert b"".join(pieces_of(decoder(name), pack(b"one, ") + pack(b"two"), 7)) == b"one, two"


@pytest.mark.parametrize("name", [b"", b"identity", b" Identity "])
def test_identity_needs_no_decoder(name: bytes) -> None:
    assert content_decoder(name, MOST) is None


@pytest.mark.parametrize("name", [b"compress", b"gzip, br", b"\xff"])
def test_other_codings_are_refused(name: bytes) -> None:
    with pytest.raises(UpstreamFault, match="provider_garbled"):
        content_decoder(name, MOST)
