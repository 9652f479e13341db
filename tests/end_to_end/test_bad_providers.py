"""Providers on bad days, behind a served appliance: what the caller is told, in both lanes, whole and streamed.

Whatever a provider does, the caller gets an answer that is whole or an error that names the provider and says whose
fault it is; a stream that broke never ends cleanly; the record says the same; the other rung wins if one is alive.
"""

import gzip
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.end_to_end.bad_provider import (
    DONE,
    EVENTS,
    MODEL,
    WHOLE,
    BadProvider,
    begins,
    by_tier,
    says,
    staged,
    words,
)
from tests.rig import Answer, request
from tests.upstream.conftest import Certificates, certificates  # noqa: F401 - a fixture
from tests.upstream.scripted import Peer, Play, Server, answer, chunked

pytestmark = pytest.mark.sockets

HTML = b"<html>words of a proxy, CANARY</html>"
GOOD_STREAM = chunked(*EVENTS)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BEGUN = STREAM_HEAD + b"%x\r\n%b\r\n" % (len(words("a")), words("a"))
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
WAYS = [(lane, version, stream) for lane in ("fast", "asgi") for version in ("1.1", "1.0") for stream in (False, True)]


@pytest.fixture
async def bad() -> AsyncIterator[BadProvider]:
    async with staged() as made:
        yield made


# -- before the answer has started: a real status ----------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing at all": (b"", 502, "provider_cut_off"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", 502, "provider_garbled"),
    "bytes that are no text": (bytes(range(256)) * 4, 502, "provider_garbled"),
    "a page without a head": (HTML, 502, "provider_garbled"),
    "a head that never ends": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, 502, "provider_garbled"),
    "two lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", 502, "provider_garbled"),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", 502, "provider_garbled"),
    "100 without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 200, 502, "provider_garbled"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 502, "provider_garbled"),
    "301": (answer(b"", 301, "location: https://elsewhere.test/"), 502, "provider_error"),
    "302": (answer(b"", 302, "location: http://127.0.0.1:1/"), 502, "provider_error"),
    "307": (answer(b"", 307, "location: //elsewhere.test"), 502, "provider_error"),
    "308 with a page": (answer(HTML, 308, "location: /", kind="text/html"), 502, "provider_error"),
    "401": (answer(b'{"error":{"message":"Incorrect API key: CANARY"}}', 401), 403, "provider_key_rejected"),
    "403": (answer(HTML, 403, kind="text/html"), 403, "provider_key_rejected"),
    "a page for 404": (answer(HTML, 404, kind="text/html"), 404, "provider_rejected"),
    "a page for 500": (answer(HTML, 500, kind="text/html"), 500, "provider_error"),
    "a page for 502": (answer(HTML, 502, kind="text/html"), 502, "provider_error"),
    "a page for 503": (answer(HTML, 503, kind="text/html"), 503, "provider_refused"),
    "a page for 200": (answer(HTML, 200, kind="text/html"), 502, "provider_garbled"),
    "plain text for 200": (answer(b"ok", 200, kind="text/plain"), 502, "provider_garbled"),
    "an error cut short": (answer(b'{"error":{"code":"x"}}', 500)[:-4], 500, "provider_error"),
    "a coding that nobody asked for": (answer(WHOLE, 200, "content-encoding: compress"), 502, "provider_garbled"),
    "gzip that is none": (answer(WHOLE, 200, "content-encoding: gzip"), 502, "provider_garbled"),
    "a length that is not kept": (answer(WHOLE)[:-1], 502, "provider_cut_off"),
    "chunks that are none": (
        JSON_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n", 502, "provider_garbled",
    ),
    "chunks without an end": (
        JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", 502, "provider_cut_off",
    ),
    "JSON cut short and no length": (JSON_HEAD + b"\r\n" + WHOLE[:-1], 502, "provider_garbled"),
    "a JSON array": (answer(b"[]"), 502, "provider_garbled"),
    "an empty body": (answer(b""), 502, "provider_garbled"),
    "gzip cut short": (
        answer(gzip.compress(WHOLE)[:-9], 200, "content-encoding: gzip"), 502, "provider_cut_off",
    ),
}  # fmt: skip
STREAM_TOO = {name for name, (said, _, _) in REFUSED.items() if JSON_HEAD not in said and b"200 Said" not in said}
STREAM_TOO |= {"a page for 200", "plain text for 200"}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_answer_is_an_error_that_names_the_provider(bad: BadProvider, name: str) -> None:
    said, status, code = REFUSED[name]
    bad.play = says(said)
    for lane, version, stream in WAYS:
        if stream and name not in STREAM_TOO:
            continue
        got = await bad.ask(lane=lane, version=version, stream=stream)
        assert (got.status, bad.code(got), got.complete) == (status, code, True), (lane, version, stream)
        assert got.header("content-type") == "application/json" and b"html" not in got.body
        record = bad.rig.settled[-1]
        assert record.request.error_origin == "provider"
        assert [(one.outcome in ("failed", "refused"), one.error_code) for one in record.attempts] == [(True, code)]
    assert len(bad.server.requests) == bad.server.connections, "nothing is sent twice on a new connection"


