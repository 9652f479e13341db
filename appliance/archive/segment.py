"""How a segment looks in bytes. The rule: pure; a torn tail is told from damage, and neither stops the reader.

A segment is a header (magic, version, its number, when it was made, CRC-32) and then frames. A frame is the payload's
length and CRC-32 (4 bytes each, big-endian; the checksum starts from the length instead of 0, so that it covers that
too), then the payload: one record of `domain.record` as msgpack. A frame of length 0 does not exist, so that a tail of
zeros, which a file system may leave behind after a power cut, is never taken for records.
"""

import struct
import zlib
from typing import NamedTuple

import msgspec

from appliance.domain.record import ArchiveRecord

MAGIC = b"STRTLINE"
VERSION = 1
MAX_RECORD_BYTES = 16 * 1024 * 1024

_HEADER = struct.Struct(">8sHQQ")
_CRC = struct.Struct(">I")
_FRAME = struct.Struct(">II")
HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[ArchiveRecord] = msgspec.msgpack.Decoder(ArchiveRecord)


class SegmentFault(Exception):
    """The bytes are not a segment that this version reads."""


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
    """Read a segment's header. Raises SegmentFault when it is short, damaged, or of another version."""
    if len(data) < HEADER_BYTES:
        raise SegmentFault("the header is incomplete")
    magic, version, number, created_unix_us = _HEADER.unpack_from(data)
    if magic != MAGIC or _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        raise SegmentFault("the header is damaged")
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

    A frame with a wrong checksum is damage if a good frame follows, else it is where the torn tail begins. Behind a
    length that cannot be, nothing is looked for. After the last piece `good_end` is the offset behind the last good
    frame and `damaged` counts the bad ones before it; what lies between `good_end` and the file's end is torn.
    """

    def __init__(self, offset: int = HEADER_BYTES) -> None:
        self.good_end = offset
        self.damaged = 0
        self._suspect = 0
        self._offset = offset
        self._rest = b""
        self._lost = False

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The good frames that `data` completes: offset and payload of each."""
        if self._lost:
            return []
        rest, at, found = self._rest + data, 0, []
        while len(rest) - at >= FRAME_BYTES:
            size, crc = _FRAME.unpack_from(rest, at)
            if not 0 < size <= MAX_RECORD_BYTES:
                self._lost = True
                break
            end = at + FRAME_BYTES + size
            if end > len(rest):
                break
            payload = rest[at + FRAME_BYTES : end]
            if zlib.crc32(payload, size) == crc:
                found.append((self._offset + at, payload))
                self.damaged += self._suspect
                self._suspect = 0
                self.good_end = self._offset + end
            else:
                self._suspect += 1
            at = end
        self._rest = b"" if self._lost else rest[at:]
        self._offset += at
        return found
