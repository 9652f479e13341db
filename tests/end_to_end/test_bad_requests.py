"""Every bad request against a running server, in both lanes and two dialects: told what to do, and no more happens.

For each: status, code, the remedy in the caller's dialect, whether the connection can still be used, nothing at the
provider, the server serves on, and neither a key nor a word of the request in the log.
"""

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import brotli
import msgspec
import pytest
import structlog
import zstandard

from appliance.http1.limits import Limits
from tests.rig import CHAT, Answer, Client, Rig, chat, request, running

pytestmark = pytest.mark.sockets

CANARY = "canary7f3a"
"""Stands in every body, and must not stand in any log."""
MESSAGES = "/anthropic/v1/messages"
GENERATE = "/v1beta/models/m:generateContent"
BODY_LIMIT_BYTES = 1_000_000
GOOD = chat(CANARY)
STALE_UNIX_S = 1_600_000_000


class Case(msgspec.Struct, frozen=True):
    """A request, and what is answered. `key`: one of `Keys`, or a text. `ends`: the connection is of no more use."""

    status: int
    code: str
    says: str
    body: bytes | dict[str, Any] | None = None
    key: str = "good"
    method: str = "POST"
    path: str = CHAT
    headers: tuple[tuple[str, str], ...] = ()
    version: str = "1.1"
    ends: bool = False
    raw: bytes = b""


def field(text: bytes) -> bytes:
    """A good body with one more field: the last of two counts."""
    return msgspec.json.encode(GOOD)[:-1] + b"," + text + b"}"


def coded(coding: str, data: bytes) -> dict[str, Any]:
    return {"body": data, "headers": (("content-encoding", coding),)}


def _deflated(data: bytes) -> bytes:
    raw = zlib.compressobj(wbits=-15)
    return raw.compress(data) + raw.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
ZEROS = b" " * (BODY_LIMIT_BYTES + 1)
PLAIN = msgspec.json.encode(GOOD)

