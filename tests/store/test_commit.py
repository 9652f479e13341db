"""Replay is idempotent at every point where the process may have died; what was open becomes interrupted."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from appliance.archive.reader import ArchiveReader
from appliance.archive.segment import encode
from appliance.archive.writer import ArchiveWriter
from appliance.domain.record import ArchiveRecord, Begun, Observed, Settled
from appliance.store.commit import NOTE_OPEN_AFTER_S, Committer, Recovery, interrupted
from appliance.store.database import open_database
from appliance.store.handover import Item
from appliance.store.schema import migrate
from tests.archive.disk import MemoryDisk
from tests.archive.records import begun, request_id, settled


def observed(number: int = 0) -> Observed:
    end = settled(number)
    return Observed(end.request.request_id, "org_a", "key_a", end.attempts[0])


def item(record: ArchiveRecord) -> Item:
    return encode(record), record


class Bench:
    """A committer that can be killed: a new one then starts from what the disk and the database kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = MemoryDisk()
        self.connection = open_database(folder / "x.db")
        migrate(self.connection, folder, 1)
        self.committer = self.start()

    def start(self) -> Committer:
        committed = self.connection.execute("SELECT segment, offset FROM archive_position").get
        archive = ArchiveWriter(self.folder, committed, files=self.disk, now_unix_us=lambda: 0)
        return Committer(self.connection, archive)

    def kill(self) -> Recovery:
        self.committer = self.start()
        return self.committer.recover()

    def batch(self, *records: ArchiveRecord, now_s: float = 0.0, commit: bool = True) -> None:
        items = [item(record) for record in records]
        self.committer.append(items, now_s)
        if commit:
            self.committer.commit(items, now_s)

    def oldest_since_s(self) -> float | None:
        return self.committer.oldest_since_s

    def rows(self) -> dict[str, int]:
        return dict(self.connection.execute("SELECT request_id, status FROM requests"))

    def count(self, table: str) -> int:
        return int(self.connection.execute(f"SELECT count(*) FROM {table}").get)

    def position(self) -> tuple[int, int]:
        return self.connection.execute("SELECT segment, offset FROM archive_position").get  # type: ignore[no-any-return]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.connection.close()


def test_a_clean_start_changes_nothing(bench: Bench) -> None:
    assert bench.kill() == Recovery(0, 0, 0)
    bench.batch(begun(1), settled(1))
    assert bench.kill() == Recovery(0, 0, 0)
    assert bench.rows() == {request_id(1): 200}


def test_a_crash_between_archive_and_commit_loses_and_doubles_nothing(bench: Bench) -> None:
    bench.batch(begun(1), settled(1))
    bench.batch(begun(2), settled(2), commit=False)
    assert bench.kill() == Recovery(2, 0, 0)
    assert bench.rows() == {request_id(1): 200, request_id(2): 200}
    assert bench.count("attempts") == 2
    assert bench.kill() == Recovery(0, 0, 0)


def test_replaying_what_the_database_has_already_leaves_it_as_it_is(bench: Bench) -> None:
    bench.batch(begun(1), begun(2), settled(2))
    assert bench.kill().replayed == 3
    assert bench.rows() == {request_id(1): 0, request_id(2): 200}
    assert bench.count("attempts") == 2


def test_what_was_open_becomes_interrupted_once(bench: Bench) -> None:
    bench.batch(begun(1))
    bench.batch(begun(2), settled(2))
    assert bench.kill().interrupted == 1
    assert bench.kill() == Recovery(0, 0, 0)
    assert bench.rows() == {request_id(1): 0, request_id(2): 200}
    row = bench.connection.execute(
        "SELECT outcome, cost_nanos, cost_state FROM attempts WHERE request_id = ?", (request_id(1),)
    ).get
    assert row == ("interrupted", 777, "estimated")
    records = [entry.record for entry in ArchiveReader(bench.folder, files=bench.disk).records()]
    assert records[-1] == interrupted(begun(1))


def test_a_crash_after_the_interruption_was_archived_settles_it_once(bench: Bench) -> None:
    bench.batch(begun(1))
    bench.committer.archive.append([encode(interrupted(begun(1)))])
    assert bench.kill() == Recovery(2, 0, 0)
    assert bench.rows() == {request_id(1): 0}


