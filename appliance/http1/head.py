"""The header table of a head: llhttp called safely, repeated headers, connection options.

The rule: llhttp sees one head and nothing else, through a parser made for that head and dropped with it. It decides
what is a header line (it refuses folding, control bytes, bare CR or LF and space before the colon); what the headers
mean is decided here. So its state after the head, waiting for a body or skipping one for an upgrade, touches nothing.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import httptools

from appliance.http1.framing import body_framing
from appliance.http1.refusal import ProtocolRefusal

Fields: TypeAlias = list[tuple[bytes, bytes]]
"""Header lines in the order received: lower-case name, value without surrounding white space."""

ParserType: TypeAlias = type[httptools.HttpRequestParser] | type[httptools.HttpResponseParser]

TOKEN = b"abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+.^_`|~"
"""The bytes of a token (RFC 9110 section 5.6.2)."""

_CONTROL = bytes(byte for byte in range(256) if (byte < 32 and byte != 9) or byte == 127)
_SINGLE = (b"content-length", b"transfer-encoding", b"host")
_SINGLE_IN_REQUESTS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"content-encoding", b"content-type")
"""Who stands before us may have gone by the other one of two."""
_PERSISTENT = (b"keep-alive", b"Keep-Alive")
_UPGRADES = (b"upgrade", b"http2-settings")


def is_token(name: bytes) -> bool:
    """Whether `name` is a token (RFC 9110 section 5.6.2): a legal method or header name."""
    return bool(name) and not name.strip(TOKEN)


def is_field_value(value: bytes) -> bool:
    """Whether `value` is free of control bytes other than tab (RFC 9110 section 5.5; bytes from 128 are allowed)."""
    return len(value.translate(None, _CONTROL)) == len(value)


class _Sink:
    """What llhttp calls. Only `on_header` is wanted; httptools looks the others up, and finds them quickest as None."""

    __slots__ = ("on_header",)

    on_message_begin = on_url = on_status = on_headers_complete = None
    on_body = on_message_complete = on_chunk_header = on_chunk_complete = None

    def __init__(self, on_header: Callable[[bytes, bytes], None]) -> None:
        self.on_header = on_header


def read_fields(parser_type: ParserType, head: bytes, max_count: int, status: int) -> Fields:
    """The header lines of `head`, one whole head with a start line that was already checked.

    Raises `ProtocolRefusal` (with `status` unless a more telling one applies).
    """
    if head.count(b"\n") - 2 > max_count:
        raise ProtocolRefusal(431 if status == 400 else status, "too_many_headers", f"more than {max_count} headers")
    fields: Fields = []
    append = fields.append

    def on_header(name: bytes, value: bytes) -> None:
        append((name.lower(), value))

    try:
        parser_type(_Sink(on_header)).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # raised after the last header; the upgrade is dropped in `settle_connection`, the body is framed by us
    except httptools.HttpParserInvalidMethodError:
        raise ProtocolRefusal(501, "method_not_implemented", "the method is not known here") from None
    except httptools.HttpParserInvalidURLError:
        raise ProtocolRefusal(400, "bad_target", "the request target holds an illegal byte") from None
    except httptools.HttpParserError:
        raise _diagnosis(head, status) from None
    if b" \r\n" in head or b"\t" in head:  # llhttp leaves trailing white space in the value
        fields[:] = [(name, value.rstrip(b" \t")) for name, value in fields]
    return fields


def index_fields(fields: Fields, status: int) -> dict[bytes, bytes]:
    """Name to value, the first one when a name repeats. Names that must not repeat are refused."""
    index = dict(fields)
    if len(index) != len(fields):
        index = dict(reversed(fields))
        names = [name for name, _ in fields]
        for name in _SINGLE:
            if names.count(name) > 1:
                code = "bad_host" if name == b"host" else "bad_framing"
                raise ProtocolRefusal(status, code, f"{name.decode()} is repeated")
        if status == 400:
            for name in _SINGLE_IN_REQUESTS:
                if names.count(name) > 1:
                    raise ProtocolRefusal(status, "bad_header", f"{name.decode()} is repeated")
    return index


def settle_connection(fields: Fields, index: dict[bytes, bytes], http_1_1: bool) -> bool:
    """Whether the connection persists (RFC 9112 section 9.3). Removes every offer to upgrade from both tables.

    Ignoring an upgrade is always allowed (RFC 9110 section 7.8), and some clients offer h2c on every request.
    """
    connection = index.get(b"connection")
    options: list[bytes] = []
    if connection is not None and (connection not in _PERSISTENT or len(index) != len(fields)):
        connection = connection.lower()
        if len(index) != len(fields):
            connection = b",".join([value for name, value in fields if name == b"connection"]).lower()
        options = [option.strip(b" \t") for option in connection.split(b",")]
    if b"upgrade" in index or b"http2-settings" in index or b"upgrade" in options:
        _drop_upgrades(fields, index)
    if not options:
        return http_1_1 or connection is not None
    return b"close" not in options and (http_1_1 or b"keep-alive" in options)


def _drop_upgrades(fields: Fields, index: dict[bytes, bytes]) -> None:
    kept: Fields = []
    for name, value in fields:
        if name in _UPGRADES:
            continue
        if name == b"connection":
            value = b", ".join(
                option for part in value.split(b",") if (option := part.strip(b" \t")).lower() not in _UPGRADES
            )
            if not value:
                continue
        kept.append((name, value))
    fields[:] = kept
    index.clear()
    index.update(reversed(kept))


def _diagnosis(head: bytes, status: int) -> ProtocolRefusal:
    """Why llhttp refused `head`: it takes offence at framing too, which has its own codes here."""
    refusal = ProtocolRefusal(status, "bad_header", "a header line is malformed")
    fields: Fields = []
    for line in head.split(b"\r\n")[1:-2]:
        name, colon, value = line.partition(b":")
        if not colon or not is_token(name) or not is_field_value(value):
            return refusal
        fields.append((name.lower(), value.strip(b" \t")))
    try:
        framing: Mapping[bytes, bytes] = index_fields(fields, status)
        body_framing(framing, True, status)
    except ProtocolRefusal as better:
        return better
    return refusal