KEYS = {
    "none": Case(401, "missing_api_key", "Authorization: Bearer", GOOD, key=""),
    "another provider's": Case(401, "invalid_api_key", "not an API key of Startline", GOOD, key=f"sk-{CANARY}"),
    "truncated": Case(401, "invalid_api_key", "cut short or mistyped", GOOD, key="truncated"),
    "mistyped": Case(401, "invalid_api_key", "cut short or mistyped", GOOD, key="mistyped"),
    "unknown": Case(401, "invalid_api_key", "Check the key", GOOD, key="unknown"),
    "revoked": Case(401, "revoked_api_key", "new key", GOOD, key="revoked"),
    "expired": Case(401, "expired_api_key", "new key", GOOD, key="expired"),
    "for management": Case(401, "wrong_key_kind", "sk-sl-", GOOD, key="management"),
    "not from here": Case(403, "address_not_allowed", "address", GOOD, key="elsewhere"),
    "of other models": Case(403, "model_not_allowed", "key allows", GOOD, key="narrow"),
    "in the query": Case(401, "invalid_api_key", "Startline", GOOD, key="", path=f"{CHAT}?key=sk-{CANARY}%0d%0aa:b"),
    "of another scheme": Case(
        401, "missing_api_key", "Bearer", GOOD, key="", headers=(("authorization", "Basic eA=="),)
    ),
}
JSON = {
    "no body": Case(400, "bad_json", "byte 0", b""),
    "cut short": Case(400, "bad_json", "ends too early", PLAIN[:-1]),
    "a comma too many": Case(400, "bad_json", f"(byte {len(PLAIN)})", PLAIN[:-1] + b",}"),
    "more behind it": Case(400, "bad_json", "(byte ", PLAIN + b"{}"),
    "not UTF-8": Case(
        400, "bad_json", f"not UTF-8 (byte {PLAIN.index(b'canary')})", PLAIN.replace(b"canary", b"\xff\xfecanary")
    ),
    "UTF-16": Case(400, "bad_json", "not UTF-8 (byte 0)", PLAIN.decode().encode("utf-16")),
    "a lone surrogate": Case(400, "bad_json", "not valid JSON", field(b'"a\\ud800":1')),
    "a list": Case(400, "bad_json", "must be a JSON object", b"[" + PLAIN + b"]"),
    "a text": Case(400, "bad_json", "must be a JSON object", b'"' + CANARY.encode() + b'"'),
    "NaN": Case(400, "bad_json", "(byte ", field(b'"temperature":NaN')),
    "too deep": Case(400, "bad_json", "too deeply", field(b'"a":' + b"[" * 90_000 + b"]" * 90_000)),
    "deep and broken": Case(400, "bad_json", "too deeply", field(b'"a":' + b'{"a":' * 90_000)),
    "model is no text": Case(400, "bad_request", "model must be a string", field(b'"model":5')),
    "model is missing": Case(400, "missing_model", "Name a model", {"messages": []}),
    "model is null": Case(400, "missing_model", "Name a model", field(b'"model":null')),
    "model too long": Case(400, "bad_request", "too long", field(b'"model":"' + CANARY.encode() * 60 + b'"')),
    "stream is a number": Case(400, "bad_request", "stream must be true or false", field(b'"stream":1')),
    "tier is a number": Case(400, "bad_request", "service_tier must be a string", field(b'"service_tier":5')),
    "tier too long": Case(400, "bad_request", "too long", field(b'"service_tier":"' + CANARY.encode() * 9 + b'"')),
    "start_within is a list": Case(400, "invalid_start_within", "start_within", field(b'"start_within":[]')),
    "start_within is huge": Case(400, "invalid_start_within", "between", field(b'"start_within":1' + b"0" * 400)),
    "start_within and a tier": Case(
        400, "service_tier_not_allowed", "not both", field(b'"start_within":9,"service_tier":"flex"')
    ),
    "options are no object": Case(400, "bad_request", "stream_options", field(b'"stream":true,"stream_options":5')),
    "a key in capitals": Case(400, "bad_request", "model in lower case", field(b'"Model":"x"')),
    "a key with a long s": Case(400, "bad_request", "stream in lower case", field('"\u017ftream":true'.encode())),
    "a key escaped": Case(400, "bad_request", "service_tier in lower case", field(b'"service_\\u0054ier":"flex"')),
    "an unknown model": Case(404, "model_not_found", "/v1/models", field(b'"model":"sim/"')),
}
SIZES = {
    "announced too large": Case(
        413, "request_too_large", "max_body_bytes", headers=(("content-length", "1000001"),), ends=True
    ),
    "too large in chunks": Case(
        413,
        "request_too_large",
        "longer than 1000000 bytes. Send a smaller body",
        headers=(("transfer-encoding", "chunked"),),
        raw=b"f4241\r\n",
        ends=True,
    ),
    "many headers": Case(431, "head_too_large", "100", GOOD, headers=(("x-a", CANARY),) * 100, ends=True),
    "a long header": Case(431, "head_too_large", "65536", GOOD, headers=(("x-a", CANARY * 6600),), ends=True),
    "a long path": Case(431, "head_too_large", "65536", GOOD, path="/v1/" + CANARY * 6600, ends=True),
    "two credentials": Case(
        400,
        "bad_framing",
        "repeated",
        GOOD,
        key="",
        headers=(("authorization", "a"), ("authorization", "b")),
        ends=True,
    ),
    **{
        f"{coding} bomb": Case(413, "request_too_large", "", **coded(coding, PACKED[coding](ZEROS)))
        for coding in PACKED
    },
    **{
        f"{coding} cut short": Case(400, "bad_request", "cut short", **coded(coding, PACKED[coding](PLAIN)[:-5]))
        for coding in PACKED
    },
    **{f"{coding} that is none": Case(400, "bad_request", "not valid", **coded(coding, PLAIN)) for coding in PACKED},
    "a bomb in members": Case(413, "request_too_large", "", **coded("gzip", gzip.compress(b" " * 10_000) * 101)),
    "a bomb in frames": Case(413, "request_too_large", "", **coded("zstd", zstandard.compress(b" " * 10_000) * 101)),
    "members without end": Case(400, "bad_request", "gzip", **coded("gzip", gzip.compress(b"") * 9000)),
    "frames without end": Case(400, "bad_request", "zstd", **coded("zstd", zstandard.compress(b"") * 9000)),
    "raw deflate bomb": Case(413, "request_too_large", "", **coded("deflate", _deflated(ZEROS))),
    "a bomb within gzip": Case(400, "bad_json", "", **coded("gzip", gzip.compress(gzip.compress(ZEROS)))),
    "codings within each other": Case(415, "unsupported_encoding", "gzip, deflate, br", **coded("gzip, br", PLAIN)),
    "an unknown coding": Case(415, "unsupported_encoding", "gzip, deflate, br", **coded("compress", PLAIN)),
}
ROUTES = {
    "no such route": Case(404, "route_not_found", "README", method="GET", path=f"/v1/{CANARY}"),
    "a path with dots": Case(404, "route_not_found", "README", method="GET", path="/v1/../healthz"),
    "a path with a line in it": Case(404, "route_not_found", "README", method="GET", path="/v1/a%0d%0ab:%20c"),
    "not ours at all": Case(404, "route_not_found", "README", method="GET", path=f"/{CANARY}"),
    "GET of a POST": Case(405, "method_not_allowed", "Allow", method="GET"),
    "DELETE": Case(405, "method_not_allowed", "Allow", method="DELETE", path="/v1/models"),
    "a method that nobody knows": Case(501, "not_implemented", "method", method="FROB", ends=True),
    "a method in small letters": Case(501, "not_implemented", "method", method="get", path="/v1/models", ends=True),
    "CONNECT": Case(501, "not_implemented", "tunnel", method="CONNECT", path="a:1", ends=True),
    "HTTP/0.9": Case(400, "bad_framing", "request line", raw=b"GET /v1/models\r\n", ends=True),
    "HTTP/1.2": Case(505, "http_version", "HTTP/1.1", GOOD, version="1.2", ends=True),
    "HTTP/2.0": Case(505, "http_version", "HTTP/1.1", GOOD, version="2.0", ends=True),
    "HTTP/1.0 without a key": Case(401, "missing_api_key", "Bearer", method="GET", key="", version="1.0", ends=True),
    "an expectation": Case(417, "expectation_failed", "100-continue", GOOD, headers=(("expect", CANARY),), ends=True),
}
CASES = KEYS | JSON | SIZES | ROUTES


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(max_body_bytes=BODY_LIMIT_BYTES, max_failed_keys=100_000) as started:
        yield started


