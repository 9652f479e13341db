"""How a segment looks in bytes. The rule: pure; a torn tail is told from damage, and neither stops the reader.

A segment is a header (magic, version, its number, when it was made, CRC-32) and then frames. A frame is the payload's
length and CRC-32 (4 bytes each, big-endian; the checksum starts from the length instead of 0, so that it covers that
too), then the payload: one record of `domain.record` as msgpack. A frame of length 0 does not exist, so that a tail of
zeros, which a file system may leave behind after a power cut, is never taken for records.
"""

import re
import struct
import zlib
from typing import NamedTuple

import msgspec

from appliance.domain.record import ArchiveRecord

MAGIC = b"STRTLINE"
VERSION = 1
MAX_RECORD_BYTES = 16 * 1024 * 1024
SOUGHT_BYTES = 64 * 1024 - 1
"""Largest record that is found again behind damage: each place where one may start costs a checksum."""

_SHORT_LENGTH = re.compile(rb"\0\0(?!\0\0)")
_HEADER = struct.Struct(">8sHQQ")
_CRC = struct.Struct(">I")
_FRAME = struct.Struct(">II")
HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[ArchiveRecord] = msgspec.msgpack.Decoder(ArchiveRecord)


class SegmentFault(Exception):
    """The bytes are not a segment that this version reads."""


class DamagedHeader(SegmentFault):
    """Only the header cannot be read: the frames behind it may be as good as ever."""


class Position(NamedTuple):
    """Where a record starts: the number of its segment and the offset in it, counted in uncompressed bytes."""

    segment: int
    offset: int


class Header(NamedTuple):
    """What a segment says of itself."""

    number: int
    created_unix_us: int


def encode(record: ArchiveRecord) -> bytes:
    """A record as a frame's payload."""
    return _ENCODER.encode(record)


def decode(payload: bytes) -> ArchiveRecord:
    """The record in a frame's payload. Raises msgspec.DecodeError (ValidationError included)."""
    return _DECODER.decode(payload)


def encode_header(number: int, created_unix_us: int) -> bytes:
    """The first HEADER_BYTES bytes of a segment."""
    head = _HEADER.pack(MAGIC, VERSION, number, created_unix_us)
    return head + _CRC.pack(zlib.crc32(head))


def decode_header(data: bytes) -> Header:
    """Read a segment's header. Raises SegmentFault when it is short or of another version, DamagedHeader."""
    if len(data) < HEADER_BYTES:
        raise SegmentFault("the header is incomplete")
    magic, version, number, created_unix_us = _HEADER.unpack_from(data)
    if magic != MAGIC or _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        raise DamagedHeader("the header is damaged")
    if version != VERSION:
        raise SegmentFault(f"format {version} is not the format {VERSION} that this version reads")
    return Header(number, created_unix_us)


def frame(payload: bytes) -> bytes:
    """A payload (1 to MAX_RECORD_BYTES bytes) as a frame. Raises ValueError outside of these sizes."""
    size = len(payload)
    if not 0 < size <= MAX_RECORD_BYTES:
        raise ValueError(f"a record has 1 to {MAX_RECORD_BYTES} bytes")
    return _FRAME.pack(size, zlib.crc32(payload, size)) + payload


class Scan:
    """Finds the frames in a segment's bytes, fed in pieces of any size; starts behind the header.

    Where a frame should start and none does (a wrong checksum, a length that cannot be or that leads nowhere), the next
    one is looked for byte by byte: what is damaged costs what it hits, not what follows. Bytes passed over are damage
    if a good frame follows, else they are the torn tail. After `finish`, `good_end` is the offset behind the last good
    frame and `damaged` counts the places before it that were passed over.
    """

    def __init__(self, offset: int = HEADER_BYTES) -> None:
        self.good_end = offset
        self.damaged = 0
        self._offset = offset  # of `_rest`
        self._rest = b""
        self._lost = False

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The good frames that `data` completes: offset and payload of each."""
        return self._frames(self._rest + data, last=False)

    def finish(self) -> list[tuple[int, bytes]]:
        """There is no more data: the good frames behind a length that promised more than there is."""
        return self._frames(self._rest, last=True)

    def _frames(self, rest: bytes, *, last: bool) -> list[tuple[int, bytes]]:
        at, found = 0, []
        while len(rest) - at >= FRAME_BYTES:
            size, crc = _FRAME.unpack_from(rest, at)
            end = at + FRAME_BYTES + size
            if 0 < size <= (SOUGHT_BYTES if self._lost else MAX_RECORD_BYTES):
                if end > len(rest):
                    if not last:
                        break
                elif zlib.crc32(payload := rest[at + FRAME_BYTES : end], size) == crc:
                    found.append((self._offset + at, payload))
                    self.damaged += self._lost
                    self._lost = False
                    self.good_end = self._offset + end
                    at = end
                    continue
            self._lost = True
            at = self._next(rest, at + 1)
        self._rest = rest[at:]
        self._offset += at
        return found

    @staticmethod
    def _next(rest: bytes, at: int) -> int:
        """The next place where a length can be that is sought for, in two bytes of its four. Else the last one."""
        found = _SHORT_LENGTH.search(rest, at)
        return found.start() if found is not None else max(at, len(rest) - 1)
