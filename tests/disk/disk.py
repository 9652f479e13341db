"""What a disk holds when the power is cut: a log of everything done to it, and what may be left after each part of it.

The rule: only what was synced is certain. A file's bytes are certain once the file was synced, a name once its
directory was; of everything else any part may be there: nothing, all, the sectors of a write in any choice, what was
done later without what was done before. A program whose plug is pulled at operation k has done the first k operations
and no more: one run with its log stands for a run for each k, and each k can be looked at in several ways.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

SECTOR_BYTES = 512
ROOT = 0
"""The number of the directory that the disk is, which is there from the start. Others are negative, files positive."""

Fate = Literal["lost", "kept", "torn", "scattered"]
FATES: tuple[Fate, ...] = ("lost", "kept", "torn", "scattered")
"""What becomes of what was not synced: nothing of it is left; all; all up to a moment, in the middle of a write; any
part of it, names as well as sectors, whatever its order."""


class Write(NamedTuple):
    number: int
    offset: int
    data: bytes


class Truncate(NamedTuple):
    number: int
    size: int


class Sync(NamedTuple):
    """Of a file's bytes, or of a directory's names."""

    number: int


class Fail(NamedTuple):
    """A failed sync: the system takes the bytes written so far for written, and nobody knows whether they are."""

    number: int


class Name(NamedTuple):
    """A name in directory `number`, for the file or directory `of`; None: the name is removed."""

    number: int
    name: str
    of: int | None


class Rename(NamedTuple):
    """Of something in directory `number`: one operation, done or not."""

    number: int
    name: str
    new_name: str


class Mark(NamedTuple):
    """Not of the disk: something that somebody outside has seen by now."""

    what: object


Operation = Write | Truncate | Sync | Fail | Name | Rename | Mark
Files = dict[int, bytearray]
Names = dict[int, dict[str, int]]


class Log:
    """The operations in the order in which they were done, and the names as the running program sees them."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.lock = threading.RLock()
        self._names: dict[tuple[int, str], int] = {}
        self._last = ROOT

    def mark(self, what: object) -> None:
        """Note that somebody outside has seen something."""
        self.add(Mark(what))

    def add(self, operation: Operation) -> None:
        with self.lock:
            self.operations.append(operation)

    def find(self, parts: tuple[str, ...]) -> int | None:
        """The number of what is at a path; None: nothing that the log knows of."""
        number = ROOT
        for part in parts:
            found = self._names.get((number, part))
            if found is None:
                return None
            number = found
        return number

    def make(self, parts: tuple[str, ...], *, is_directory: bool = False) -> None:
        """A new file or directory."""
        self._last += 1
        self.link(parts, -self._last if is_directory else self._last)

    def link(self, parts: tuple[str, ...], number: int) -> None:
        """A name for what has this number."""
        directory = self.directory(parts)
        self._names[directory, parts[-1]] = number
        self.add(Name(directory, parts[-1], number))

    def remove(self, parts: tuple[str, ...]) -> None:
        directory = self.directory(parts)
        if self._names.pop((directory, parts[-1]), None) is not None:
            self.add(Name(directory, parts[-1], None))

    def rename(self, parts: tuple[str, ...], new_name: str) -> None:
        directory = self.directory(parts)
        self._names[directory, new_name] = self._names.pop((directory, parts[-1]))
        self.add(Rename(directory, parts[-1], new_name))

    def directory(self, parts: tuple[str, ...]) -> int:
        """The number of the directory that a path is in."""
        found = self.find(parts[:-1])
        assert found is not None, f"the directory of {parts} was made behind the disk's back"
        return found


