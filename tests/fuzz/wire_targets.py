"""Targets of what lies behind HTTP: bodies, their compression, event streams, and the values of a head.

The other opinion is the standard library's JSON, zlib, and the libraries' own one-shot decompression.
"""

import gzip
import json
import zlib
from contextlib import suppress
from typing import Any

import brotli
import msgspec

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.tier import Window, parse_start_within
from appliance.http1.write import header_lines, request_head, safe_target, safe_value
from appliance.policy.address import Proxies
from appliance.request.admit import credential
from appliance.request.dialects import DIALECTS as ALL
from appliance.server.routes import find, ours
from appliance.store.keys import MalformedKey, TruncatedKey, check_token
from appliance.upstream.decoding import content_decoder
from appliance.wire import anthropic_messages, gemini_generate, gemini_interactions, openai_chat, openai_responses
from appliance.wire.body import ROUTING_KEYS, RequestBody, decompress
from appliance.wire.dialect import NotAssemblable
from appliance.wire.openai_request import MOST_OUTPUT_TOKENS
from appliance.wire.provider_errors import read_error
from appliance.wire.sse import SseSplitter, event_fields
from tests.fuzz.http1_targets import pieces_of
from tests.wire.streams import read

LIMIT = 4096
CODINGS = (b"gzip", b"deflate", b"br", b"zstd")
DIALECTS = (openai_chat, openai_responses, anthropic_messages)
"""Those whose requests have `model` and `stream` in the body."""
STREAMS = (*DIALECTS, gemini_generate, gemini_interactions)
_BOM = b"\xef\xbb\xbf"


def check_body(data: bytes) -> None:
    """Bodies: an object or a fault of the caller; what is accepted is JSON, and is passed on as what it was."""
    try:
        body = RequestBody.decode(data)
    except CallerFault:
        return
    told = _json(data)
    assert list(told) == list(body.keys), "other keys than the standard library finds"
    assert _json(body.encode({})) == told, "what is passed on is not what was sent"
    assert not [key for key in told if key not in ROUTING_KEYS and key.casefold() in ROUTING_KEYS]
    for dialect in DIALECTS:
        try:
            asked = dialect.read_request(body, None)
            assert isinstance(asked.raceable, bool)
            sent = _json(dialect.upstream_body(asked, model="other", tier="flex", stream=True, add_usage=True))
        except CallerFault:
            continue
        assert sent["model"] == "other" and sent["stream"] is True
        assert "start_within" not in sent
        ignored = ROUTING_KEYS | {"max_tokens"}
        assert {key: sent[key] for key in sent if key not in ignored} == {
            key: told[key] for key in told if key not in ignored
        }


