"""Frames come back whole, cut anywhere; damage is counted, a torn tail is not taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.archive.segment import (
    FRAME_BYTES,
    HEADER_BYTES,
    MAX_RECORD_BYTES,
    Header,
    Scan,
    SegmentFault,
    decode,
    decode_header,
    encode,
    encode_header,
    frame,
)
from tests.archive.records import begun, settled

PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def fed(data: bytes, sizes: list[int]) -> tuple[list[tuple[int, bytes]], Scan]:
    scan, found = Scan(0), []
    for size in [*sizes, len(data)]:
        found += scan.feed(data[:size])
        data = data[size:]
    return found + scan.finish(), scan


@given(PAYLOADS, st.lists(st.integers(0, 30)))
def test_frames_come_back_however_they_are_cut(payloads: list[bytes], sizes: list[int]) -> None:
    data = b"".join(map(frame, payloads))
    found, scan = fed(data, sizes)
    assert [payload for _, payload in found] == payloads
    assert all(data[offset + FRAME_BYTES :].startswith(payload) for offset, payload in found)
    assert (scan.good_end, scan.damaged) == (len(data), 0)


@given(PAYLOADS, st.data())
def test_a_torn_tail_loses_only_what_it_cut(payloads: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, payloads))
    cut = data.draw(st.integers(0, len(whole)))
    found, scan = fed(whole[:cut], [])
    ends = [sum(map(len, map(frame, payloads[: n + 1]))) for n in range(len(payloads))]
    complete = [end for end in ends if end <= cut]
    assert [payload for _, payload in found] == payloads[: len(complete)]
    assert (scan.good_end, scan.damaged) == (complete[-1] if complete else 0, 0)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6), st.data())
def test_a_flipped_bit_never_yields_a_false_record(payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(map(frame, payloads)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    found, _ = fed(bytes(whole), [])
    hit, end = 0, 0
    for hit, payload in enumerate(payloads):  # noqa: B007
        end += len(frame(payload))
        if bit < end * 8:
            break
    assert [payload for _, payload in found] == payloads[:hit] + payloads[hit + 1 :], "it costs the record that it hits"


def test_damage_in_the_middle_is_counted_and_passed_over() -> None:
    bad = bytearray(frame(b"second"))
    bad[-1] ^= 1
    found, scan = fed(frame(b"first") + bad + frame(b"third"), [])
    assert [payload for _, payload in found] == [b"first", b"third"]
    assert scan.damaged == 1


def test_what_follows_long_damage_is_found() -> None:
    good = [frame(b"record %d" % number) for number in range(4)]
    for rubbish in (bytes(100_000), b"\x00\x00\xff\xff" * 20_000, b"\x00\x01" * 50_000, b"x" * 3):
        found, scan = fed(good[0] + rubbish + good[1] + rubbish + good[2] + good[3], [1000] * 300)
        assert [payload for _, payload in found] == [b"record %d" % number for number in range(4)]
        assert scan.damaged == 2


def test_a_tail_of_zeros_is_torn() -> None:
    good = frame(b"record")
    found, scan = fed(good + bytes(4096), [])
    assert len(found) == 1
    assert (scan.good_end, scan.damaged) == (len(good), 0)


@pytest.mark.parametrize("size", [0, MAX_RECORD_BYTES + 1])
def test_sizes_that_no_record_has_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        frame(bytes(size))


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_headers_round_trip(number: int, created: int) -> None:
    data = encode_header(number, created)
    assert len(data) == HEADER_BYTES
    assert decode_header(data) == Header(number, created)


def test_headers_that_are_short_damaged_or_foreign_are_refused() -> None:
    data = encode_header(7, 8)
    for cut in range(HEADER_BYTES):
        with pytest.raises(SegmentFault):
            decode_header(data[:cut])
        damaged = bytearray(data)
        damaged[cut] ^= 0x40
        with pytest.raises(SegmentFault):
            decode_header(bytes(damaged))


def test_records_round_trip() -> None:
    for record in (begun(3), settled(4)):
        assert decode(encode(record)) == record