def test_a_request_open_for_long_does_not_hold_the_position_back(bench: Bench) -> None:
    bench.batch(begun(1))
    bench.batch(begun(2), settled(2), now_s=1.0)
    held = bench.position()
    assert bench.oldest_since_s() == 0.0
    bench.committer.commit((), NOTE_OPEN_AFTER_S)
    assert bench.position() > held
    assert bench.position() == bench.committer.archive.end
    assert bench.count("open_requests") == 1
    assert bench.oldest_since_s() is None
    assert bench.kill() == Recovery(0, 1, 0)
    assert bench.count("open_requests") == 0
    assert bench.rows()[request_id(1)] == 0


def test_a_noted_request_that_settles_is_no_longer_open(bench: Bench) -> None:
    bench.batch(begun(1))
    bench.committer.commit((), NOTE_OPEN_AFTER_S)
    bench.batch(settled(1), now_s=9.0)
    assert bench.count("open_requests") == 0
    assert bench.kill() == Recovery(0, 0, 0)
    assert bench.rows() == {request_id(1): 200}


def test_begun_alone_costs_no_transaction(bench: Bench) -> None:
    bench.batch(begun(1), begun(2))
    assert bench.position() == (0, 0)


def test_the_position_is_the_start_of_the_oldest_open_request(bench: Bench) -> None:
    bench.batch(begun(1), settled(1), begun(2), begun(3), settled(3))
    start = bench.position()
    records = [entry.record for entry in ArchiveReader(bench.folder, files=bench.disk).records()]
    assert next(ArchiveReader(bench.folder, files=bench.disk).payloads(start))[1] == encode(begun(2))
    assert len(records) == 5


def test_a_row_that_the_database_refuses_does_not_take_others_with_it(bench: Bench) -> None:
    bad = Settled(msgspec.structs.replace(settled(2).request, received_bytes=2**63), ())
    bench.batch(settled(1), bad, settled(3))
    assert set(bench.rows()) == {request_id(1), request_id(3)}
    assert bench.committer.unstorable == 1
    assert bench.count("attempts") == 2
    assert bench.position() == bench.committer.archive.end


def test_records_of_another_version_are_passed_over(bench: Bench) -> None:
    bench.committer.archive.append([msgspec.msgpack.encode(["unheard of", 1]), encode(settled(1))])
    assert bench.kill() == Recovery(2, 0, 1)
    assert bench.rows() == {request_id(1): 200}


def test_many_records_are_replayed(bench: Bench) -> None:
    bench.batch(*(settled(number) for number in range(1500)), commit=False)
    assert bench.kill().replayed == 1500
    assert bench.count("requests") == 1500


def test_a_failing_database_leaves_the_state_as_it_was(bench: Bench) -> None:
    bench.batch(begun(1))
    items = [item(settled(1))]
    bench.committer.append(items, 1.0)
    other = apsw.Connection(str(bench.folder / "x.db"))
    bench.connection.set_busy_timeout(0)
    with other:
        other.execute("DELETE FROM organisations")
        with pytest.raises(apsw.BusyError):
            bench.committer.commit(items, 1.0)
        assert bench.rows() == {}
    other.close()
    bench.committer.commit(items, 1.0)
    assert bench.rows() == {request_id(1): 200}
    assert bench.position() == bench.committer.archive.end


def test_an_interrupted_request_without_rungs_or_estimate_has_no_cost() -> None:
    end = interrupted(msgspec.structs.replace(begun(1), rungs=(), estimate_nanos=None))
    assert end.attempts == ()
    assert (end.request.cost_nanos, end.request.cost_state) == (None, "unknown_usage")
    assert (end.request.status, end.request.error_code) == (0, "interrupted")
    assert isinstance(begun(1), Begun)


def test_what_was_observed_later_is_in_the_archive_and_passes_a_replay(bench: Bench) -> None:
    bench.batch(begun(1), settled(1))
    bench.batch(observed(1))
    bench.batch(begun(2), settled(2), observed(2), commit=False)
    recovery = bench.kill()
    assert (recovery.undecodable, recovery.interrupted) == (0, 0)
    assert sorted(bench.rows()) == [request_id(1), request_id(2)]
    kinds = [type(entry.record) for entry in ArchiveReader(bench.folder, files=bench.disk).records()]
    assert kinds.count(Observed) == 2
