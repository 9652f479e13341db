"""A store opens only whole, with the right key, by one process; and closes whole, whatever the block did."""

import shutil
from pathlib import Path

import apsw
import pytest
import trio

from appliance.archive.reader import ArchiveReader
from appliance.store.database import open_database
from appliance.store.faults import (
    FolderLocked,
    MissingMasterKey,
    NewerSchema,
    NotOurs,
    UnusableDatabase,
    WrongMasterKey,
)
from appliance.store.folder import DataFolder
from appliance.store.usage import UsageFilter
from tests.archive.disk import MemoryDisk
from tests.archive.records import begun, request_id, settled
from tests.store.opening import opened, with_key
from tests.store.test_ledger import on
from tests.store.test_writer import until

KEY = bytes(range(32))


async def test_a_folder_is_one_process_at_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(FolderLocked):
            async with opened(tmp_path):
                pass
    async with opened(tmp_path):
        pass


async def test_wrong_and_missing_master_keys_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, supplied_master_key=KEY) as store:
        await with_key(store)
    with pytest.raises(WrongMasterKey):
        async with opened(tmp_path, supplied_master_key=bytes(32)):
            pass
    with pytest.raises(MissingMasterKey):
        async with opened(tmp_path):
            pass
    async with opened(tmp_path, supplied_master_key=KEY) as store:
        assert len(store.api_keys.list()) == 1
    assert not (tmp_path / "master.key").exists()


async def test_a_newer_schema_is_refused_and_the_folder_let_go(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.change(lambda connection: connection.execute("INSERT INTO migrations VALUES(99, '', 1)").close())
    for _ in range(2):
        with pytest.raises(NewerSchema):
            async with opened(tmp_path):
                pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.database.write_bytes(b"something else entirely" * 100)
    with pytest.raises(UnusableDatabase, match="restore a copy"):
        async with opened(tmp_path, supplied_master_key=KEY):
            pass
    DataFolder(tmp_path).close()


async def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "startline.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs(a); CREATE INDEX i ON theirs(a); INSERT INTO theirs VALUES(1)").close()
    other.close()
    before = path.read_bytes()
    with pytest.raises(NotOurs):
        async with opened(tmp_path, supplied_master_key=KEY):
            pass
    assert path.read_bytes() == before


async def test_everything_is_private(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as store:
        await with_key(store)
        store.ledger.settle(settled(1))
        await store.ledger.barrier()
        for path in (tmp_path / "data").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path


async def test_exceptions_of_the_block_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="mine"):  # noqa: PT012
        async with opened(tmp_path) as store:
            store.ledger.settle(settled(1))
            raise LookupError("mine")
    async with opened(tmp_path) as store:
        assert (await store.usage.totals(UsageFilter())).requests == 1


async def test_a_cancelled_block_writes_what_was_settled(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with opened(tmp_path, linger_s=60.0) as store:
            for number in range(300):
                store.ledger.settle(settled(number))
            scope.cancel()
            await trio.sleep_forever()
    async with opened(tmp_path) as store:
        assert (await store.usage.totals(UsageFilter())).requests == 300


async def test_a_dead_writer_cancels_the_block(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with opened(tmp_path) as store:
            await store.change(lambda connection: connection.execute("DROP TABLE attempts").close())
            store.ledger.settle(settled(1))
            await trio.sleep_forever()
    assert caught.group_contains(apsw.SQLError)
    DataFolder(tmp_path).close()


async def test_a_failed_change_changes_nothing(tmp_path: Path) -> None:
    def half(connection: apsw.Connection) -> None:
        connection.execute("DELETE FROM api_keys")
        raise ValueError("half")

    async with opened(tmp_path) as store:
        key, _ = await with_key(store)
        with pytest.raises(ValueError, match="half"):
            await store.change(half)
        assert store.directory.key(key.public_id) == key


async def test_a_copy_taken_at_any_time_starts_with_all_that_was_archived(tmp_path: Path) -> None:
    live = tmp_path / "live"
    async with opened(live, sync_every_s=1e9) as store:
        for number in range(40):
            store.ledger.begin(begun(number))
            store.ledger.settle(settled(number))
            await store.ledger.barrier()
            if number % 8 == 3:
                copy = tmp_path / f"copy{number}"
                # The database first: a crash never leaves it ahead of the archive.
                for name in ("master.key", "startline.db", "startline.db-wal"):
                    copy.mkdir(exist_ok=True)
                    shutil.copyfile(live / name, copy / name)
                shutil.copytree(live / "archive", copy / "archive")
        store.ledger.begin(begun(99))
        await store.ledger.barrier()
        shutil.copytree(live, tmp_path / "last")
    for number in range(3, 40, 8):
        async with opened(tmp_path / f"copy{number}") as store:
            assert (await store.usage.totals(UsageFilter())).requests == number + 1
            assert store.recovery.interrupted == 0
    async with opened(tmp_path / "last") as store:
        assert store.recovery.interrupted == 1
        detail = await store.usage.request(request_id(99))
        assert detail is not None
        assert [attempt.outcome for attempt in detail.attempts] == ["interrupted"]
    verified = ArchiveReader(tmp_path / "last" / "archive").verify()
    assert (verified.begun, verified.settled, verified.ok) == (41, 41, True)


async def test_an_archive_lost_whole_does_not_stop_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.ledger.settle(settled(1))
        await store.ledger.barrier()
        await until(lambda: store.ledger.counters.held_bytes == 0)
    shutil.rmtree(tmp_path / "archive")
    async with opened(tmp_path) as store:
        store.ledger.settle(settled(2))
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["00000002.segment"]
    connection = open_database(tmp_path / "startline.db", read_only=True)
    assert connection.execute("SELECT count(*) FROM requests").get == 2
    connection.close()


async def test_strict_records_survive_the_power_cut_right_after_their_barrier(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with opened(tmp_path, **on(disk), durability="strict") as store:
        for number in range(5):
            store.ledger.settle(settled(number))
            await store.ledger.barrier()
            kept = ArchiveReader(tmp_path, files=disk.after_crash()).verify()
            assert kept.records == number + 1
