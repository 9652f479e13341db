"""The reader sees every good record of a live archive, compressed or not, and verify names what is wrong."""

from pathlib import Path

from appliance.archive.reader import ArchiveReader, Entry, segment_name
from appliance.archive.segment import HEADER_BYTES, Position, encode
from appliance.archive.writer import ArchiveWriter
from appliance.domain.record import ArchiveRecord
from tests.archive.records import begun, settled

RECORDS: list[ArchiveRecord] = [begun(1), settled(1), begun(2), settled(2), begun(3)]


def written(folder: Path, segment_bytes: int = 1) -> ArchiveWriter:
    archive = ArchiveWriter(folder, segment_bytes=segment_bytes, now_unix_us=lambda: 0)
    for record in RECORDS:
        archive.append([encode(record)])
    return archive


def test_records_come_in_order_with_their_positions(tmp_path: Path) -> None:
    archive = written(tmp_path, segment_bytes=1000)
    entries = list(ArchiveReader(tmp_path).records())
    assert [entry.record for entry in entries] == RECORDS
    assert entries[0] == Entry(Position(1, HEADER_BYTES), RECORDS[0])
    assert [entry.record for entry in ArchiveReader(tmp_path).records(entries[2].position)] == RECORDS[2:]
    archive.close()


def test_a_segment_that_is_compressed_while_it_is_read_is_read_on(tmp_path: Path) -> None:
    archive = written(tmp_path)
    archive.committed(archive.end)
    reading = ArchiveReader(tmp_path).records()
    first = next(reading)
    while archive.tend():
        pass
    assert [first.record, *(entry.record for entry in reading)] == RECORDS
    assert segment_name(2, compressed=True) in {path.name for path in tmp_path.iterdir()}
    archive.close()


def test_verify_counts(tmp_path: Path) -> None:
    archive = written(tmp_path)
    archive.committed(archive.end)
    while archive.tend():
        pass
    archive.close()
    found = ArchiveReader(tmp_path).verify()
    assert (found.records, found.begun, found.settled) == (5, 3, 2)
    assert [segment.compressed for segment in found.segments] == [True, True, True, True, False]
    assert found.ok
    assert ArchiveReader(tmp_path / "none").verify().ok


def test_verify_names_damage_gaps_and_tears(tmp_path: Path) -> None:
    written(tmp_path, segment_bytes=1000).close()
    path = tmp_path / segment_name(1)
    whole = path.read_bytes()
    second = HEADER_BYTES + 8 + len(encode(RECORDS[0])) + 8

    path.write_bytes(whole[: second + 3] + bytes([whole[second + 3] ^ 1]) + whole[second + 4 :])
    assert ArchiveReader(tmp_path).verify().checksum_failures == 1
    assert not ArchiveReader(tmp_path).verify().ok

    path.write_bytes(whole[:-5])
    found = ArchiveReader(tmp_path).verify()
    assert found.torn_bytes > 0
    assert not found.ok
    path.rename(tmp_path / segment_name(9))
    assert ArchiveReader(tmp_path).verify().torn_bytes > 0
    assert ArchiveReader(tmp_path).verify().missing == tuple(range(3, 9))

    (tmp_path / segment_name(9)).write_bytes(b"not a segment at all, by any means")
    found = ArchiveReader(tmp_path).verify()
    assert found.segments[-1].fault == "the header is damaged"
    assert not found.ok


def test_a_compressed_segment_cut_short_is_a_fault(tmp_path: Path) -> None:
    archive = written(tmp_path)
    archive.committed(archive.end)
    while archive.tend():
        pass
    archive.close()
    path = tmp_path / segment_name(2, compressed=True)
    path.write_bytes(path.read_bytes()[:-6])
    found = ArchiveReader(tmp_path).verify()
    assert found.segments[1].fault is not None
    assert not found.ok
    assert len(list(ArchiveReader(tmp_path).records())) >= 4


def test_what_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path)
    archive.append([b"\xc1", encode(RECORDS[0])])
    archive.close()
    found = ArchiveReader(tmp_path).verify()
    assert (found.records, found.segments[0].undecodable, found.ok) == (1, 1, False)
    assert len(list(ArchiveReader(tmp_path).records())) == 1