def _json(data: bytes) -> Any:
    """By the standard library: the last of repeated keys, numbers as they were written."""
    return json.loads(data, parse_int=str, parse_float=str, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def check_compressed(data: bytes) -> None:
    """Compression, of requests and of answers: the plain bytes or a fault, never more than the limit."""
    if not data:
        return
    coding, packed = CODINGS[data[0] % 4], data[1:]
    try:
        plain = decompress(coding, packed, LIMIT)
    except CallerFault:
        pass
    else:
        assert len(plain) <= LIMIT
        if coding != b"zstd":
            assert plain == _one_shot(coding, packed), "the library reads other bytes"
    whole, cut = _answer(coding, [packed]), _answer(coding, pieces_of(packed))
    # Read in one go, zstd holds a frame to the size in its head; read in pieces it does not.
    assert whole == cut or (coding == b"zstd" and None in (whole, cut)), "an answer's decompression depends on the cuts"


def _one_shot(coding: bytes, packed: bytes) -> bytes:
    if coding == b"gzip":
        return gzip.decompress(packed)
    if coding == b"deflate":
        wrapped = len(packed) > 1 and packed[0] & 0x0F == 8 and (packed[0] << 8 | packed[1]) % 31 == 0
        return zlib.decompress(packed, 15 if wrapped else -15)
    return bytes(brotli.decompress(packed))


def _answer(coding: bytes, pieces: list[bytes]) -> bytes | None:
    decoder = content_decoder(coding, LIMIT)
    assert decoder is not None
    plain = b""
    try:
        for piece in pieces:
            decoder.feed(piece)
            while part := decoder.read():
                plain += part
        decoder.end()
    except UpstreamFault:
        return None
    assert len(plain) <= LIMIT
    return plain


def check_sse(data: bytes) -> None:
    """Event streams: the same events however cut, no byte changed, and the readers take anything."""
    whole, rest = _split([data])
    cut = _split(pieces_of(data))
    assert cut == (whole, rest), "the events depend on how the bytes were cut"
    joined = b"".join(whole) + rest
    assert joined == data or joined == data.removeprefix(_BOM)
    for event in whole:
        assert event_fields(event) == _fields(event)
    for dialect in STREAMS:
        first, second = (
            read(dialect.StreamReader(provider="p", tier_asked="flex"), pieces) for pieces in ([data], pieces_of(data))
        )
        assert first == second, f"{dialect.NAME} reads otherwise what was cut"


def check_dialects(data: bytes) -> None:
    """Every dialect on any bytes: requests, answers, errors and streams put together; nothing escapes but faults."""
    body: RequestBody | None = None
    with suppress(CallerFault):
        body = RequestBody.decode(data)
    for name, dialect in ALL.items():
        action = "m:streamGenerateContent" if zlib.crc32(data) % 2 else "m:countTokens"
        if body is not None:
            with suppress(CallerFault):
                asked = dialect.read_request(body, None, action)
                most = asked.max_output_tokens
                assert most is None or 0 <= most <= MOST_OUTPUT_TOKENS, f"{name} believes any limit"
                assert isinstance(asked.raceable, bool)
                dialect.path(asked, model="other", stream=asked.stream)
                _json(dialect.upstream_body(asked, model="other", tier="flex", stream=asked.stream, add_usage=True))
        with suppress(UpstreamFault):
            answer = dialect.read_answer(data, provider="p", tier_asked="flex")
            counts = (answer.usage.input, answer.usage.output, answer.usage.cached, answer.usage.reasoning)
            assert all(count is None or 0 <= count <= 2**53 for count in counts), f"{name} believes any count"
    status = 400 + zlib.crc32(data) % 200
    for family in ("openai_chat", "anthropic_messages", "gemini_generate"):
        fault = read_error(status, _no_header, data, dialect=family, provider="p", tier_asked="flex")
        assert 400 <= fault.status <= 599
    for stream in STREAMS:
        reader, assembler = stream.StreamReader(provider="p"), stream.Assembler()
        with suppress(NotAssemblable):
            assembler.feed(reader.feed(data))
            reader.eof()
            if reader.terminal_event is not None:
                assembler.feed(reader.terminal_event)
                _json(assembler.result())


def _no_header(_: bytes) -> bytes | None:
    return None


def _split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = SseSplitter(1 << 20)
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events, splitter.rest


def _fields(event: bytes) -> tuple[bytes | None, bytes]:
    """Name and data of an event, by the letter of the standard."""
    name, data = None, []
    for line in event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
    return name, b"\n".join(data)


_PRINTABLE = bytes(range(32, 127)) + b"\t"
_PROXIES = Proxies(("127.0.0.0/8", "::1", "10.0.0.0/8"))


def check_values(data: bytes) -> None:
    """Values of a head: credentials, addresses, paths, durations; and whatever is written is one line."""
    first, _, second = data.partition(b"\n")
    table: dict[bytes, bytes] = {b"authorization": first, b"x-api-key": second}
    for headers, query in ((table, b""), ({b"x-goog-api-key": second}, first), ({}, b"key=" + data)):
        token = credential(headers.get, query)
        if token is not None:
            with suppress(MalformedKey, TruncatedKey):
                check_token(token)
    address = _PROXIES.client("127.0.0.1", [(b"x-forwarded-for", first), (b"x-forwarded-for", second)])
    assert address is not None and address.isascii()
    path = b"/v1/models/" + first
    for asked in (path, first):
        if ours(asked):
            try:
                endpoint, argument = find(b"GET", asked, table.get)
            except CallerFault:
                continue
            assert endpoint.name and isinstance(argument, str)
    for value in (data.decode("latin-1"), data.decode("utf-8", "replace")):
        try:
            window = parse_start_within(value)
        except ValueError:
            continue
        assert not isinstance(window, Window) or 1 <= window.seconds <= 900
    for written in (safe_value(data), safe_target(data), safe_value(data.decode("utf-8", "replace"))):
        assert not written.translate(None, _PRINTABLE)
    assert header_lines([(b"a", data), (b"b", first)]).count(b"\r\n") == 2
    assert request_head(b"GET", data or b"/", [(b"host", data)]).count(b"\r\n") == 3
    msgspec.json.encode(data.decode("utf-8", "replace"))