async def keys_of(rig: Rig) -> dict[str, str]:
    store = rig.appliance.store.api_keys
    revoked_key, revoked = await rig.new_key()
    await store.revoke(revoked_key.key_id, now_unix_s=STALE_UNIX_S)
    swapped = "A" if rig.token[30] != "A" else "B"
    _, gone = await rig.new_key()
    unknown = gone[:6] + ("A" * 12 if gone[6:18] != "A" * 12 else "B" * 12) + gone[18:-6]
    return {
        "good": rig.token,
        "management": rig.management_token,
        "truncated": rig.token[:-4],
        "mistyped": rig.token[:30] + swapped + rig.token[31:],
        "unknown": unknown + checksum(unknown),
        "revoked": revoked,
        "expired": (await rig.new_key(now_unix_s=STALE_UNIX_S, expires_unix_s=STALE_UNIX_S + 1))[1],
        "narrow": (await rig.new_key(models=("gpt-9*",)))[1],
        "elsewhere": (await rig.new_key(addresses=("192.0.2.0/24",)))[1],
    }


def checksum(text: str) -> str:
    """The checksum of a key, so that one can be made that was never given out."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, digits = zlib.crc32(text.encode()), ""
    while len(digits) < 6:
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    return digits


def sent(case: Case, keys: dict[str, str], path: str) -> bytes:
    if case.raw and case.status == 400:
        return case.raw
    key = keys.get(case.key, case.key)
    headers = list(case.headers)
    return request(case.method, path, key=key, body=case.body, headers=headers, version=case.version) + case.raw


def told(answer: Answer, case: Case, name: str, *, dialect: str = "openai") -> None:
    """The answer is what the case says, in its dialect."""
    assert (answer.status, answer.complete) == (case.status, True), (name, answer.body)
    assert answer.header("x-startline-request-id"), name
    if answer.body:
        whole = answer.json
        error = whole["error"]
        block = error["startline"]
        assert (whole.get("type") == "error") == (dialect == "anthropic"), (name, whole)
        assert (error.get("code") == case.status and "status" in error) == (dialect == "gemini"), (name, whole)
        assert (block["code"], block["status"], block["origin"]) == (case.code, case.status, "startline"), name
        assert case.says in error["message"], (name, error["message"])
        assert block["doc_url"] == f"/docs/errors#{case.code}"
        assert CANARY not in repr(whole), name


async def usable(rig: Rig, client: Client) -> None:
    """The connection serves another request, of another client's for all we know."""
    await client.send(request("GET", "/v1/models", key=rig.token))
    assert (await client.answer("GET")).status == 200


def clean(logs: Any, keys: dict[str, str]) -> None:
    """No line but those of requests, and in none a key or a word of a client."""
    assert [line for line in logs if line["event"] != "request"] == []
    text = repr(logs)
    assert CANARY not in text
    assert [name for name, key in keys.items() if key in text] == []


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_what_is_wrong_with_a_request_is_told(rig: Rig, lane: str) -> None:
    keys = await keys_of(rig)
    with structlog.testing.capture_logs() as logs:
        for name, case in CASES.items():
            client = await rig.connect()
            if lane == "asgi":
                await client.send(request("GET", "/healthz"))
                assert (await client.answer()).status == 200
            await client.send(sent(case, keys, case.path))
            answer = await client.answer(case.method)
            told(answer, case, name)
            if answer.header("connection") == "close":
                assert await client.ended() == b"", name
                assert not client.was_reset, name
            else:
                assert not case.ends, name
                await usable(rig, client)
            assert case.ends <= (answer.header("connection") == "close"), name
            await client.close()
        await rig.alive()
    assert len(rig.journal) == 0, "nothing reached the provider"
    clean(logs, keys)
    assert rig.appliance.store.ledger.counters.lost == 0


