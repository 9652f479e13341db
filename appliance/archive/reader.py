"""Reads the archive, the one of a running server included. The rule: it changes nothing and survives what is torn."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from appliance.archive.files import Files, OsFiles
from appliance.archive.segment import (
    HEADER_BYTES,
    DamagedHeader,
    Position,
    Scan,
    SegmentFault,
    decode,
    decode_header,
)
from appliance.domain.record import ArchiveRecord, Begun, Observed

CHUNK_BYTES = 1024 * 1024
_NAME = re.compile(r"(\d{8})\.segment(\.zst)?", re.ASCII)


def segment_name(number: int, *, compressed: bool = False) -> str:
    """The file name of a segment."""
    return f"{number:08d}.segment" + (".zst" if compressed else "")


def segments_in(files: Files) -> dict[int, str]:
    """The segments there are, by number: file names, the plain one where a compressed one lies beside it."""
    found: dict[int, str] = {}
    for name in files.list():
        if parts := _NAME.fullmatch(name):
            found.setdefault(int(parts[1]), name)  # sorted: "….segment" comes before "….segment.zst"
    return dict(sorted(found.items()))


class Entry(NamedTuple):
    """One record and where it starts."""

    position: Position
    record: ArchiveRecord


class SegmentReport(msgspec.Struct, frozen=True):
    """What verifying one segment found. `fault` says why a segment could not be read at all or to its end."""

    number: int
    compressed: bool
    records: int
    begun: int
    observed: int
    size_bytes: int
    torn_bytes: int = 0
    damaged: int = 0
    undecodable: int = 0
    fault: str | None = None


class Verification(msgspec.Struct, frozen=True):
    """What verifying the archive found. `missing` are numbers of segments absent between others.

    A torn tail of the last segment is no fault: it may be in the writing, and the next start repairs it.
    """

    segments: tuple[SegmentReport, ...]
    missing: tuple[int, ...]

    @property
    def records(self) -> int:
        """Good records in all segments."""
        return sum(segment.records for segment in self.segments)

    @property
    def begun(self) -> int:
        """How many of the records are `begun`."""
        return sum(segment.begun for segment in self.segments)

    @property
    def observed(self) -> int:
        """How many of the records are `observed`."""
        return sum(segment.observed for segment in self.segments)

    @property
    def settled(self) -> int:
        """How many of the records are `settled`."""
        return self.records - self.begun - self.observed

    @property
    def torn_bytes(self) -> int:
        """Bytes behind the last good record of their segment."""
        return sum(segment.torn_bytes for segment in self.segments)

    @property
    def checksum_failures(self) -> int:
        """Frames whose checksum is wrong though good ones follow."""
        return sum(segment.damaged for segment in self.segments)

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged, missing or torn (but for the last tail)."""
        return not self.missing and all(
            segment.fault is None
            and not segment.damaged
            and not segment.undecodable
            and (not segment.torn_bytes or segment is self.segments[-1])
            for segment in self.segments
        )


class ArchiveReader:
    """Reads the segments of one folder. `files` stands in for the folder in tests."""

    def __init__(self, folder: Path, *, files: Files | None = None) -> None:
        self._files: Files = OsFiles(folder) if files is None else files

    def payloads(self, start: tuple[int, int] = (0, 0)) -> Iterator[tuple[Position, bytes]]:
        """Every good payload from `start` on, with its position. Unreadable segments are passed over."""
        start_segment, start_offset = start
        for number in segments_in(self._files):
            if number < start_segment:
                continue
            scan = Scan()
            try:
                for offset, payload in self._scan(number, scan):
                    if number > start_segment or offset >= start_offset:
                        yield Position(number, offset), payload
            except (SegmentFault, zstandard.ZstdError, FileNotFoundError):
                continue

    def records(self, start: tuple[int, int] = (0, 0)) -> Iterator[Entry]:
        """Every record from `start` on; those that this version cannot decode are passed over."""
        for position, payload in self.payloads(start):
            try:
                yield Entry(position, decode(payload))
            except (msgspec.DecodeError, RecursionError):
                continue

    def verify(self) -> Verification:
        """Check every frame of every segment."""
        numbers = list(segments_in(self._files))
        missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers)) if numbers else []
        return Verification(tuple(self._verify(number) for number in numbers), tuple(missing))

    def _verify(self, number: int) -> SegmentReport:
        scan, records, begun, observed, undecodable, fault = Scan(), 0, 0, 0, 0, None
        sizes = _Sizes()
        try:
            for _, payload in self._scan(number, scan, sizes):
                try:
                    record = decode(payload)
                    begun += isinstance(record, Begun)
                    observed += isinstance(record, Observed)
                    records += 1
                except (msgspec.DecodeError, RecursionError):
                    undecodable += 1
        except SegmentFault as problem:
            fault = str(problem)
        except (zstandard.ZstdError, FileNotFoundError) as problem:
            fault = type(problem).__name__
        torn = max(0, sizes.size_bytes - scan.good_end) if sizes.size_bytes > HEADER_BYTES or fault is None else 0
        compressed = segments_in(self._files).get(number, "").endswith(".zst")
        return SegmentReport(
            number, compressed, records, begun, observed, sizes.size_bytes, torn, scan.damaged, undecodable, fault
        )

    def _scan(self, number: int, scan: Scan, sizes: "_Sizes | None" = None) -> Iterator[tuple[int, bytes]]:
        head, damage = b"", None
        for piece in self._pieces(number):
            chunk = piece
            if sizes is not None:
                sizes.size_bytes += len(chunk)
            if len(head) < HEADER_BYTES:
                whole = head + chunk
                head, chunk = whole[:HEADER_BYTES], whole[HEADER_BYTES:]
                if len(head) < HEADER_BYTES:
                    continue
                try:
                    decode_header(head)
                except DamagedHeader as fault:
                    damage = fault  # told when all that can be read has been
            yield from scan.feed(chunk)
        if len(head) < HEADER_BYTES:
            decode_header(head)
        yield from scan.finish()
        if damage is not None:
            raise damage

    def _pieces(self, number: int) -> Iterator[bytes]:
        """The segment's bytes, decompressed. One that the server compresses meanwhile is read on from the new file."""
        done = 0
        try:
            for piece in self._plain(segment_name(number)):
                done += len(piece)
                yield piece
        except FileNotFoundError:
            decompressor = zstandard.ZstdDecompressor().decompressobj()
            for packed in self._plain(segment_name(number, compressed=True)):
                piece = decompressor.decompress(packed)
                skipped = min(done, len(piece))
                done -= skipped
                if piece := piece[skipped:]:
                    yield piece
            if not decompressor.eof:
                raise SegmentFault("the compressed file is incomplete") from None

    def _plain(self, name: str) -> Iterator[bytes]:
        offset = 0
        while piece := self._files.read(name, offset, CHUNK_BYTES):
            offset += len(piece)
            yield piece


class _Sizes:
    """Counts the uncompressed bytes that a scan saw."""

    def __init__(self) -> None:
        self.size_bytes = 0
