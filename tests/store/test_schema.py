"""Migrations apply once, each whole or not at all, after a copy; newer and foreign files are refused."""

from pathlib import Path

import apsw
import msgspec
import pytest

from appliance.store.database import open_database
from appliance.store.directory import load
from appliance.store.faults import NewerSchema, NotOurs
from appliance.store.rows import REQUEST_COLUMNS, request_from, request_row
from appliance.store.schema import MIGRATIONS, migrate
from tests.archive.records import settled


def names(connection: apsw.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def second(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE added(a INTEGER) STRICT")


def broken(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE half(a INTEGER) STRICT")
    raise RuntimeError("broken")


def test_a_new_database_gets_all_and_no_copy(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db")
    assert migrate(connection, tmp_path / "backups", 1) == len(MIGRATIONS)
    assert {"organisations", "api_keys", "providers", "requests", "attempts", "migrations"} <= names(connection)
    assert not (tmp_path / "backups").exists()
    assert migrate(connection, tmp_path / "backups", 2) == 0
    lax = "SELECT count(*) FROM pragma_table_list WHERE schema='main' AND name NOT LIKE 'sqlite_%' AND NOT strict"
    assert connection.execute(lax).get == 0
    connection.close()


def test_an_upgrade_copies_first(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db")
    migrate(connection, tmp_path / "backups", 1)
    connection.execute("INSERT INTO organisations VALUES('org_1', 'acme', 'default', 1, 1, '{}', NULL, NULL, 1)")
    assert migrate(connection, tmp_path / "backups", 2, (*MIGRATIONS, second)) == 1
    assert "added" in names(connection)
    (copy,) = (tmp_path / "backups").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    old = open_database(copy)
    assert "added" not in names(old)
    assert old.execute("SELECT name FROM organisations").get == "acme"
    old.close()
    connection.close()


def test_what_an_older_version_wrote_is_read(tmp_path: Path) -> None:
    """A request, an organisation and a key from before targets, presets, forecasts and cache writes for an hour."""
    connection = open_database(tmp_path / "x.db")
    migrate(connection, tmp_path / "backups", 1, MIGRATIONS[:6])
    connection.execute("INSERT INTO organisations VALUES('org_1', 'acme', '30s', 1, 1, '{}')")
    connection.execute(
        "INSERT INTO api_keys VALUES('key_1', 'p', 'inference', 'org_1', 'k', x'00', x'00', 1, NULL, NULL, NULL, NULL,"
        " NULL, 0, 'output', NULL)"
    )
    request = settled(1).request
    older = dict(zip(REQUEST_COLUMNS, request_row(request), strict=True))
    for name in ("target", "finish_s", "finish_met", "forecast", "preset", "size_class", "tokens_cache_write_1h"):
        del older[name]
    marks = ", ".join("?" * len(older))
    connection.execute(f"INSERT INTO requests({', '.join(older)}) VALUES({marks})", tuple(older.values()))
    assert migrate(connection, tmp_path / "backups", 2) == len(MIGRATIONS) - 6
    (row,) = connection.execute(f"SELECT {', '.join(REQUEST_COLUMNS)} FROM requests")
    untold = msgspec.structs.replace(request.tokens, cache_write_1h=None)
    assert request_from(row) == msgspec.structs.replace(request, tokens=untold)
    snapshot = load(connection)
    assert snapshot.organisations["org_1"].explore is True
    assert (snapshot.keys["p"].ladder, snapshot.keys["p"].start_target, snapshot.presets) == (None, None, {})
    connection.close()


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db")
    with pytest.raises(RuntimeError, match="broken"):
        migrate(connection, tmp_path / "backups", 1, (*MIGRATIONS, second, broken))
    assert "added" in names(connection)
    assert "half" not in names(connection)
    assert migrate(connection, tmp_path / "backups", 2, (*MIGRATIONS, second)) == 0
    connection.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db")
    migrate(connection, tmp_path / "backups", 1, (*MIGRATIONS, second))
    with pytest.raises(NewerSchema, match="newer version"):
        migrate(connection, tmp_path / "backups", 2)
    connection.close()


def test_other_peoples_files_are_refused(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db")
    connection.execute("CREATE TABLE theirs(a)")
    with pytest.raises(NotOurs):
        migrate(connection, tmp_path / "backups", 1)
    assert names(connection) == {"theirs"}
    connection.close()
