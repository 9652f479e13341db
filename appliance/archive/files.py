"""The few file operations that the archive needs. The rule: all of its I/O passes here, so that a test disk can fail.

Names are relative to the one folder of the archive. Every method raises OSError when the disk refuses.
"""

import contextlib
import os
from pathlib import Path
from typing import Protocol


class File(Protocol):
    """A file open for appending."""

    def append(self, data: bytes) -> None:
        """Write all of `data` at the end; on an error some of it may have been written."""
        ...

    def sync(self) -> None:
        """Return when all that was appended is on the disk."""
        ...

    def truncate(self, size_bytes: int) -> None:
        """Cut the file; further appends go to the new end."""
        ...

    def close(self) -> None:
        """Give the handle back; does not sync."""
        ...


class Files(Protocol):
    """A folder of files."""

    def make(self) -> None:
        """Make the folder if it is missing (mode 0700), its own name on the disk."""
        ...

    def open(self, name: str) -> File:
        """Open for appending, made if missing (mode 0600)."""
        ...

    def read(self, name: str, offset_bytes: int, size_bytes: int) -> bytes:
        """At most `size_bytes` from an offset; fewer only at the end. Raises FileNotFoundError."""
        ...

    def size(self, name: str) -> int:
        """The file's size in bytes. Raises FileNotFoundError."""
        ...

    def list(self) -> list[str]:
        """The names in the folder, sorted; none if it is missing."""
        ...

    def rename(self, name: str, new_name: str) -> None:
        """Rename, replacing what bore the new name."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        ...

    def sync_directory(self) -> None:
        """Return when the names made, changed and removed are on the disk."""
        ...


class OsFile:
    """A `File` on the operating system's."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(self, data: bytes) -> None:
        """See File."""
        written = os.write(self._handle, data)
        while written < len(data):
            written += os.write(self._handle, memoryview(data)[written:])

    def sync(self) -> None:
        """See File."""
        os.fsync(self._handle)

    def truncate(self, size_bytes: int) -> None:
        """See File."""
        os.ftruncate(self._handle, size_bytes)

    def close(self) -> None:
        """See File."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class OsFiles:
    """`Files` on a real folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self) -> None:
        """See Files."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_directory(self._folder.parent)  # also when it was there: whoever made it may not have come so far

    def open(self, name: str) -> OsFile:
        """See Files."""
        return OsFile(self._folder / name)

    def read(self, name: str, offset_bytes: int, size_bytes: int) -> bytes:
        """See Files."""
        with (self._folder / name).open("rb") as file:
            file.seek(offset_bytes)
            return file.read(size_bytes)

    def size(self, name: str) -> int:
        """See Files."""
        return (self._folder / name).stat().st_size

    def list(self) -> list[str]:
        """See Files."""
        try:
            return sorted(entry.name for entry in self._folder.iterdir())
        except FileNotFoundError:
            return []

    def rename(self, name: str, new_name: str) -> None:
        """See Files."""
        (self._folder / name).replace(self._folder / new_name)

    def remove(self, name: str) -> None:
        """See Files."""
        with contextlib.suppress(FileNotFoundError):
            (self._folder / name).unlink()

    def sync_directory(self) -> None:
        """See Files."""
        _sync_directory(self._folder)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
