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
from tests.archive.records import begun, detached, observed, request_id, settled


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


def loser(bench: Bench, number: int = 1) -> tuple[object, ...]:
    """What the database says of the attempt that was left running, and of what its request cost."""
    found = bench.connection.execute(
        "SELECT outcome, attempts.to_start_s, end_s, attempts.cost_nanos, requests.cost_nanos, requests.cost_state "
        "FROM attempts JOIN requests USING (request_id) WHERE request_id = ? AND ordinal = 1",
        (request_id(number),),
    ).get
    return tuple(found)


SETTLED = ("detached", None, 5.5, 500, 1500, "estimated")
OBSERVED = ("detached", 9.0, 9.0, 730, 1730, "estimated")


def test_what_was_observed_replaces_its_row_and_its_cost_is_added_once(bench: Bench) -> None:
    bench.batch(begun(1), detached(1))
    assert loser(bench) == SETTLED
    bench.batch(observed(1), begun(2))
    assert loser(bench) == OBSERVED
    bench.batch(observed(1), settled(2))
    assert loser(bench) == OBSERVED
    assert bench.kill() == Recovery(0, 0, 0)
    assert loser(bench) == OBSERVED and bench.count("attempts") == 3


RUN = [
    (begun(1),),
    (begun(2), detached(1)),
    (settled(2), observed(1)),
    (begun(3), detached(3), observed(3)),
    (begun(4),),
]


@pytest.mark.parametrize("killed_in", range(len(RUN)))
@pytest.mark.parametrize("committed", [True, False])
def test_a_kill_at_any_batch_loses_and_doubles_nothing_observed(bench: Bench, killed_in: int, committed: bool) -> None:
    for number, batch in enumerate(RUN[: killed_in + 1]):
        bench.batch(*batch, commit=number < killed_in or committed)
    for _ in range(3):
        assert bench.kill().undecodable == 0
        if killed_in >= 1:
            assert loser(bench) == (OBSERVED if killed_in >= 2 else SETTLED)
        if killed_in >= 3:
            assert loser(bench, 3) == OBSERVED
    kinds = [type(entry.record) for entry in ArchiveReader(bench.folder, files=bench.disk).records()]
    assert kinds.count(Observed) == (0, 0, 1, 2, 2)[killed_in]


def test_a_replay_from_an_older_segment_adds_nothing_twice(bench: Bench) -> None:
    bench.batch(begun(1), begun(2), detached(2))
    bench.batch(observed(2))
    assert loser(bench, 2) == OBSERVED
    bench.batch(settled(3), commit=False)
    assert bench.kill().replayed == 5
    assert loser(bench, 2) == OBSERVED


def test_many_observed_are_replayed_after_the_rows_that_they_replace(bench: Bench) -> None:
    records = [record for number in range(700) for record in (detached(number), observed(number))]
    bench.batch(*records, commit=False)
    assert bench.kill().replayed == 1400
    assert int(bench.connection.execute("SELECT sum(cost_nanos) FROM requests").get) == 700 * 1730


def test_what_the_provider_refused_later_says_so(bench: Bench) -> None:
    late = observed(1, outcome="refused", to_start_s=None, cost_nanos=0, cost_state="not_charged", cancel_cause=None)
    bench.batch(detached(1), late)
    assert loser(bench) == ("refused", None, 9.0, 0, 1000, "known")
    bench.batch(late)
    assert loser(bench) == ("refused", None, 9.0, 0, 1000, "known")


def test_a_cost_that_is_not_known_stays_so_and_the_rest_is_still_summed(bench: Bench) -> None:
    bench.batch(detached(1), observed(1, cost_nanos=None, cost_state="unknown_usage"))
    assert loser(bench)[3:] == (None, 1000, "unknown_usage")


def test_what_was_observed_touches_no_row_that_was_not_left_running(bench: Bench) -> None:
    bench.batch(begun(1), begun(2), settled(2))
    bench.batch(observed(1), observed(2), observed(3))
    bench.kill()
    assert loser(bench, 1)[0] == "interrupted" and loser(bench, 2) == ("won", 1.25, 5.5, 1000, 1000, "known")
    assert bench.count("requests") == 2 and bench.count("attempts") == 2


def test_an_observed_value_that_the_database_refuses_takes_no_others_with_it(bench: Bench) -> None:
    bench.batch(detached(1), detached(2), observed(1, received_bytes=2**63), observed(2))
    assert (loser(bench, 1), loser(bench, 2)) == (SETTLED, OBSERVED)
    assert bench.committer.unstorable == 1