OTHER_DIALECTS = {"anthropic": (MESSAGES, "/anthropic/v1/"), "gemini": (GENERATE, "/v1beta/")}


@pytest.mark.parametrize("dialect", OTHER_DIALECTS)
@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_it_is_told_in_the_callers_dialect(rig: Rig, lane: str, dialect: str) -> None:
    """Also where nothing but the request line was understood, or not even all of that."""
    keys = await keys_of(rig)
    known_by_line = {"many headers", "a long header", "a long path", "two credentials", "HTTP/2.0", "an expectation"}
    route, mount = OTHER_DIALECTS[dialect]
    asked = set()
    with structlog.testing.capture_logs() as logs:
        for name, case in CASES.items():
            if case.raw and case.status == 400:
                continue  # HTTP/0.9: bytes without a path of ours
            if case.path.startswith(CHAT):
                path = route + case.path.removeprefix(CHAT)
            elif case.path.startswith(f"/v1/{CANARY}"):
                path = case.path.replace("/v1/", mount)
            else:
                continue
            if "start_within" in name or "tier" in name or "options" in name:
                continue  # another dialect has other fields
            if dialect == "gemini" and (name.startswith(("model ", "a key ", "stream ")) or name == "an unknown model"):
                continue  # there the path names the model, and says whether it is a stream
            asked.add(name)
            client = await rig.connect()
            if lane == "asgi":
                await client.send(request("GET", "/healthz"))
                assert (await client.answer()).status == 200
            await client.send(sent(case, keys, path))
            told(await client.answer(case.method), case, name, dialect=dialect)
            await client.close()
        await rig.alive()
    assert known_by_line <= asked and len(asked) > 50
    assert len(rig.journal) == 0
    clean(logs, keys)


async def test_the_limits_of_the_table_are_those_of_the_server(rig: Rig) -> None:
    limits = Limits(body_bytes=BODY_LIMIT_BYTES)
    assert rig.appliance.front.limits == limits == rig.appliance.lane.limits
    assert (limits.head_bytes, limits.header_count) == (65_536, 100)


async def test_repeated_keys_count_once_for_us_and_for_the_provider(rig: Rig) -> None:
    client = await rig.connect()
    body = b'{"model":"dear","service_tier":"priority","model":"cheap","messages":[],"service_tier":null,"messages":'
    body += msgspec.json.encode(GOOD["messages"]) + b"}"
    await client.send(request(key=rig.token, body=body))
    assert (await client.answer()).status == 200
    (entry,) = rig.journal
    assert (entry.model, entry.tier_asked) == ("cheap", "default")


async def test_no_word_of_a_client_becomes_a_header(rig: Rig) -> None:
    """Names of models, tiers, windows and paths with line ends in them, plain and escaped, in both directions."""
    evil = "a\r\nx-evil: 1\r\n\r\nHTTP/1.1 200 OK\r\n\x00\x85\u2028\u00e9"
    with structlog.testing.capture_logs() as logs:
        for body in (
            chat(model=evil),
            chat(model=f"sim/{evil}"),
            chat(model=f"{evil}@sim:"),
            chat(service_tier=evil),
            chat(start_within=evil),
            chat(user=evil),
        ):
            for lane in ("fast", "asgi"):
                client = await rig.connect()
                if lane == "asgi":
                    await client.send(request("GET", "/healthz"))
                    await client.answer()
                await client.send(request(key=rig.token, body=body))
                answer = await client.answer()
                assert answer.header("x-evil") is None
                assert all(char.isprintable() for _, value in answer.headers for char in value), body
                if answer.header("connection") == "close":
                    assert await client.ended() == b""
                else:
                    await usable(rig, client)
        for path in ("/v1/models/a%0d%0ax-evil:%201", "/v1/models/%00%85%e2%80%a8", "/v1/%0d%0ax-evil:1"):
            client = await rig.connect()
            await client.send(request("GET", path, key=rig.token))
            answer = await client.answer()
            assert answer.header("x-evil") is None
            await usable(rig, client)
        await rig.alive()
    assert [line for line in logs if line["event"] != "request"] == []
    for entry in rig.journal:
        assert "x-evil" not in entry.headers, "nor a header of the request to the provider"
