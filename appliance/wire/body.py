"""Request bodies: decompressed within a bound, opened one level deep, and written again with our keys set.

The rule: only the top level is read; every value keeps the bytes that the caller sent. Duplicate keys vanish (the last
one counts), so what we route by is what the provider reads.
"""

import zlib
from collections.abc import Callable, KeysView, Mapping
from typing import Any, Self, TypeVar

import brotli
import msgspec
import zstandard

from appliance.domain.errors import CallerFault

ROUTING_KEYS = frozenset(
    {
        "model", "stream", "start_within", "service_tier", "stream_options", "provider", "retry", "include_cost",
        "ladder", "start_target", "finish_within", "preset",
    }
)  # fmt: skip
"""Keys that decide what a request costs; one that differs from them only in case is refused."""

_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024  # RFC 9659: the most that a decoder of HTTP content must support
_ZSTD_STEP_BYTES = 256  # its output cannot be bounded by call, but 4 bytes never make more than 128 KiB
_STEP_BYTES = 64 * 1024
_INFLATE_STEP_BYTES = 16 * 1024  # what follows a member is copied with its end: so never more than this
_MOST_MEMBERS = 1024  # each costs a decoder; block-wise gzip (64 KiB a member) needs 512 for 32 MiB

T = TypeVar("T")

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder()
_STR = msgspec.json.Decoder(str)
_BOOL = msgspec.json.Decoder(bool)
_INT = msgspec.json.Decoder(int)
_ENCODER = msgspec.json.Encoder()