class Platter:
    """The disk after some of the operations: what is certain, and what was done since.

    `failed_kept`: whether the bytes that a failed sync was about are on it after all.
    """

    def __init__(self, *, failed_kept: bool = False) -> None:
        self._failed_kept = failed_kept
        self._files: Files = {}
        self._names: Names = {}
        self._unsynced: list[Operation] = []

    def apply(self, operation: Operation) -> None:
        """One operation more."""
        if isinstance(operation, Sync):
            for one in self._unsynced:
                if one[0] == operation.number:
                    _do(self._files, self._names, one)
            self._unsynced = [one for one in self._unsynced if one[0] != operation.number]
        elif isinstance(operation, Fail):
            unsynced, self._unsynced = self._unsynced, []
            for one in unsynced:
                if not isinstance(one, Write) or one.number != operation.number:
                    self._unsynced.append(one)
                elif self._failed_kept:
                    _do(self._files, self._names, one)
        elif not isinstance(operation, Mark):
            self._unsynced.append(operation)

    def survivor(self, fate: Fate, chance: Random) -> dict[str, bytes]:
        """The files by path, as they may be found afterwards; a path ending in "/" is a directory."""
        files = {number: bytearray(held) for number, held in self._files.items()}
        names = {number: dict(held) for number, held in self._names.items()}
        for operation in self._fated(fate, chance):
            _do(files, names, operation)
        return dict(_walk(files, names, ROOT, ""))

    def _fated(self, fate: Fate, chance: Random) -> Iterator[Operation]:
        if fate == "kept":
            yield from self._unsynced
        elif fate == "torn" and self._unsynced:
            moment = chance.randrange(len(self._unsynced))
            yield from self._unsynced[:moment]
            cut = self._unsynced[moment]
            if isinstance(cut, Write):
                yield cut._replace(data=cut.data[: chance.randrange(len(cut.data) + 1)])
        elif fate == "scattered":
            share = chance.choice((0.2, 0.5, 0.9))
            for operation in self._unsynced:
                if isinstance(operation, Write):
                    yield from (sector for sector in _sectors(operation) if chance.random() < share)
                elif chance.random() < share:
                    yield operation


def _do(files: Files, names: Names, operation: Operation) -> None:
    match operation:
        case Write(number, offset, data):
            held = files.setdefault(number, bytearray())
            held.extend(bytes(max(0, offset - len(held))))
            held[offset : offset + len(data)] = data
        case Truncate(number, size):
            held = files.setdefault(number, bytearray())
            del held[size:]
            held.extend(bytes(size - len(held)))
        case Name(number, name, None):
            names.setdefault(number, {}).pop(name, None)
        case Name(number, name, int(of)):
            names.setdefault(number, {})[name] = of
        case Rename(number, name, new_name):
            listed = names.setdefault(number, {})
            if name in listed:
                listed[new_name] = listed.pop(name)


def _sectors(write: Write) -> Iterator[Write]:
    at = 0
    while at < len(write.data):
        size = min(SECTOR_BYTES - (write.offset + at) % SECTOR_BYTES, len(write.data) - at)
        yield Write(write.number, write.offset + at, write.data[at : at + size])
        at += size


def _walk(files: Files, names: Names, number: int, path: str) -> Iterator[tuple[str, bytes]]:
    for name, of in sorted(names.get(number, {}).items()):
        if of < 0:
            yield f"{path}{name}/", b""
            yield from _walk(files, names, of, f"{path}{name}/")
        else:
            yield path + name, bytes(files.get(of, b""))


class Pull(NamedTuple):
    """The plug was pulled before operation `at`: what is on the disk, and what had been seen outside."""

    at: int
    fate: Fate
    survivor: dict[str, bytes]
    seen: list[object]


def pulls(
    operations: list[Operation],
    fates: Callable[[int], tuple[Fate, ...]] = lambda _: FATES,
    *,
    seed: int = 1,
    failed_kept: bool = False,
) -> Iterator[Pull]:
    """Every moment at which the plug can be pulled, in each way that `fates` gives for it; what is the same, once."""
    platter, seen, looked_at = Platter(failed_kept=failed_kept), list[object](), set[tuple[int, int]]()
    for at in range(len(operations) + 1):
        if at == len(operations) or not isinstance(operations[at], Mark):  # a mark changes nothing on the disk
            for fate in fates(at):
                survivor = platter.survivor(fate, Random(f"{seed} {at} {fate}"))
                same = (len(seen), hash(tuple(survivor.items())))
                if same not in looked_at:
                    looked_at.add(same)
                    yield Pull(at, fate, survivor, list(seen))
        if at < len(operations):
            operation = operations[at]
            platter.apply(operation)
            if isinstance(operation, Mark):
                seen.append(operation.what)


def lay_out(survivor: dict[str, bytes], folder: Path) -> Path:
    """Write what survived into a new folder."""
    folder.mkdir()
    for path, content in survivor.items():
        target = folder / path
        if path.endswith("/"):
            target.mkdir(mode=0o700)
        else:
            target.write_bytes(content)
            target.chmod(0o600)
    return folder
