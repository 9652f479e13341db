"""What was synced survives a plug pulled at any operation; failures lose nothing that was not reported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.archive.reader import ArchiveReader, segment_name
from appliance.archive.segment import HEADER_BYTES, Position, frame
from appliance.archive.writer import ArchiveWriter
from tests.archive.disk import Crash, MemoryDisk

NOWHERE = Path("/nowhere")
DAY_US = 86_400_000_000


def writer(disk: MemoryDisk, committed: tuple[int, int] = (0, 0), **settings: object) -> ArchiveWriter:
    arguments: dict[str, object] = {"files": disk, "now_unix_us": lambda: 0} | settings
    return ArchiveWriter(NOWHERE, committed, **arguments)  # type: ignore[arg-type]


def payloads(disk: MemoryDisk, start: Position = Position(0, 0)) -> list[bytes]:
    return [payload for _, payload in ArchiveReader(NOWHERE, files=disk).payloads(start)]


def test_positions_are_where_records_start() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    first, second = archive.append([b"one", b"two"])
    assert first == Position(1, HEADER_BYTES)
    assert second == Position(1, HEADER_BYTES + len(frame(b"one")))
    assert archive.append([b"three"]) == [Position(1, second.offset + len(frame(b"two")))]
    assert archive.end == Position(1, HEADER_BYTES + len(frame(b"one") + frame(b"two") + frame(b"three")))
    assert payloads(disk, second) == [b"two", b"three"]


def test_rotates_by_size_and_age() -> None:
    disk, now = MemoryDisk(), [0]
    archive = writer(disk, segment_bytes=60, now_unix_us=lambda: now[0])
    archive.append([b"x" * 60])
    assert archive.append([b"y"])[0].segment == 2
    now[0] = DAY_US
    assert archive.append([b"z"])[0].segment == 3
    archive.close()
    assert disk.list() == [segment_name(1), segment_name(2), segment_name(3)]
    assert payloads(disk) == [b"x" * 60, b"y", b"z"]


def test_an_idle_segment_is_closed_by_age_and_an_empty_one_is_not() -> None:
    disk, now = MemoryDisk(), [0]
    archive = writer(disk, now_unix_us=lambda: now[0])
    archive.append([b"x"])
    now[0] = DAY_US
    archive.tend()
    assert archive.end == Position(2, HEADER_BYTES)
    now[0] = 3 * DAY_US
    archive.tend()
    assert archive.end == Position(2, HEADER_BYTES)


def test_a_segment_that_a_wrong_clock_made_in_the_future_is_closed() -> None:
    disk, now = MemoryDisk(), [365 * DAY_US]
    archive = writer(disk, now_unix_us=lambda: now[0])
    archive.append([b"x"])
    now[0] -= DAY_US // 2
    assert archive.append([b"y"])[0].segment == 1, "a clock set back by hours closes nothing"
    now[0] = DAY_US
    assert archive.append([b"z"])[0].segment == 2
    assert archive.append([b"z"])[0].segment == 2


@pytest.mark.parametrize("torn", range(1, 40))
def test_a_tail_torn_at_any_byte_is_repaired(torn: int) -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    archive.append([b"a" * 40, b"b" * 40])
    archive.close()
    del disk.contents[segment_name(1)][-torn:]
    again = writer(disk)
    assert again.append([b"c"])[0] == Position(1, HEADER_BYTES + len(frame(b"a" * 40)))
    again.close()
    assert payloads(disk) == [b"a" * 40, b"c"]
    assert ArchiveReader(NOWHERE, files=disk).verify().torn_bytes == 0


@pytest.mark.parametrize("size", range(HEADER_BYTES))
def test_a_segment_torn_in_its_header_is_begun_anew(size: int) -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    archive.append([b"a"])
    del disk.contents[segment_name(1)][size:]
    again = writer(disk)
    again.append([b"b"])
    again.close()
    assert payloads(disk) == [b"b"]


def test_damage_in_the_middle_keeps_what_follows() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    archive.append([b"aaaa", b"bbbb", b"cccc"])
    archive.close()
    disk.contents[segment_name(1)][HEADER_BYTES + len(frame(b"aaaa")) + 9] ^= 1
    again = writer(disk)
    again.append([b"dddd"])
    assert payloads(disk) == [b"aaaa", b"cccc", b"dddd"]


def test_a_disk_that_lost_what_was_committed_gets_a_new_segment() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    archive.append([b"a"])
    committed = Position(1, archive.end.offset + 100)
    again = writer(disk, committed)
    assert list(again.replay()) == []
    assert again.append([b"b"])[0] == Position(2, HEADER_BYTES)
    assert writer(MemoryDisk(), Position(5, 99)).append([b"c"])[0] == Position(6, HEADER_BYTES)


def test_a_failed_append_leaves_no_part_behind() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    archive.append([b"one"])
    disk.failing = {"append"}
    with pytest.raises(OSError, match="append"):
        archive.append([b"two"])
    disk.failing = {"append", "truncate"}
    with pytest.raises(OSError, match="append"):
        archive.append([b"two"])
    disk.failing = set()
    assert archive.append([b"three"])[0].segment == 2  # the first one could not be cut back
    assert payloads(disk) == [b"one", b"three"]


def test_after_a_failed_sync_nothing_is_written_to_that_file() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    archive.append([b"one"])
    disk.failing = {"sync"}
    with pytest.raises(OSError, match="sync"):
        archive.sync()
    disk.failing = set()
    assert archive.doubtful
    assert archive.append([b"one"])[0].segment == 2
    archive.sync()
    assert payloads(disk.after_crash()) == [b"one"]


def test_what_a_failed_sync_was_about_is_not_there_twice() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    for payload, also in ((b"one", set()), (b"two", {"truncate"})):
        archive.append([b"before " + payload])
        archive.sync()
        archive.append([payload])
        disk.failing = {"sync"} | also
        with pytest.raises(OSError, match="sync"):
            archive.sync()
        disk.failing = set()
        archive.append([payload])
    # Only where the disk refuses the cut too, it stays.
    assert payloads(disk) == [b"before one", b"one", b"before two", b"two", b"two"]


def test_a_rotation_whose_sync_fails_leaves_what_was_appended_in_doubt() -> None:
    disk, now = MemoryDisk(), [0]
    archive = writer(disk, now_unix_us=lambda: now[0])
    archive.append([b"one"])
    now[0], disk.failing = DAY_US, {"sync"}
    with pytest.raises(OSError, match="sync"):
        archive.append([b"two"])
    assert archive.doubtful and not archive.unsynced


def test_a_segment_that_cannot_be_begun_is_tried_again() -> None:
    disk = MemoryDisk()
    archive = writer(disk)
    for what in ("open", "append", "sync", "sync_directory"):
        disk.failing = {what}
        with pytest.raises(OSError, match=what):
            archive.append([b"one"])
    disk.failing = set()
    assert archive.append([b"one"])[0] == Position(1, HEADER_BYTES)
    assert payloads(disk) == [b"one"]


def tended(archive: ArchiveWriter) -> None:
    while archive.tend():
        pass


def test_only_closed_segments_below_the_committed_position_are_compressed() -> None:
    disk = MemoryDisk()
    archive = writer(disk, segment_bytes=1)
    for payload in (b"one" * 99, b"two", b"three"):
        archive.append([payload])
    tended(archive)
    assert disk.list() == [segment_name(1), segment_name(2), segment_name(3)]
    archive.committed((2, 30))
    tended(archive)
    assert disk.list() == [segment_name(1, compressed=True), segment_name(2), segment_name(3)]
    archive.committed(archive.end)
    tended(archive)
    assert payloads(disk) == [b"one" * 99, b"two", b"three"]
    assert writer(disk, archive.end, segment_bytes=1).append([b"four"])[0].segment == 4


def test_a_compression_that_fails_leaves_the_plain_segment() -> None:
    disk = MemoryDisk()
    archive = writer(disk, segment_bytes=1)
    archive.append([b"one"])
    archive.append([b"two"])
    archive.committed(archive.end)
    assert archive.tend()
    disk.failing = {"rename"}
    tended(archive)
    disk.failing = set()
    assert disk.list() == [segment_name(1), segment_name(2)]
    tended(writer(disk, archive.end))
    assert payloads(disk) == [b"one", b"two"]


def scenario(disk: MemoryDisk, synced: Callable[[int], None]) -> None:
    """Ten records, each synced, over several segments, with compression; then a restart and two more."""
    archive = writer(disk, segment_bytes=90)
    for number in range(10):
        archive.append([b"record %d " % number * 3])
        archive.sync()
        synced(number)
        archive.committed(archive.end)
        archive.tend()
    archive.close()
    archive = writer(disk, archive.end, segment_bytes=90)
    for number in (10, 11):
        archive.append([b"record %d " % number * 3])
        archive.sync()
        synced(number)
    tended(archive)
    archive.close()


def test_what_was_synced_survives_a_plug_pulled_at_any_operation() -> None:
    whole = MemoryDisk()
    scenario(whole, lambda number: None)
    assert len(whole.operations) > 60
    for at in range(len(whole.operations)):
        for kept in (0, 5, 1000):
            disk, safe = MemoryDisk(), [-1]
            disk.crash_at = at

            def note(number: int, safe: list[int] = safe) -> None:
                safe[0] = number

            with pytest.raises(Crash):
                scenario(disk, note)
            survivor = disk.after_crash(kept)
            archive = writer(survivor)
            archive.append([b"after"])
            archive.close()
            found = payloads(survivor)
            expected = [b"record %d " % number * 3 for number in range(safe[0] + 1)]
            assert found[: len(expected)] == expected, (at, kept)
            assert found[-1] == b"after"
            assert len(found) <= len(expected) + 2
            verified = ArchiveReader(NOWHERE, files=survivor).verify()
            assert not (verified.torn_bytes or verified.checksum_failures or verified.missing), (at, kept)


def test_a_failure_at_any_operation_loses_nothing_that_is_tried_again() -> None:
    whole = MemoryDisk()
    scenario(whole, lambda number: None)
    for at in range(len(whole.operations)):
        disk = MemoryDisk()
        disk.fail_at = at
        archive = None
        done = 0
        for _ in range(4):
            try:
                archive = archive or writer(disk, segment_bytes=90)
                while done < 12:
                    archive.append([b"record %d " % done * 3])
                    archive.sync()
                    done += 1
                    archive.committed(archive.end)
                    archive.tend()
            except OSError:
                continue
        assert archive is not None
        archive.close()
        found = payloads(disk.after_crash())
        assert list(dict.fromkeys(found)) == [b"record %d " % number * 3 for number in range(12)], at