def decompress(encoding: bytes, body: bytes, limit: int) -> bytes:
    """`body` without its content-encoding (gzip, deflate, br, zstd, identity), at most `limit` bytes.

    Raises CallerFault: request_too_large, unsupported_encoding (also for more than one), bad_request (not valid).
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        plain = body
    elif name in (b"gzip", b"x-gzip"):
        plain = _inflate(body, limit, 31, "gzip")
    elif name == b"deflate":  # zlib by RFC 9110, raw in the wild: the first two bytes tell
        wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        plain = _inflate(body, limit, 15 if wrapped else -15, "deflate")
    elif name == b"br":
        plain = _unbrotli(body, limit)
    elif name == b"zstd":
        plain = _unzstd(body, limit)
    else:
        raise CallerFault("unsupported_encoding")
    if len(plain) > limit:
        raise CallerFault("request_too_large")
    return plain


def _invalid(name: str) -> CallerFault:
    return CallerFault("bad_request", f"The body is not valid {name}, or it was cut short.")


def _inflate(body: bytes, limit: int, wbits: int, name: str) -> bytes:
    try:
        return _members(
            body,
            _INFLATE_STEP_BYTES,
            limit,
            lambda: zlib.decompressobj(wbits),
            lambda member, feed, room: member.decompress(feed, room + 1),
            name,
            most=_MOST_MEMBERS if wbits == 31 else 1,
        )
    except zlib.error:
        raise _invalid(name) from None


def _unzstd(body: bytes, limit: int) -> bytes:
    try:
        return _members(
            body,
            _ZSTD_STEP_BYTES,
            limit,
            lambda: zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj(),
            lambda frame, feed, _: frame.decompress(feed),
            "zstd",
            most=_MOST_MEMBERS,
        )
    except zstandard.ZstdError:
        raise _invalid("zstd") from None


def _members(
    body: bytes,
    step: int,
    limit: int,
    start: Callable[[], Any],
    decompress_some: Callable[[Any, bytes, int], bytes],
    name: str,
    most: int,
) -> bytes:
    """All members (gzip) or frames (zstd) of `body`, one after the other, in pieces of `step` bytes.

    Linear in the body, however many members it has: each end costs a copy of what follows it within its piece.
    """
    parts: list[bytes] = []
    size = 0
    count = 1
    member = start()
    for begin in range(0, len(body), step):
        feed = body[begin : begin + step]
        while feed:
            if member.eof:  # another one follows
                if count == most:
                    raise _invalid(name)
                count += 1
                member = start()
            part = decompress_some(member, feed, limit - size)
            feed = member.unused_data
            if part:
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise CallerFault("request_too_large")
    if not member.eof:
        raise _invalid(name)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unbrotli(body: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    feed = body
    try:
        while not decompressor.is_finished():
            part = decompressor.process(feed, output_buffer_limit=_STEP_BYTES)
            feed = b""
            if not part and decompressor.can_accept_more_data():
                raise _invalid("brotli")
            parts.append(part)
            size += len(part)
            if size > limit:
                raise CallerFault("request_too_large")
    except brotli.error:
        raise _invalid("brotli") from None
    return b"".join(parts)


class RequestBody:
    """A JSON object opened one level deep. Never changed: `encode` writes a new one."""

    __slots__ = ("_fields", "size_bytes")

    def __init__(self, fields: dict[str, msgspec.Raw], size_bytes: int) -> None:
        self._fields = fields
        self.size_bytes = size_bytes

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Open `body`. Raises CallerFault bad_json (not UTF-8, not JSON, not an object, too deep) or bad_request.

        Depth is bounded by the interpreter's own guard (about 900 levels), here and in every later look inside.
        """
        if not body.isascii():
            try:
                str(body, "utf-8")  # msgspec does not look inside the strings that it skips
            except UnicodeDecodeError as error:
                raise not_json(error, body) from None
        try:
            fields = _FIELDS.decode(body)
        except msgspec.ValidationError:
            raise CallerFault("bad_json", "The body must be a JSON object.") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json(error, body) from None
        for key in fields:
            # Folded as readers that ignore case fold: for them a long s is an s, and the Kelvin sign a k.
            if key not in ROUTING_KEYS and key.casefold() in ROUTING_KEYS:
                name = key.casefold()
                raise CallerFault("bad_request", f"Write the key {name} in lower case.", param=name)
        return cls(fields, len(body))

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    @property
    def names(self) -> KeysView[str]:
        """The keys, to look many of them up: without a call for each, as `in` on the body itself costs."""
        return self._fields.keys()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in the order in which they were sent."""
        return tuple(self._fields)

    def raw(self, key: str) -> msgspec.Raw | None:
        """The value's own bytes (as a buffer), or None when the key is absent."""
        return self._fields.get(key)

    def is_set(self, key: str) -> bool:
        """Whether the key is there with a value other than null."""
        value = self._fields.get(key)
        return value is not None and value != _NULL

    def value(self, key: str) -> Any:
        """The value decoded whole; None when absent. Raises CallerFault bad_json if a number or escape is unsound."""
        raw = self._fields.get(key)
        if raw is None:
            return None
        try:
            return _ANY.decode(raw)
        except RecursionError:
            raise CallerFault("bad_json", "The body is nested too deeply.", param=key) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise CallerFault("bad_json", f"The value of {key} is not valid JSON.", param=key) from None

    def get_str(self, key: str) -> str | None:
        """A string, or None when absent or null. Raises CallerFault bad_request for any other type."""
        raw = self._fields.get(key)
        return None if raw is None or raw == _NULL else self._typed(_STR, raw, key, "a string")

    def get_bool(self, key: str) -> bool | None:
        """A boolean, or None when absent or null. Raises CallerFault bad_request for any other type."""
        raw = self._fields.get(key)
        return None if raw is None or raw == _NULL else self._typed(_BOOL, raw, key, "true or false")

    def get_int(self, key: str) -> int | None:
        """An integer, or None when absent or null. Raises CallerFault bad_request for any other type."""
        raw = self._fields.get(key)
        return None if raw is None or raw == _NULL else self._typed(_INT, raw, key, "an integer")

    @staticmethod
    def _typed(decoder: "msgspec.json.Decoder[T]", raw: msgspec.Raw, key: str, wanted: str) -> T:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise CallerFault("bad_request", f"{key} must be {wanted}.", param=key) from None

    def forget(self) -> None:
        """Let the request's bytes go; nothing can be read or encoded after."""
        self._fields = {}

    def encode(self, replaced: Mapping[str, bytes | None]) -> bytes:
        """The object as JSON with these keys set (to JSON bytes) or removed (None); order and nested bytes kept."""
        fields = self._fields
        if replaced:
            fields = fields.copy()
            for key, value in replaced.items():
                if value is None:
                    fields.pop(key, None)
                else:
                    fields[key] = msgspec.Raw(value)
        return _ENCODER.encode(fields)


_NULL = msgspec.Raw(b"null")


def not_json(error: Exception, body: bytes) -> CallerFault:
    """What is wrong with a body, and where; nothing else of the decoder's words is passed on."""
    if isinstance(error, RecursionError):
        return CallerFault("bad_json", "The body is nested too deeply.")
    try:
        str(body, "utf-8")  # the decoder counts from the string that it was in
    except UnicodeDecodeError as wrong:
        return CallerFault("bad_json", f"The body is not UTF-8 (byte {wrong.start}).")
    return CallerFault("bad_json", f"The body is not valid JSON{_position(str(error), len(body))}.")


def _position(words: str, size_bytes: int) -> str:
    if words == "Input data was truncated":
        return f" (byte {size_bytes}: it ends too early)"
    _, found, rest = words.rpartition("(byte ")
    number = rest.removesuffix(")")
    return f" (byte {number})" if found and number.isdecimal() else ""
