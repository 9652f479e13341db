"""Reading raced requests with their attempts: whole, beside a writer, and from no other program's file."""

from pathlib import Path

import apsw
import msgspec
import pytest

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import draws
from appliance.store.database import open_database
from appliance.store.faults import NewerSchema, UnusableDatabase
from appliance.store.races import Races
from appliance.store.rows import insert_attempts, insert_requests
from appliance.store.schema import migrate
from appliance.store.usage import UsageFilter
from tests.evaluation.recording import recorded, records
from tests.evaluation.test_world import world


def filled(path: Path) -> apsw.Connection:
    """Sixty races, and one request without a deadline."""
    connection = open_database(path)
    migrate(connection, path.parent / "backups", 0)
    races, _ = recorded(draws(world("queueing"), 1, 60), Setting(10.0, 0.99, 0.5, 0.5))
    rows = records(races, 1_700_000_000.0)
    plain = msgspec.structs.replace(rows[0][0], request_id="req_plain", window_s=None, deadline_met=None)
    insert_requests(connection, [request for request, _ in rows] + [plain])
    insert_attempts(connection, [attempt for _, attempts in rows for attempt in attempts])
    return connection


def test_each_race_comes_with_its_attempts_in_their_order(tmp_path: Path) -> None:
    filled(tmp_path / "a.db").close()
    races, _ = recorded(draws(world("queueing"), 1, 60), Setting(10.0, 0.99, 0.5, 0.5))
    with Races(tmp_path / "a.db") as reader:
        assert reader.count(UsageFilter()) == 60
        found = list(reader.read(UsageFilter()))
    assert found == records(races, 1_700_000_000.0)
    assert any(len(attempts) == 2 for _, attempts in found)


def test_filters_and_the_newest_so_many(tmp_path: Path) -> None:
    filled(tmp_path / "a.db").close()
    with Races(tmp_path / "a.db") as reader:
        last = reader.last(UsageFilter(), 7)
        assert [request.request_id for request, _ in reader.read(last)] == [f"req_{nth:06}" for nth in range(53, 60)]
        assert reader.count(reader.last(UsageFilter(), 1000)) == 60
        assert reader.count(UsageFilter(model="other")) == 0
        assert list(reader.read(UsageFilter(organisation_id="org_2"))) == []
        assert reader.organisation("acme") is None


def test_what_is_written_meanwhile_is_not_seen_and_does_not_wait(tmp_path: Path) -> None:
    writer = filled(tmp_path / "a.db")
    with Races(tmp_path / "a.db") as reader:
        assert reader.count(UsageFilter()) == 60
        writer.execute("DELETE FROM requests")
        assert reader.count(UsageFilter()) == 60
    with Races(tmp_path / "a.db") as reader:
        assert reader.count(UsageFilter()) == 0
    writer.close()


def test_nothing_can_be_changed_and_older_newer_or_damaged_files_are_said_to_be_so(tmp_path: Path) -> None:
    connection = filled(tmp_path / "a.db")
    with Races(tmp_path / "a.db") as reader, pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DELETE FROM requests")
    latest = connection.execute("SELECT max(number) FROM migrations").get
    connection.execute("UPDATE migrations SET number = number + 1 WHERE number = ?", (latest,))
    with pytest.raises(NewerSchema):
        Races(tmp_path / "a.db")
    connection.execute("DELETE FROM migrations WHERE number >= ?", (latest,))
    with pytest.raises(UnusableDatabase, match="brings it up to date"):
        Races(tmp_path / "a.db")
    connection.close()
    (tmp_path / "b.db").write_bytes(b"no database at all, but long enough to look like a page" * 50)
    with pytest.raises(UnusableDatabase, match="damaged"):
        Races(tmp_path / "b.db")
    with pytest.raises(UnusableDatabase):
        Races(tmp_path / "none.db")
