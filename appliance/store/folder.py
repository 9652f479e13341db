"""The data folder: its lock, files and master key. The rule: one process at a time; the key is not in the database.

A master key is made only where there is no database yet: made beside an existing one it could open nothing, and would
hide that the right one is missing.
"""

import base64
import binascii
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from appliance.store.faults import BadMasterKey, FolderLocked, MissingMasterKey

MASTER_KEY_BYTES = 32


class DataFolder:
    """A data folder that this process has locked, until `close`. Made (mode 0700) if it is missing.

    Raises FolderLocked when another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        missing = [one for one in (path, *path.parents) if not one.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for one in (*missing[1:], path):  # also when it was there: whoever made it may not have come so far
            with contextlib.suppress(PermissionError):
                _sync_directory(one.parent)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            os.close(self._lock)
            if not isinstance(fault, BlockingIOError):
                raise
            raise FolderLocked(f"{path}: another process has this data folder; stop it or talk to it") from None

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "startline.db"

    @property
    def archive(self) -> Path:
        """The folder of archive segments."""
        return self.path / "archive"

    @property
    def backups(self) -> Path:
        """The folder of database copies made before migrations."""
        return self.path / "backups"

    @property
    def master_key(self) -> Path:
        """The file of the master key, unless it is supplied from elsewhere."""
        return self.path / "master.key"

    @property
    def first_keys(self) -> Path:
        """Where the first API keys are written when there is no terminal to show them on."""
        return self.path / "first-keys.txt"

    @property
    def socket(self) -> Path:
        """The Unix socket on which a running server answers the command line."""
        return self.path / "startline.sock"

    def close(self) -> None:
        """Let the folder go."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_master_key(supplied: bytes) -> bytes:
    """The 32 bytes that `supplied` holds: raw, or base64 with white space around it. Raises BadMasterKey."""
    if len(supplied) == MASTER_KEY_BYTES:
        return supplied
    try:
        key = base64.b64decode(supplied.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise BadMasterKey("a master key is 32 bytes, as they are or in base64")
    return key


def master_key(folder: DataFolder, supplied: bytes | None, random: Callable[[int], bytes]) -> bytes:
    """The master key: the supplied one, else the folder's file, else (no database yet) a new one, kept in that file.

    Raises MissingMasterKey, BadMasterKey, OSError.
    """
    if supplied is not None:
        return read_master_key(supplied)
    try:
        return read_master_key(folder.master_key.read_bytes())
    except FileNotFoundError:
        if folder.database.exists():
            raise MissingMasterKey(
                f"{folder.master_key} is missing, and {folder.database} was made with it: restore it or supply it"
            ) from None
    key = random(MASTER_KEY_BYTES)
    write_private(folder.master_key, base64.b64encode(key) + b"\n")
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, whole and synced or not at all. Raises FileExistsError."""
    partial = path.with_name(path.name + ".partial")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            written = 0
            while written < len(content):
                written += os.write(handle, content[written:])
            os.fsync(handle)
        finally:
            os.close(handle)
        os.link(partial, path)
    finally:
        partial.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
