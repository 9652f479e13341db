"""The writer thread: batches, changes, barriers, failing disks, and an end that leaves nothing behind."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
import trio

from appliance.archive.reader import ArchiveReader
from appliance.archive.segment import HEADER_BYTES, encode, frame
from appliance.archive.writer import ArchiveWriter
from appliance.domain.errors import ApplianceFault
from appliance.domain.record import ArchiveRecord
from appliance.store.database import open_database
from appliance.store.schema import migrate
from appliance.store.writer import StoreWriter
from tests.archive.disk import MemoryDisk
from tests.archive.records import begun, settled

Make = Callable[..., StoreWriter]


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = open_database(tmp_path / "x.db")
    migrate(connection, tmp_path, 1)
    yield connection
    connection.close()


@pytest.fixture
def make(tmp_path: Path, disk: MemoryDisk, connection: apsw.Connection) -> Make:
    def writer(**settings: object) -> StoreWriter:
        archive = ArchiveWriter(tmp_path, files=disk)
        return StoreWriter(connection, archive, **({"linger_s": 0.0} | settings))  # type: ignore[arg-type]

    return writer


def put(writer: StoreWriter, *records: ArchiveRecord) -> None:
    for record in records:
        assert writer.handover.put((encode(record), record))


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not condition():
            await trio.lowlevel.checkpoint()


def error(writer: StoreWriter) -> str | None:
    return writer.counters.error


def rows(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM requests").get)


async def test_what_is_queued_is_written_before_the_end(make: Make, connection: apsw.Connection) -> None:
    writer = make()
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        put(writer, *(settled(number) for number in range(800)))
        writer.stop()
    assert rows(connection) == 800
    assert writer.counters.held_bytes == writer.counters.queued == 0
    assert writer.counters.batches >= 4


async def test_cancelling_drains_too(make: Make, connection: apsw.Connection) -> None:
    writer = make(linger_s=60.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        put(writer, *(settled(number) for number in range(100)))
        nursery.cancel_scope.cancel()
    assert rows(connection) == 100


async def test_a_change_is_one_transaction(make: Make, connection: apsw.Connection) -> None:
    writer = make()

    def insert(connection: apsw.Connection) -> str:
        connection.execute("INSERT INTO organisations VALUES('org_1', 'acme', 'default', 1, 1, '{}', NULL, NULL, 1)")
        return "done"

    def broken(connection: apsw.Connection) -> None:
        connection.execute("DELETE FROM organisations")
        raise KeyError("broken")

    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        seen: list[str] = []
        assert await writer.write(insert, then=seen.append) == "done"
        assert seen == ["done"]
        with pytest.raises(KeyError, match="broken"):
            await writer.write(broken)
        assert seen == ["done"]
        writer.stop()
    assert connection.execute("SELECT name FROM organisations").get == "acme"


async def test_a_change_whose_caller_was_cancelled_is_still_seen(make: Make) -> None:
    writer = make()
    seen: list[int] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        with trio.CancelScope() as scope:
            scope.cancel()
            await writer.write(lambda connection: 1, then=seen.append)
        await until(lambda: seen == [1])
        writer.stop()


async def test_changes_after_the_end_are_refused(make: Make) -> None:
    writer = make()
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        await writer.write(lambda connection: 1)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        writer.stop()
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        await writer.write(lambda connection: 1)


async def test_only_so_many_changes_and_waiters_wait(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.store.writer.MOST_CHANGES", 2)
    monkeypatch.setattr("appliance.store.writer.MOST_WAITERS", 2)
    writer = make()
    begun_work, go_on = threading.Event(), threading.Event()

    def slow(_: apsw.Connection) -> None:
        begun_work.set()
        assert go_on.wait(30)

    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        nursery.start_soon(writer.write, slow)
        await until(begun_work.is_set)
        put(writer, begun())
        for _ in range(2):
            nursery.start_soon(writer.write, lambda _: None)
            nursery.start_soon(writer.barrier)
        await until(lambda: (writer.counters.changes, writer.counters.waiters) == (2, 2))
        with pytest.raises(ApplianceFault):
            await writer.write(lambda _: None)
        with pytest.raises(ApplianceFault):
            await writer.barrier()
        go_on.set()
        await until(lambda: (writer.counters.changes, writer.counters.waiters) == (0, 0))
        await writer.flush()
        assert writer.counters.open_requests == 1
        put(writer, settled())
        await writer.flush()
        assert writer.counters.open_requests == 0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("durability", ["strict", "batched"])
async def test_a_barrier_returns_when_all_before_it_is_synced(make: Make, disk: MemoryDisk, durability: str) -> None:
    writer = make(durability=durability, sync_every_s=1e9)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        await writer.barrier()
        for number in range(20):
            put(writer, begun(number), settled(number))
            await writer.barrier()
            assert len(list(ArchiveWriter(Path(), files=disk.after_crash()).replay())) >= 2 * (number + 1)
        writer.stop()


async def test_a_barrier_behind_several_batches_does_not_wait_for_the_interval(make: Make) -> None:
    writer = make(sync_every_s=1e9, batch_rows=4)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        with trio.fail_after(30):
            for _ in range(20):
                put(writer, *(settled(number) for number in range(50)))
                await writer.barrier()
        writer.stop()


async def test_flush_returns_when_the_rows_can_be_read(make: Make, connection: apsw.Connection, tmp_path: Path) -> None:
    writer = make(linger_s=60.0)
    reader = open_database(tmp_path / "x.db", read_only=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        await writer.flush()
        for number in range(1, 200):
            put(writer, settled(number))
            if number % 7 == 0:
                await writer.flush()
                assert rows(reader) == number
        writer.stop()
    reader.close()


async def test_flush_is_told_when_the_disk_fails(make: Make, disk: MemoryDisk) -> None:
    writer = make()
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        disk.failing = {"open"}
        put(writer, settled(1))
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.flush()
        disk.failing = set()
        writer.stop()


async def test_without_a_barrier_the_archive_is_synced_after_a_while(make: Make, disk: MemoryDisk) -> None:
    writer = make(sync_every_s=0.01)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        put(writer, settled(1))
        await until(lambda: len(list(ArchiveWriter(Path(), files=disk.after_crash()).replay())) == 1)
        writer.stop()


async def test_a_failing_archive_is_tried_again_and_nothing_is_lost(
    make: Make, disk: MemoryDisk, connection: apsw.Connection
) -> None:
    writer = make()
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        disk.failing = {"open", "append"}
        put(writer, settled(1), settled(2))
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.barrier()
        await until(lambda: writer.counters.failing)
        assert error(writer) == "OSError"
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.barrier()
        await writer.write(lambda connection: 1)  # the database works
        disk.failing = set()
        await until(lambda: not writer.failing)
        assert error(writer) is None
        await writer.barrier()
        writer.stop()
    assert rows(connection) == 2


async def test_a_failed_sync_is_told_and_the_records_are_written_anew(
    make: Make, disk: MemoryDisk, connection: apsw.Connection
) -> None:
    writer = make(durability="strict")
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        put(writer, settled(1))
        await writer.barrier()
        disk.failing = {"sync"}
        put(writer, settled(2))
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.barrier()
        disk.failing = set()
        await until(lambda: not writer.failing)
        await writer.barrier()
        kept = [payload for _, payload in ArchiveWriter(Path(), files=disk.after_crash()).replay()]
        # Record 2 may be there twice: in the file whose sync failed, if that got to the disk after all, and anew.
        assert set(kept) == {encode(settled(1)), encode(settled(2))}
        assert kept[-1] == encode(settled(2))
        writer.stop()
    assert rows(connection) == 2


async def test_what_a_rotation_has_synced_is_not_written_again(
    tmp_path: Path, disk: MemoryDisk, connection: apsw.Connection
) -> None:
    size = HEADER_BYTES + len(frame(encode(settled(1))))  # a segment is full with one record
    archive = ArchiveWriter(tmp_path, files=disk, segment_bytes=size)
    writer = StoreWriter(connection, archive, linger_s=0.0, sync_every_s=1e9)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        for number in (1, 2):  # the second one begins another segment
            put(writer, settled(number))
            await writer.flush()
        disk.failing = {"sync"}
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.barrier()
        disk.failing = set()
        await until(lambda: not writer.failing)
        await writer.barrier()
        writer.stop()
    kept = [payload for _, payload in ArchiveReader(tmp_path, files=disk).payloads()]
    assert kept == [encode(settled(number)) for number in (1, 2)]


async def test_what_a_failed_sync_left_in_doubt_is_written_at_the_end(
    make: Make, disk: MemoryDisk, tmp_path: Path
) -> None:
    writer = make(sync_every_s=1e9)
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        put(writer, settled(1))
        await writer.flush()
        disk.failing = {"sync"}
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.barrier()
        disk.failing = set()
        writer.stop()
    kept = [payload for _, payload in ArchiveReader(tmp_path, files=disk.after_crash()).payloads()]
    assert kept == [encode(settled(1))]


async def test_a_failing_database_is_tried_again_without_archiving_twice(
    make: Make, disk: MemoryDisk, connection: apsw.Connection, tmp_path: Path
) -> None:
    connection.set_busy_timeout(0)
    other = apsw.Connection(str(tmp_path / "x.db"))
    writer = make()
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        other.execute("BEGIN IMMEDIATE")
        put(writer, settled(1))
        await until(lambda: writer.counters.failing)
        assert error(writer) == "BusyError"
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await writer.write(lambda connection: connection.execute("DELETE FROM requests"))
        other.execute("ROLLBACK")
        await until(lambda: not writer.failing)
        writer.stop()
    other.close()
    assert rows(connection) == 1
    assert len(list(ArchiveWriter(Path(), files=disk).replay())) == 1


async def test_the_end_does_not_wait_for_a_dead_disk(make: Make, disk: MemoryDisk) -> None:
    writer = make()
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        disk.failing = {"open", "append", "sync"}
        put(writer, settled(1))
        await until(lambda: writer.failing)
        writer.stop()
    assert writer.ended
    assert writer.counters.held_bytes > 0


async def test_a_defect_ends_the_writer_in_its_nursery(make: Make, connection: apsw.Connection) -> None:
    writer = make()
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            await nursery.start(writer.run)
            await writer.write(lambda connection: connection.execute("DROP TABLE attempts"))
            put(writer, settled(1))
            await writer.write(lambda connection: None)
            await trio.sleep_forever()
    assert caught.group_contains(apsw.SQLError)
    assert writer.ended
    put(writer, settled(2))
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        await writer.barrier()
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        await writer.write(lambda connection: 1)
