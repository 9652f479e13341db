"""SQLite's way to the test disk: its own files underneath, and a log entry for all that changes them.

The rule: the log says what SQLite was promised, no more. A sync of a journal or WAL that was opened as new syncs its
directory too, once (as SQLite's unix VFS does); shared memory is no file of the disk, SQLite makes it anew.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from tests.disk.disk import Log, Sync, Truncate, Write

_NEW_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL


class DiskVfs(apsw.VFS):
    """A VFS named `name` while it is referred to; `parts(path)` says where on the disk a path is (None: elsewhere)."""

    def __init__(
        self, name: str, log: Log, parts: Callable[[str], tuple[str, ...] | None], fault: Callable[[], bool]
    ) -> None:
        super().__init__(name, "")
        self.name = name
        self.log = log
        self.parts = parts
        self.full = fault

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        parts = None if path is None else self.parts(path)
        there = parts is None or Path(path).exists()
        with self.log.lock:
            file = DiskFile(self, name, flags, parts)
            if parts is not None and (not there or self.log.find(parts) is None):
                self.log.make(parts)
            file.number = None if parts is None else self.log.find(parts)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        parts = self.parts(filename)
        with self.log.lock:
            super().xDelete(filename, False)
            if parts is not None:
                self.log.remove(parts)
                if syncdir:
                    self.log.add(Sync(self.log.directory(parts)))


class DiskFile(apsw.VFSFile):
    def __init__(self, vfs: DiskVfs, name: Any, flags: list[int], parts: tuple[str, ...] | None) -> None:
        new_journal = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _NEW_JOURNALS)
        super().__init__("", name, flags)
        self.number: int | None = None
        self._vfs = vfs
        self._log = vfs.log
        self._directory = vfs.log.directory(parts) if new_journal and parts is not None else None

    def xWrite(self, data: Any, offset: int) -> None:
        if self._vfs.full():
            raise apsw.FullError("the test disk is full")
        with self._log.lock:
            super().xWrite(data, offset)
            if self.number is not None:
                self._log.add(Write(self.number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        with self._log.lock:
            super().xTruncate(newsize)
            if self.number is not None:
                self._log.add(Truncate(self.number, newsize))

    def xSync(self, flags: int) -> None:
        with self._log.lock:
            if self.number is not None:
                self._log.add(Sync(self.number))
                if self._directory is not None:
                    self._log.add(Sync(self._directory))
                    self._directory = None
