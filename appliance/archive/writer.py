"""Writes the archive: append, rotate, compress, repair. The rule: what was synced is never changed or overtaken.

One thread owns an ArchiveWriter. Positions only grow: after a failed sync, or when the disk lost what the database
had already committed, writing goes on in a new segment. (After a failed fsync the page cache tells nothing about the
disk: trying again on the same file would report success for data that is gone.) What was not synced is cut off the file
that is left, so that the records, which are then written anew, are not there twice; only a disk that refuses that too
may keep them.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
import zstandard

from appliance.archive.files import File, Files, OsFiles
from appliance.archive.reader import CHUNK_BYTES, ArchiveReader, segment_name, segments_in
from appliance.archive.segment import (
    HEADER_BYTES,
    Position,
    Scan,
    SegmentFault,
    decode_header,
    encode_header,
    frame,
)

SEGMENT_BYTES = 64 * 1024 * 1024
SEGMENT_AGE_S = 86_400.0
_PARTIAL = ".partial"


def unix_us() -> int:
    """Wall-clock time in microseconds."""
    return time.time_ns() // 1000


class ArchiveWriter:
    """The append end of one folder of segments.

    `committed` is where the database stands: segments below it may be compressed, and `replay` starts there.
    Opening makes the folder if it is missing, removes half-made compressed files and cuts the torn tail of the last
    segment. Every method raises OSError when the disk refuses; the caller then tries the same records again. `doubtful`
    turns True when all that was appended since the last good sync must be appended again; the caller turns it False.
    """

    def __init__(
        self,
        folder: Path,
        committed: tuple[int, int] = (0, 0),
        *,
        files: Files | None = None,
        now_unix_us: Callable[[], int] = unix_us,
        segment_bytes: int = SEGMENT_BYTES,
        segment_age_s: float = SEGMENT_AGE_S,
    ) -> None:
        self._files: Files = OsFiles(folder) if files is None else files
        self._reader = ArchiveReader(folder, files=self._files)
        self._now_unix_us = now_unix_us
        self._segment_bytes = segment_bytes
        self._age_us = int(segment_age_s * 1e6)
        self._committed = Position(*committed)
        self._log = structlog.get_logger("archive")
        self._file: File | None = None
        self._number = self._committed.segment
        self._size = 0
        self._synced_size = 0
        self._created_unix_us = 0
        self._compression: _Compression | None = None
        self._given_up: set[int] = set()
        self._looked_below = -1
        self.unsynced = False
        self.doubtful = False
        self._files.make()
        self._open()

    @property
    def end(self) -> Position:
        """Behind the last record: where the next one starts, unless a new segment is begun."""
        return Position(self._number, self._size)

    def replay(self) -> Iterator[tuple[Position, bytes]]:
        """The payloads from the committed position on, as they were when the writer was opened."""
        return self._reader.payloads(self._committed)

    def append(self, payloads: Sequence[bytes]) -> list[Position]:
        """Write the payloads (unsynced) and say where each starts. All or none is kept."""
        if self._file is None or self._due():
            self._begin_segment()
        assert self._file is not None  # noqa: S101 - for the type checker
        starts, frames, at = [], [], self._size
        for payload in payloads:
            starts.append(Position(self._number, at))
            frames.append(framed := frame(payload))
            at += len(framed)
        try:
            self._file.append(b"".join(frames))
        except OSError:
            self._cut_back()
            raise
        self._size = at
        self.unsynced = True
        return starts

    def sync(self) -> None:
        """Return when everything appended is on the disk. On OSError what was not synced must be appended again."""
        if self._file is None or not self.unsynced:
            return
        try:
            self._file.sync()
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._synced_size)
                self._file.sync()
            self._abandon()
            raise
        self._synced_size = self._size
        self.unsynced = False

    def committed(self, position: tuple[int, int]) -> None:
        """Tell the writer that the database has every row below `position`."""
        self._committed = Position(*position)

    def tend(self) -> bool:
        """One short step of housekeeping: rotate by age, compress a piece. True: there is more to do at once."""
        if self._file is not None and self._size > HEADER_BYTES and self._aged:
            self._begin_segment()
        if self._compression is None:
            below = min(self._number, self._committed.segment)
            if below == self._looked_below:
                return False  # nothing was closed since; spare the disk the listing
            for number, name in segments_in(self._files).items():
                if number < below and not name.endswith(".zst") and number not in self._given_up:
                    self._compression = _Compression(self._files, number)
                    return True
            self._looked_below = below
            return False
        compression, number = self._compression, self._compression.number
        try:
            if compression.step():
                self._compression = None
        except (OSError, zstandard.ZstdError) as fault:
            # The plain segment stays; it is tried again at the next start.
            compression.abandon()
            self._compression = None
            self._given_up.add(number)
            self._log.warning("archive_compression_failed", segment=number, error=type(fault).__name__)
        return True

    def close(self) -> None:
        """Sync and close. Raises OSError if the last records could not be synced."""
        if self._compression is not None:
            self._compression.abandon()
            self._compression = None
        try:
            self.sync()
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _due(self) -> bool:
        if self._size <= HEADER_BYTES:
            return False
        return self._size >= self._segment_bytes or self._aged

    @property
    def _aged(self) -> bool:
        # A segment made long after now was made by a clock that was wrong: it would not age until that time has come.
        return abs(self._now_unix_us() - self._created_unix_us) >= self._age_us

    def _open(self) -> None:
        for name in self._files.list():
            if name.endswith(_PARTIAL):
                self._files.remove(name)
        names = set(self._files.list())
        for name in names:
            if name.endswith(".zst") and name.removesuffix(".zst") in names:
                self._files.remove(name.removesuffix(".zst"))  # cut off between renaming and removing
        segments = segments_in(self._files)
        if not segments:
            return
        last, name = max(segments.items())
        self._number = max(self._number, last)
        if name.endswith(".zst") or last < self._committed.segment:
            return
        size = self._files.size(name)
        if size < HEADER_BYTES:
            self._files.remove(name)  # cut off while it was begun: it holds no record
            self._number = max(self._committed.segment, last - 1)
            return
        try:
            header = decode_header(self._files.read(name, 0, HEADER_BYTES))
        except SegmentFault as fault:
            self._log.warning("archive_header_unreadable", segment=last, size_bytes=size, reason=str(fault))
            return
        scan, offset = Scan(), HEADER_BYTES
        while piece := self._files.read(name, offset, CHUNK_BYTES):
            scan.feed(piece)
            offset += len(piece)
        scan.finish()
        self._file = self._files.open(name)
        self._size, self._created_unix_us = scan.good_end, header.created_unix_us
        if scan.damaged:
            self._log.error("archive_damaged", segment=last, records=scan.damaged)
        if scan.good_end < size:
            self._log.warning("archive_tail_repaired", segment=last, torn_bytes=size - scan.good_end)
            self._file.truncate(scan.good_end)
        # Unsynced pages of the last run are still only in the page cache if no power was cut.
        self._file.sync()
        self._synced_size = self._size
        if last == self._committed.segment and scan.good_end < self._committed.offset:
            self._abandon()

    def _begin_segment(self) -> None:
        if self._file is not None:
            self.sync()
            self._abandon()
        number = self._number + 1
        now = self._now_unix_us()
        file = self._files.open(segment_name(number))
        try:
            file.truncate(0)
            file.append(encode_header(number, now))
            file.sync()
            self._files.sync_directory()
        except OSError:
            file.close()
            raise
        self._file, self._number, self._size, self._created_unix_us = file, number, HEADER_BYTES, now
        self._synced_size = HEADER_BYTES
        self.unsynced = False

    def _cut_back(self) -> None:
        """After a failed append: drop what it left, so that the next one starts on a boundary."""
        assert self._file is not None  # noqa: S101 - for the type checker
        try:
            self._file.truncate(self._size)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None
        self.doubtful = self.doubtful or self.unsynced
        self.unsynced = False


class _Compression:
    """The compression of one closed segment, in pieces; the plain file goes when the compressed one is on the disk."""

    def __init__(self, files: Files, number: int) -> None:
        self.number = number
        self._files = files
        self._source = segment_name(number)
        self._target = segment_name(number, compressed=True)
        self._offset = 0
        self._pack = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
        files.remove(self._target + _PARTIAL)
        self._file = files.open(self._target + _PARTIAL)

    def step(self) -> bool:
        """Compress one piece. True: all done."""
        piece = self._files.read(self._source, self._offset, CHUNK_BYTES)
        self._offset += len(piece)
        if piece:
            if packed := self._pack.compress(piece):
                self._file.append(packed)
            return False
        self._file.append(self._pack.flush())
        self._file.sync()
        self._file.close()
        self._files.rename(self._target + _PARTIAL, self._target)
        self._files.sync_directory()
        self._files.remove(self._source)
        return True

    def abandon(self) -> None:
        """Drop the half-made file."""
        with contextlib.suppress(OSError):
            self._file.close()
            self._files.remove(self._target + _PARTIAL)