async def test_a_redirect_says_what_is_wrong_and_is_not_followed(bad: BadProvider) -> None:
    elsewhere = Server([says(answer(WHOLE))], None)
    async with trio.open_nursery() as nursery:
        await nursery.start(elsewhere.run)
        bad.play = says(answer(b"", 307, f"location: {elsewhere.base_url}/chat/completions"))
        error = (await bad.ask()).json["error"]
        assert "redirect" in error["message"] and "base URL" in error["message"]
        assert elsewhere.connections == 0
        nursery.cancel_scope.cancel()


async def test_a_rejected_key_is_never_the_callers(bad: BadProvider) -> None:
    """A 401 would have the caller's client ask for another key of ours, which is fine as it is."""
    for status in (401, 403):
        bad.play = says(answer(b'{"error":{"message":"bad key CANARY"}}', status, "www-authenticate: Bearer"))
        got = await bad.ask()
        assert got.status == 403 and got.header("www-authenticate") is None
        error = got.json["error"]
        assert "bad" in error["message"] and error["startline"]["origin"] == "provider"


# -- odd answers that are good -----------------------------------------------------------------------------------------

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
CHUNKED_HEAD = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"

SERVED: dict[str, tuple[bytes, bytes | None, int]] = {
    "a length": (answer(WHOLE), GOOD_STREAM, 1),
    "interim answers first": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(WHOLE), EARLY_HINTS + GOOD_STREAM, 1,
    ),
    "no length": (
        JSON_HEAD + b"\r\n" + WHOLE,
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(EVENTS), 0,
    ),
    "HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + WHOLE,
        b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(EVENTS), 0,
    ),
    "bytes after it": (answer(WHOLE) + answer(b"of somebody else"), GOOD_STREAM + b"HTTP/1.1 200 OK\r\n", 0),
    "gzip": (
        answer(gzip.compress(WHOLE), 200, "content-encoding: gzip"),
        chunked(*[gzip.compress(one) for one in EVENTS]).replace(b"\r\n", b"\r\ncontent-encoding: gzip\r\n", 1), 1,
    ),
    "deflate": (answer(zlib.compress(WHOLE), 200, "content-encoding: deflate"), None, 1),
    "a chunk for each byte": (
        CHUNKED_HEAD + b"".join(b"1\r\n%c\r\n" % byte for byte in WHOLE) + b"0\r\n\r\n",
        chunked(*[bytes((byte,)) for byte in b"".join(EVENTS)]), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVED)
