"""A folder whose disk is watched: everything that the program does to files in it comes into one log.

The rule: the product's own code runs unchanged. Python's calls are seen where they enter the operating system, SQLite's
through a VFS; both are then really done, but for the syncs, which only the log needs.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.disk.disk import ROOT, Fail, Log, Operation, Sync, Truncate, Write
from tests.disk.vfs import DiskVfs

_NAMES = count(1)


class Drive:
    """The watched folder. `full`: whether nothing more can be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = Log()
        self.full = False
        self.failing_syncs: frozenset[int] = frozenset()
        """Which syncs of files (not SQLite's, not of directories) fail, by number."""
        self.syncs = 0
        self.vfs = DiskVfs(f"test-disk-{next(_NAMES)}", self.log, self._parts, lambda: self.full)
        self._files: dict[int, int] = {}  # descriptors, and the numbers of their files or directories

    @property
    def operations(self) -> list[Operation]:
        """What was done so far, in order."""
        with self.log.lock:
            return list(self.log.operations)

    def _parts(self, path: Any) -> tuple[str, ...] | None:
        try:
            return Path(os.fsdecode(path)).relative_to(self.folder).parts
        except (TypeError, ValueError):
            return None

    def _open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        parts = self._parts(path)
        with self.log.lock:
            there = Path(path).exists() if parts is not None else True
            handle: int = _OPEN(path, flags, mode, **more)
            if parts is not None:
                if not there:
                    self.log.make(parts)
                number = self.log.find(parts)
                if number is not None:
                    self._files[handle] = number
                    if flags & os.O_TRUNC:
                        self.log.add(Truncate(number, 0))
        return handle

    def _write(self, handle: int, data: Any) -> int:
        number = self._files.get(handle)
        if number is None:
            return _WRITE(handle, data)
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self.log.lock:
            written = _WRITE(handle, data)
            end = os.lseek(handle, 0, os.SEEK_CUR)
            self.log.add(Write(number, end - written, bytes(memoryview(data)[:written])))
        return written

    def _fsync(self, handle: int) -> None:
        number = self._files.get(handle)
        if number is None:
            _FSYNC(handle)
            return
        if number > ROOT:
            self.syncs += 1
            if self.syncs - 1 in self.failing_syncs:
                self.log.add(Fail(number))
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.log.add(Sync(number))

    def _ftruncate(self, handle: int, size: int) -> None:
        with self.log.lock:
            _FTRUNCATE(handle, size)
            if (number := self._files.get(handle)) is not None:
                self.log.add(Truncate(number, size))

    def _close(self, handle: int) -> None:
        with self.log.lock:
            self._files.pop(handle, None)
            _CLOSE(handle)

    def _link(self, path: Any, new_path: Any, **more: Any) -> None:
        with self.log.lock:
            _LINK(path, new_path, **more)
            if (parts := self._parts(path)) and (new_parts := self._parts(new_path)):
                number = self.log.find(parts)
                assert number is not None
                self.log.link(new_parts, number)

    def _unlink(self, path: Any, **more: Any) -> None:
        with self.log.lock:
            _UNLINK(path, **more)
            if parts := self._parts(path):
                self.log.remove(parts)

    def _replace(self, path: Any, new_path: Any, **more: Any) -> None:
        with self.log.lock:
            _REPLACE(path, new_path, **more)
            if (parts := self._parts(path)) and (new_parts := self._parts(new_path)):
                assert parts[:-1] == new_parts[:-1]
                self.log.rename(parts, new_parts[-1])

    def _mkdir(self, path: Any, mode: int = 0o777, **more: Any) -> None:
        with self.log.lock:
            _MKDIR(path, mode, **more)
            if parts := self._parts(path):
                self.log.make(parts, is_directory=True)


_OPEN, _WRITE, _FSYNC, _FTRUNCATE, _CLOSE = os.open, os.write, os.fsync, os.ftruncate, os.close
_LINK, _UNLINK, _REPLACE, _MKDIR = os.link, os.unlink, os.replace, os.mkdir


@contextmanager
def watched(folder: Path) -> Iterator[Drive]:
    """Watch a folder, which must be empty, for the length of the block."""
    assert not list(folder.iterdir())
    drive = Drive(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "write", "fsync", "ftruncate", "close", "link", "unlink", "replace", "mkdir"):
            patch.setattr(os, name, getattr(drive, f"_{name}"))
        patch.setattr(os, "remove", drive._unlink)
        patch.setattr(os, "rename", drive._replace)
        yield drive
    drive.vfs.unregister()
