"""Answers that are compressed although `identity` was asked for. The rule: decoded piece by piece, never more at once.

A few bytes may stand for gigabytes, so a piece is at most a few mebibytes, and the whole is bounded as any body is.
"""

import zlib
from typing import Protocol

import brotli
import zstandard

from appliance.domain.errors import UpstreamFault

PIECE_BYTES = 256 * 1024
STEP_BYTES = 8 * 1024
"""Taken in one step: what a step leaves is copied, and thousands of empty members leave it as many times."""

ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""The most that a decoder of HTTP content must support (RFC 9659)."""

ZSTD_STEP_BYTES = 256
"""Its output cannot be bounded by call, but four bytes never make more than one block of 128 KiB."""


class _Unpacker(Protocol):
    """One content coding. `more`: decoded bytes wait inside. `ended`: the coding's own end was seen."""

    step_bytes: int
    more: bool
    ended: bool

    def unpack(self, data: bytes) -> tuple[bytes, bytes]:
        """A bounded piece of what `data` stands for, and the part of `data` not yet taken. Raises one of _BROKEN.

        `data` is at most `step_bytes`.
        """
        ...


class _Zlib:
    step_bytes = STEP_BYTES

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._inflater = zlib.decompressobj(window_bits) if window_bits else None
        self.more = self.ended = False

    def unpack(self, data: bytes) -> tuple[bytes, bytes]:
        inflater = self._inflater
        if inflater is None:  # deflate: zlib by RFC 9110, raw in the wild; the first byte of zlib's header tells
            inflater = self._inflater = zlib.decompressobj(15 if data[0] & 0x0F == 8 else -15)
        elif inflater.eof:
            if self._window_bits != 31:
                raise zlib.error("bytes after the end")
            inflater = self._inflater = zlib.decompressobj(31)  # gzip may have several members
        piece = inflater.decompress(data, PIECE_BYTES)
        self.ended = inflater.eof
        self.more = len(piece) == PIECE_BYTES and not inflater.eof
        return piece, inflater.unused_data if inflater.eof else inflater.unconsumed_tail


class _Brotli:
    step_bytes = STEP_BYTES

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self.more = self.ended = False

    def unpack(self, data: bytes) -> tuple[bytes, bytes]:
        if self.ended:
            raise brotli.error("bytes after the end")
        held = self.more  # then it takes no input before it has given out what it holds
        piece = self._decompressor.process(b"" if held else data, output_buffer_limit=PIECE_BYTES)
        self.ended = bool(self._decompressor.is_finished())
        full = len(piece) >= PIECE_BYTES or not self._decompressor.can_accept_more_data()
        self.more = full and not self.ended
        return piece, data if held else b""


class _Zstd:
    step_bytes = ZSTD_STEP_BYTES

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        self._inflater = self._decompressor.decompressobj()
        self.more = self.ended = False

    def unpack(self, data: bytes) -> tuple[bytes, bytes]:
        if self._inflater.eof:
            self._inflater = self._decompressor.decompressobj()  # another frame follows
        piece = self._inflater.decompress(data)
        self.ended = self._inflater.eof
        return piece, self._inflater.unused_data


_BROKEN = (zlib.error, brotli.error, zstandard.ZstdError)


class ContentDecoder:
    """Decodes one body. `feed` what arrives, then `read` until it gives nothing; `end` at the body's end."""

    __slots__ = ("_at", "_left_bytes", "_pending", "_unpacker")

    def __init__(self, unpacker: _Unpacker, most_bytes: int) -> None:
        self._unpacker = unpacker
        self._left_bytes = most_bytes
        self._pending = b""
        self._at = 0  # how much of it was taken

    def feed(self, data: bytes) -> None:
        """Take coded bytes; decodes nothing."""
        self._pending = self._pending[self._at :] + data
        self._at = 0

    def read(self) -> bytes:
        """A piece of the decoded body, b"" when more is needed. Raises UpstreamFault("provider_garbled")."""
        unpacker = self._unpacker
        try:
            while True:
                step = self._pending[self._at : self._at + unpacker.step_bytes]
                if not step and not unpacker.more:
                    self._pending, self._at = b"", 0
                    return b""
                piece, rest = unpacker.unpack(step)
                self._at += len(step) - len(rest)
                if piece:
                    break
        except _BROKEN:
            raise _garbled("The answer is not validly compressed.") from None
        self._left_bytes -= len(piece)
        if self._left_bytes < 0:
            raise _garbled("The decompressed answer is too large.")
        return piece

    def end(self) -> None:
        """The coded bytes have ended. Raises UpstreamFault("provider_cut_off") if the coding has not."""
        if not self._unpacker.ended:
            raise UpstreamFault("provider_cut_off", "The compressed answer ended too soon.", phase="body")


def content_decoder(encoding: bytes, most_bytes: int) -> ContentDecoder | None:
    """The decoder for a `content-encoding`, None for identity. Raises UpstreamFault for one that we do not know."""
    match encoding.strip().lower():
        case b"" | b"identity":
            return None
        case b"gzip" | b"x-gzip":
            return ContentDecoder(_Zlib(31), most_bytes)
        case b"deflate":
            return ContentDecoder(_Zlib(0), most_bytes)
        case b"br":
            return ContentDecoder(_Brotli(), most_bytes)
        case b"zstd":
            return ContentDecoder(_Zstd(), most_bytes)
        case _:
            raise _garbled("The answer came in a content-encoding that was not asked for.")


def _garbled(detail: str) -> UpstreamFault:
    return UpstreamFault("provider_garbled", detail, phase="body")