async def test_an_odd_answer_is_served(bad: BadProvider, name: str) -> None:
    whole, streamed, kept = SERVED[name]
    for lane, version, stream in WAYS:
        said = streamed if stream else whole
        if said is None:
            continue
        bad.play = says(said, "wait" if kept else "close")
        got = await bad.ask(lane=lane, version=version, stream=stream)
        assert (got.status, got.complete) == (200, True), got
        assert got.body == (b"".join(EVENTS) if stream else WHOLE), (lane, version, stream)
        await bad.rig.until(lambda kept=kept: bad.rig.appliance.pool.idle_count() == kept)  # type: ignore[misc]


# -- after the answer has started: never a clean end -------------------------------------------------------------------

OPEN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ERROR_EVENT = b'data: {"error":{"code":"server_error","type":"x"}}\n\n'

BROKEN: dict[str, tuple[bytes, bytes, str, str]] = {
    "cut": (BEGUN, b"", "close", "provider_cut_off"),
    "reset": (BEGUN, b"", "reset", "provider_cut_off"),
    "ended without its last event": (BEGUN, b"0\r\n\r\n", "wait", "provider_cut_off"),
    "no length, and cut": (OPEN_HEAD + words("a"), b"", "close", "provider_cut_off"),
    "cut within an event": (BEGUN, b'30\r\ndata: {"id"', "close", "provider_cut_off"),
    "chunks that are none": (BEGUN, b"zz\r\n", "wait", "provider_garbled"),
    "an event that is none": (OPEN_HEAD + words("a"), b"data: nonsense\n\n", "wait", "provider_garbled"),
    "an error inside": (OPEN_HEAD + words("a"), ERROR_EVENT, "wait", "provider_error"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_stream_that_breaks_ends_in_an_error_event(bad: BadProvider, name: str) -> None:
    first, rest, then, code = BROKEN[name]
    bad.play = begins(bad.rig, first, rest, then)
    for lane, version, stream in WAYS:
        if stream:
            got = await bad.ask(lane=lane, version=version, stream=True)
            assert (got.status, bad.code(got)) == (200, code), (lane, version)
            assert b'"content":"a"' in got.body and DONE not in got.body
            assert got.complete, "the framing is whole: it is the event that says what is not"
            (attempt,) = bad.rig.settled[-1].attempts
            assert (attempt.outcome, attempt.error_code) == ("failed", code) and attempt.to_start_s is not None


@pytest.mark.parametrize("name", BROKEN)
async def test_one_that_breaks_with_its_first_bytes_still_gets_a_status(bad: BadProvider, name: str) -> None:
    first, rest, _, code = BROKEN[name]
    bad.play = says(first + rest)
    got = await bad.ask(stream=True)
    assert (got.status, bad.code(got)) in ((200, code), (502, code)) and DONE not in got.body
    assert got.status == 502 or not rest.startswith((b"zz", b"data"))


async def test_a_raced_answer_that_breaks_while_it_is_put_together_is_an_error(bad: BadProvider) -> None:
    for name, (first, rest, then, code) in BROKEN.items():
        bad.play = begins(bad.rig, first, rest, then)
        for lane in ("fast", "asgi"):
            got = await bad.ask(lane=lane, start_within="20s")
            assert (got.status, bad.code(got)) == (502, code), name


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_in_anthropics_dialect_too(bad: BadProvider, lane: str) -> None:
    await bad.add("claude", kind="anthropic", tiers=())
    golden = Path(__file__).parent.parent / "golden" / "anthropic" / "messages_text.sse"
    events = golden.read_bytes().replace(b"\r\n", b"\n").split(b"\n\n")
    begun = b"\n\n".join(events[:4]) + b"\n\n"
    assert b"text_delta" in begun
    fields: dict[str, Any] = {"path": "/v1/messages", "model": f"claude/{MODEL}", "max_tokens": 9, "lane": lane}
    bad.play = says(REFUSED["a page for 502"][0])
    for stream in (False, True):
        told = (await bad.ask(**fields, stream=stream)).json
        assert (told["type"], told["error"]["type"]) == ("error", "api_error")
        assert told["error"]["startline"]["provider"] == "claude"
    bad.play = says(REFUSED["401"][0])
    got = await bad.ask(**fields)
    assert (got.status, got.json["error"]["type"]) == (403, "permission_error")
    bad.play = begins(bad.rig, OPEN_HEAD + begun, b"")
    got = await bad.ask(**fields, stream=True)
    assert got.status == 200 and b"message_stop" not in got.body
    last = got.body.rstrip(b"\n").split(b"\n\n")[-1]
    assert last.startswith(b"event: error\n") and b'"code":"provider_cut_off"' in last


# -- cut at every byte -------------------------------------------------------------------------------------------------

RECORDED = {
    "whole": (answer(WHOLE), False),
    "whole, chunked": (CHUNKED_HEAD + chunked(WHOLE).partition(b"\r\n\r\n")[2], False),
    "whole, gzip": (answer(gzip.compress(WHOLE), 200, "content-encoding: gzip"), False),
    "streamed": (GOOD_STREAM, True),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
async def test_an_answer_reset_at_each_byte(bad: BadProvider, name: str) -> None:
    """All or nothing for a whole answer; for a stream all, or what came and then an error event."""
    said, stream = RECORDED[name]
    intact, ok = b"".join(EVENTS) if stream else WHOLE, False
    for at in range(len(said) + 1):
        bad.play = says(said[:at], "reset" if at % 2 else "close")
        lane, version = WAYS[(at // 2 % 4) * 2][:2]
        got = await bad.ask(lane=lane, version=version, stream=stream)
        ok = bad.rig.settled[-1].request.error_code is None
        if ok:
            assert (got.status, got.body, got.complete) == (200, intact, True), at
            assert at >= len(said) - 7, "only the end of the last chunk may be missing"
        elif got.status == 200:
            assert stream and DONE not in got.body, at
            assert bad.code(got) in ("provider_cut_off", "provider_garbled"), at
        else:
            assert (got.status, bad.code(got)) in ((502, "provider_cut_off"), (502, "provider_garbled")), at
    assert ok, "the whole of it is served"


# -- no connection -----------------------------------------------------------------------------------------------------


def gone(host: str, port: int, **_: Any) -> Any:
    """A resolver: `dead.test` is not there, `slow.test` takes for ever, all else are addresses."""
    if host == "dead.test":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if host == "slow.test":
        STUCK.wait()
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


STUCK = threading.Event()


@pytest.fixture
def stuck() -> Iterator[None]:
    STUCK.clear()
    yield
    STUCK.set()


@contextmanager
def full() -> Iterator[int]:
    """A port whose queue is full: who connects waits."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_providers_that_cannot_be_reached(stuck: None) -> None:
    async with staged(lookup=gone, connect_timeout_s=0.3) as bad:
        with full() as port:
            places = {
                "http://127.0.0.1:1/v1": (502, "Connection refused"),
                "http://dead.test/v1": (502, "Name or service not known"),
                "http://slow.test/v1": (504, "in time"),
                f"http://127.0.0.1:{port}/v1": (504, "in time"),
                "http://255.255.255.255/v1": (502, "No connection"),
            }
            for number, (place, (status, told)) in enumerate(places.items()):
                await bad.add(f"p{number}", place)
                for lane in ("fast", "asgi"):
                    got = await bad.ask(lane=lane, model=f"p{number}/{MODEL}", stream=True)
                    error = got.json["error"]
                    assert (got.status, error["code"]) == (status, "provider_unreachable"), place
                    assert told in error["message"] and "127.0.0.1" not in error["message"]
                    assert error["startline"]["provider"] == f"p{number}"
                    (attempt,) = bad.rig.settled[-1].attempts
                    assert (attempt.error_code, attempt.cost_state) == ("provider_unreachable", "not_charged")


async def test_a_resolver_that_hangs_for_one_stops_no_other(stuck: None) -> None:
    async with staged(lookup=gone, connect_timeout_s=30.0) as bad:
        await bad.add("slow", "http://slow.test/v1")
        bad.play = says(answer(WHOLE))
        body = {"model": f"slow/{MODEL}", "messages": []}
        clients = [await bad.rig.connect() for _ in range(40)]
        for client in clients:
            await client.send(request(key=bad.rig.token, body=body))
        await bad.rig.until(lambda: len(bad.rig.appliance.gateway.live) == 40)
        with trio.fail_after(5):
            client = await bad.rig.connect()
            await client.send(request(key=bad.rig.token, body=body | {"model": f"bad/{MODEL}"}))
            assert (await client.answer()).status == 200
        assert bad.rig.appliance.resolver.lookups <= 2
        for client in clients:
            await client.close()
        await bad.nothing_left()


async def speaks_first(peer: Peer) -> None:
    await peer.send(b"220 a mail server\r\n")
    await peer.gone()


@pytest.mark.parametrize("trouble", ["name", "authority", "plain", "hang"])
async def test_tls_that_fails(certificates: Certificates, trouble: str) -> None:  # noqa: F811
    context = {"name": certificates.elsewhere, "authority": certificates.server}.get(trouble)
    trusted = str(certificates.authority) if trouble == "name" else ""
    async with staged(ca_bundle=trusted, connect_timeout_s=0.5) as bad, trio.open_nursery() as nursery:
        plays: dict[str, Play] = {"plain": speaks_first, "hang": Peer.gone}
        server = Server([plays.get(trouble, says(answer(WHOLE)))], context)
        await nursery.start(server.run)
        await bad.add("tls", f"https://127.0.0.1:{server.port}/v1")
        got = await bad.ask(model=f"tls/{MODEL}")
        told = {"name": "TLS: ", "authority": "TLS: ", "plain": "TLS handshake failed", "hang": "in time"}
        assert got.status == (504 if trouble == "hang" else 502)
        assert got.code == "provider_unreachable" and told[trouble] in got.json["error"]["message"]
        assert server.requests == [], "the credential is not sent to whoever answers"
        nursery.cancel_scope.cancel()


async def test_a_provider_behind_a_proxy(bad: BadProvider) -> None:
    """Its trouble is told as the proxy's; when it opens the tunnel, all else is as without it."""
    proxy = Server([by_turns(b"HTTP/1.1 407 Who\r\n\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")], None)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        await bad.add("behind", "http://llm.test/v1", proxy=f"http://127.0.0.1:{proxy.port}")
        told = []
        for _ in range(2):
            got = await bad.ask(model=f"behind/{MODEL}")
            told.append((got.status, got.json["error"]["message"]))
        assert told == [(502, "The proxy answered 407."), (502, "The proxy did not answer in HTTP.")]
        assert (await bad.ask(model=f"behind/{MODEL}")).body == WHOLE
        connect = proxy.requests[2]
        assert connect.startswith(b"CONNECT llm.test:80 HTTP/1.1\r\n") and b"CANARY" not in connect
        nursery.cancel_scope.cancel()


def by_turns(*said: bytes) -> Play:
    """A proxy's answer to each connection in turn; behind a tunnel, a whole answer."""
    left = list(said)

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(left.pop(0))
        if await peer.request():
            await peer.send(answer(WHOLE))

    return play


async def test_no_provider_at_all(bad: BadProvider) -> None:
    store = bad.rig.appliance.store
    empty = await store.organisations.create("empty", now_unix_s=1 << 33)
    _, token = await store.api_keys.create(empty.organisation_id, "inference", "x", now_unix_s=1)
    for lane in ("fast", "asgi"):
        client = await bad.rig.connect()
        if lane == "asgi":
            await client.send(request("GET", "/healthz"))
            await client.answer("GET")
        await client.send(request(key=token, body={"model": "m", "messages": []}))
        got = await client.answer()
        assert (got.status, got.code) == (503, "no_provider") and "provider add" in got.json["error"]["message"]


# -- silence -----------------------------------------------------------------------------------------------------------


async def test_silence_at_each_phase() -> None:
    """Kept to the second: before the head, before the first content, within the answer, and within a whole one."""
    async with staged(first_content_timeout_s=0.6, idle_timeout_s=0.6) as bad:
        role = chunked(b"")[:-5].replace(b"0\r\n\r\n", b"")
        silences: dict[str, tuple[bytes, bool, int]] = {
            "no head": (b"", False, 504),
            "half a head": (b"HTTP/1.1 200 OK\r\nconte", True, 504),
            "no content": (role, True, 504),
            "within a stream": (BEGUN, True, 200),
            "within a whole answer": (answer(WHOLE)[:-9], False, 504),
        }
        for name, (said, stream, status) in silences.items():
            bad.play = says(said, "silent")
            for lane in ("fast", "asgi"):
                got = await bad.ask(lane=lane, stream=stream)
                assert (got.status, bad.code(got)) == (status, "provider_too_slow"), name
                assert DONE not in got.body
        await bad.server.until(lambda: bad.server.seen_gone == 2 * len(silences))


# -- the pool ----------------------------------------------------------------------------------------------------------


async def test_a_stale_connection_is_replaced_once_and_never_twice(bad: BadProvider) -> None:
    """The provider closes while the next request is on its way: it is sent again, once, and only if it was reused."""
    served = 0

    async def one_each(peer: Peer) -> None:
        nonlocal served
        if await peer.request():
            served += 1
            await peer.send(answer(WHOLE))
            await peer.request()  # taken, and the connection closed without a word

    bad.play = one_each
    first, second = await bad.ask(fresh=False), await bad.ask(fresh=False)
    assert (first.header("x-startline-retries"), second.header("x-startline-retries")) == ("0", "1")
    assert (served, bad.server.connections, len(bad.server.requests)) == (2, 2, 3)
    assert bad.rig.settled[-1].request.retries == 1

    bad.play = says(b"")
    third = await bad.ask(fresh=False)
    assert (third.status, bad.code(third)) == (502, "provider_cut_off")
    assert (bad.server.connections, len(bad.server.requests)) == (3, 5), "the stale one, one more, and no third"


# -- races -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_the_other_rung_wins_whatever_the_first_one_does(bad: BadProvider, stream: bool) -> None:
    spoiled = {name: said for name, (said, _, code) in REFUSED.items() if code not in ("provider_rejected",)}
    spoiled = {name: said for name, said in spoiled.items() if name in STREAM_TOO and name not in ("401", "403")}
    for name, said in spoiled.items():
        bad.play = by_tier(says(said), says(GOOD_STREAM))
        got = await bad.ask(stream=stream, start_within="20s")
        assert (got.status, got.header("x-startline-tier")) == (200, "default"), name
        reason = got.header("x-startline-reason")
        assert reason in ("flex_not_started", "flex_upstream_error", "flex_capacity"), name
        outcomes = [one.outcome for one in bad.rig.settled[-1].attempts]
        assert outcomes[0] in ("failed", "refused") and outcomes[1] == "won"
        assert (DONE in got.body) == stream


async def test_a_rejected_key_ends_a_race(bad: BadProvider) -> None:
    bad.play = by_tier(says(REFUSED["401"][0]), says(GOOD_STREAM))
    got = await bad.ask(start_within="20s")
    assert (got.status, bad.code(got)) == (403, "provider_key_rejected")


async def test_a_winner_that_breaks_is_not_replaced(bad: BadProvider) -> None:
    bad.play = by_tier(says(BEGUN), says(GOOD_STREAM))
    got: Answer = await bad.ask(stream=True, start_within="20s")
    assert (got.status, bad.code(got), got.header("x-startline-reason")) == (200, "provider_cut_off", "flex_won")
    assert len(bad.rig.settled[-1].attempts) == 1
