"""The connection has the settings that the rest relies on."""

from pathlib import Path

import apsw
import pytest

from appliance.store.database import open_database


def test_settings(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db")
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("foreign_keys") == 1
    assert connection.pragma("synchronous") == 1
    with pytest.raises(apsw.SQLError, match="no such column"):
        connection.execute('SELECT "text"')
    connection.close()
    assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600


def test_read_only_does_not_write(tmp_path: Path) -> None:
    with pytest.raises(apsw.CantOpenError):
        open_database(tmp_path / "none.db", read_only=True)
    open_database(tmp_path / "x.db").close()
    reader = open_database(tmp_path / "x.db", read_only=True)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("CREATE TABLE t(a)")
    reader.close()
