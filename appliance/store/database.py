"""Opens SQLite as this program wants it. The rule: WAL, foreign keys, strict quoting; the file is its owner's alone."""

from pathlib import Path

import apsw
import apsw.bestpractice

from appliance.store.faults import UnusableDatabase

BUSY_TIMEOUT_S = 5.0

DISK_FAULTS: tuple[type[Exception], ...] = (
    OSError,
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.NoMemError,
)
"""What may pass when the disk recovers; any other exception in the writer is a defect and ends it."""


_WHY: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.BusyError, "another process has locked it; end that one"),
    (apsw.LockedError, "another process has locked it; end that one"),
    (apsw.ReadOnlyError, "it or its folder cannot be written; look at owner, mode and mount"),
    (apsw.CantOpenError, "it or its folder cannot be written; look at owner, mode and mount"),
    (apsw.PermissionsError, "it or its folder cannot be written; look at owner, mode and mount"),
    (apsw.FullError, "the disk is full"),
    (apsw.IOError, "the disk fails; look at the system's log"),
    (apsw.NotADBError, "it is damaged or no database; restore a copy"),
    (apsw.CorruptError, "it is damaged; restore a copy"),
)


def unusable(path: Path, fault: apsw.Error) -> UnusableDatabase | None:
    """The fault as an operator can do something about it; None: it is a defect of ours."""
    for kind, why in _WHY:
        if isinstance(fault, kind):
            return UnusableDatabase(f"{path}: {why} ({type(fault).__name__})")
    return None


def look_only(path: Path, vfs: str | None) -> apsw.Connection:
    """A connection that leaves an existing database as it is, its journal mode too. Raises apsw.Error.

    Not read-only: what a power cut has left half done must be undone before anybody can look.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    connection.set_busy_timeout(int(BUSY_TIMEOUT_S * 1000))
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def open_database(path: Path, *, read_only: bool = False, vfs: str | None = None) -> apsw.Connection:
    """A connection with the recommended settings; the file is made (mode 0600) unless read-only. Raises apsw.Error.

    Commits are not synced one by one (synchronous NORMAL): the archive is what makes usage durable, and the writer
    raises it to FULL for changes of keys and providers. `vfs` names SQLite's way to the disk; None: its own.
    """
    if read_only:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
    else:
        path.touch(mode=0o600)
        connection = apsw.Connection(str(path), vfs=vfs)
    try:
        connection.set_busy_timeout(int(BUSY_TIMEOUT_S * 1000))
        for setting in (
            apsw.bestpractice.connection_wal,
            apsw.bestpractice.connection_enable_foreign_keys,
            apsw.bestpractice.connection_dqs,
            apsw.bestpractice.connection_recursive_triggers,
        ):
            setting(connection)
        connection.pragma("synchronous", 1)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    except BaseException:
        connection.close()
        raise
    return connection
