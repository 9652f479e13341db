"""A disk in memory that keeps, when the plug is pulled, only what was synced; and that can fail at any operation."""

import errno


class Crash(BaseException):
    """The plug was pulled: nothing after this happened."""


class MemoryDisk:
    """`Files` in memory. `fail_at` / `crash_at`: the number (from 0) of the operation that fails or never returns.

    Names survive a crash once their directory was synced, contents once their file was; of what was appended since,
    `after_crash(kept)` keeps at most `kept` bytes of each file.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytearray] = {}
        self.synced: dict[int, bytes] = {}
        self.names: dict[str, bytearray] = {}
        self.operations: list[str] = []
        self.fail_at: int | None = None
        self.crash_at: int | None = None
        self.failing: set[str] = set()

    def step(self, what: str) -> None:
        number = len(self.operations)
        self.operations.append(what)
        if number == self.crash_at:
            raise Crash
        if number == self.fail_at or what in self.failing:
            raise OSError(errno.ENOSPC if what == "append" else errno.EIO, what)

    def make(self) -> None:
        self.step("make")

    def open(self, name: str) -> "MemoryFile":
        self.step("open")
        return MemoryFile(self, self.contents.setdefault(name, bytearray()))

    def read(self, name: str, offset_bytes: int, size_bytes: int) -> bytes:
        if name not in self.contents:
            raise FileNotFoundError(name)
        return bytes(self.contents[name][offset_bytes : offset_bytes + size_bytes])

    def size(self, name: str) -> int:
        if name not in self.contents:
            raise FileNotFoundError(name)
        return len(self.contents[name])

    def list(self) -> list[str]:
        return sorted(self.contents)

    def rename(self, name: str, new_name: str) -> None:
        self.step("rename")
        self.contents[new_name] = self.contents.pop(name)

    def remove(self, name: str) -> None:
        self.step("remove")
        self.contents.pop(name, None)

    def sync_directory(self) -> None:
        self.step("sync_directory")
        self.names = dict(self.contents)

    def after_crash(self, kept: int = 0) -> "MemoryDisk":
        disk = MemoryDisk()
        for name, content in self.names.items():
            safe = self.synced.get(id(content), b"")
            whole = bytes(content)
            survived = whole[: len(safe) + kept] if whole.startswith(safe) else safe
            disk.contents[name] = bytearray(survived)
            disk.synced[id(disk.contents[name])] = survived
        disk.names = dict(disk.contents)
        return disk


class MemoryFile:
    def __init__(self, disk: MemoryDisk, content: bytearray) -> None:
        self.disk = disk
        self.content = content

    def append(self, data: bytes) -> None:
        try:
            self.disk.step("append")
        except OSError:
            self.content += data[: len(data) // 2]  # a full disk takes a part
            raise
        self.content += data

    def sync(self) -> None:
        self.disk.step("sync")
        self.disk.synced[id(self.content)] = bytes(self.content)

    def truncate(self, size_bytes: int) -> None:
        self.disk.step("truncate")
        del self.content[size_bytes:]

    def close(self) -> None:
        pass
