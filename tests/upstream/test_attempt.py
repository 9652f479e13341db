"""One attempt over real sockets: it reports its start or its fault, and leaves nothing open whichever way it ends."""

import zlib
from collections.abc import Callable
from typing import Any

import brotli
import msgspec
import pytest
import trio
import zstandard

from appliance.domain.catalog import Rung
from appliance.domain.errors import ApplianceFault
from appliance.upstream.attempt import Attempt
from appliance.upstream.target import target
from appliance.upstream.transport import Pool
from appliance.wire import openai_chat
from tests.upstream.scripted import Dialled, Emptied, Peer, Play, answer, chunked, pool

pytestmark = pytest.mark.sockets
Serve = Callable[..., Any]
BODY = b'{"model":"m"}'


def event(**facts: Any) -> bytes:
    return b"data: " + msgspec.json.encode({"id": "c", "service_tier": "flex"} | facts) + b"\n\n"


def delta(**given: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": given, "finish_reason": None}])


ROLE, WORD, DONE = delta(role="assistant", content=""), delta(content="Hi"), b"data: [DONE]\n\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Trying:
    """An attempt at a server, and what it dialled."""

    def __init__(self, of: Pool, server: Any, *, stream: bool = True, **facts: Any) -> None:
        self.pool = of
        self.dialled = Dialled()
        of._dial = self.dialled
        self.attempt = Attempt(
            of,
            target(server.provider(), b"/chat/completions"),
            Rung("scripted", "m", "flex"),
            1,
            dialect=openai_chat,
            headers=[],
            body=BODY,
            reader=openai_chat.StreamReader() if stream else None,
            now_unix_s=lambda: 0.0,
            **facts,
        )

    async def begin(self, secret: Callable[[], str] = lambda: "sk-1") -> Attempt:
        await self.attempt.begin(secret)
        return self.attempt

    @property
    def open(self) -> int:
        """Connections in use."""
        return sum(not stream.closed for stream in self.dialled.streams) - self.pool.idle_count()


def says(*pieces: bytes, close: bool = False) -> Play:
    async def play(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await peer.send(piece)
        if not close:
            await peer.gone()

    return play


async def test_a_stream_from_start_to_end(serve: Serve) -> None:
    server = await serve(says(chunked(ROLE, WORD, DONE)))
    async with Emptied(pool()) as p:
        trying = Trying(p, server)
        attempt = await trying.begin()
        assert attempt.fault is None and attempt.started_s is not None and attempt.content_s == attempt.started_s
        assert attempt.first == ROLE + WORD
        assert (attempt.body, attempt.body_bytes) == (b"", len(BODY)), "what was sent is not kept"
        assert await attempt.more() == b""
        assert (attempt.end, attempt.reader and attempt.reader.terminal_event) == ("complete", DONE)
        await attempt.drain()
        attempt.close()
        assert (p.idle_count(), trying.open) == (1, 0)
        assert server.requests[0].endswith(b"\r\n\r\n" + BODY)


async def test_a_whole_answer(serve: Serve) -> None:
    server = await serve(says(answer(b'{"id":"c"}')))
    async with Emptied(pool()) as p:
        attempt = await Trying(p, server, stream=False).begin()
        assert (attempt.whole, attempt.end, attempt.fault) == (b'{"id":"c"}', "complete", None)
        assert p.idle_count() == 1


FAULTS: list[tuple[bool, bytes, str, str | None]] = [
    (True, answer(b'{"error":{"code":"resource_unavailable"}}', 429), "provider_refused", "resource_unavailable"),
    (True, answer(b'{"error":{"code":"insufficient_quota"}}', 429), "provider_rate_limited", "insufficient_quota"),
    (True, answer(b"<html>", 503, kind="text/html"), "provider_refused", None),
    (True, answer(b"", 302, "location: http://elsewhere.test/"), "provider_error", None),
    (True, answer(b"", 401), "provider_key_rejected", None),
    (True, answer(b"<html>", kind="text/html"), "provider_garbled", None),
    (False, answer(b"<html>", kind="text/html"), "provider_garbled", None),
    (True, chunked(ROLE), "provider_cut_off", None),
    (True, chunked(ROLE, b"data: {nonsense}\n\n"), "provider_garbled", None),
    (True, chunked(ROLE, b'data: {"error":{"code":"server_error"}}\n\n'), "provider_error", "server_error"),
    (True, STREAM_HEAD + chunk(ROLE), "provider_cut_off", None),
    (False, answer(b"x" * 100)[:-1], "provider_cut_off", None),
    (True, b"", "provider_cut_off", None),
]


@pytest.mark.parametrize(("stream", "said", "code", "told"), FAULTS)
async def test_faults_before_the_start(serve: Serve, stream: bool, said: bytes, code: str, told: str | None) -> None:
    server = await serve(says(said, close=True))
    async with Emptied(pool()) as p:
        trying = Trying(p, server, stream=stream)
        attempt = await trying.begin()
        fault = attempt.fault
        assert fault is not None and (fault.code, fault.provider_code, fault.provider) == (code, told, "scripted")
        assert (attempt.end, attempt.started_s, trying.open) == ("failed", None, 0)
        assert fault.__traceback__ is None and fault.__context__ is None, "a kept fault keeps no frames"
    assert len(server.requests) == 1


async def test_an_error_read_whole_gives_its_connection_back(serve: Serve) -> None:
    server = await serve(says(answer(b"{}", 500)))
    async with Emptied(pool()) as p:
        await Trying(p, server).begin()
        assert p.idle_count() == 1


async def test_an_error_whose_body_does_not_come_is_still_that_error(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.upstream.attempt.ERROR_BODY_S", 0.05)
    server = await serve(says(answer(b"x" * 100, 429)[:-50]))
    async with Emptied(pool()) as p:
        trying = Trying(p, server)
        attempt = await trying.begin()
        assert attempt.fault is not None and attempt.fault.code == "provider_refused"
        assert (trying.open, p.idle_count()) == (0, 0)


async def test_an_error_without_end_is_bounded(serve: Serve) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 500 Said\r\ncontent-type: a/b\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)

    server = await serve(play)
    trying = Trying(pool(), server)
    attempt = await trying.begin()
    assert attempt.fault is not None and attempt.fault.body is None
    assert trying.open == 0 and attempt.received_bytes < 4_000_000


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_held_of_an_answer_is_bounded(serve: Serve, stream: bool) -> None:
    said = chunked(*[b": padding\n\n"] * 20_000) if stream else answer(b"x" * 200_000)
    server = await serve(says(said))
    trying = Trying(pool(), server, stream=stream, most_bytes=100_000)
    attempt = await trying.begin()
    assert attempt.fault is not None and attempt.fault.code == "provider_garbled"
    assert trying.open == 0


async def test_a_stream_cut_after_its_start(serve: Serve) -> None:
    server = await serve(says(STREAM_HEAD + chunk(ROLE + WORD), close=True))
    trying = Trying(pool(), server)
    attempt = await trying.begin()
    assert (attempt.first, attempt.end) == (ROLE + WORD, "running")
    assert await attempt.more() == b""
    assert attempt.fault is not None and (attempt.fault.code, attempt.end) == ("provider_cut_off", "failed")
    assert trying.open == 0


async def test_cancelling_closes_the_socket_at_once(serve: Serve) -> None:
    server = await serve(says(STREAM_HEAD + chunk(ROLE)))
    trying = Trying(pool(), server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trying.begin)
        await server.until(lambda: server.requests)
        nursery.cancel_scope.cancel()
    assert (trying.attempt.end, trying.open) == ("cancelled", 0)
    await server.until(lambda: server.seen_gone)


async def test_closing_from_outside_ends_the_attempt_without_a_fault(serve: Serve) -> None:
    server = await serve(says(STREAM_HEAD + chunk(ROLE)))
    trying = Trying(pool(), server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trying.begin)
        await server.until(lambda: server.requests)
        trying.attempt.close()
        assert trying.open == 0, "closed before its task has heard of it"
    assert (trying.attempt.end, trying.attempt.fault) == ("cancelled", None)


async def test_an_attempt_closed_before_it_began_sends_nothing(serve: Serve) -> None:
    server = await serve(says(answer()))
    trying = Trying(pool(), server)
    trying.attempt.close()
    attempt = await trying.begin()
    assert (attempt.end, attempt.fault, attempt.sent_s, trying.dialled.streams) == ("cancelled", None, None, [])


async def test_an_attempt_closed_while_it_connects_sends_nothing(serve: Serve) -> None:
    server = await serve(says(answer()))
    async with Emptied(pool()) as p:
        trying = Trying(p, server)

        async def closed_meanwhile(*where: Any) -> Any:
            stream = await trying.dialled(*where)
            trying.attempt.close()
            return stream

        p._dial = closed_meanwhile
        attempt = await trying.begin()
        assert (attempt.end, attempt.fault, attempt.sent_s) == ("cancelled", None, None)
        assert (trying.open, p.idle_count()) == (0, 1)
    assert server.requests == []


async def test_an_attempt_closed_on_a_reused_connection_opens_no_other(serve: Serve) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"{}"))
        await peer.request()
        await peer.gone()

    server = await serve(play)
    async with Emptied(pool()) as p:
        await Trying(p, server, stream=False).begin()
        trying = Trying(p, server)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trying.begin)
            await server.until(lambda: len(server.requests) == 2)
            trying.attempt.close()
        assert (trying.attempt.retries, trying.dialled.streams, server.connections) == (0, [], 1)


async def test_an_attempt_in_a_cancelled_scope_sends_nothing_over_a_pooled_connection(serve: Serve) -> None:
    server = await serve(says(answer(b"{}")))
    async with Emptied(pool()) as p:
        await Trying(p, server, stream=False).begin()
        trying = Trying(p, server)
        with trio.CancelScope() as scope:
            scope.cancel()
            await trying.begin()
        assert (trying.attempt.end, p.idle_count(), len(server.requests)) == ("cancelled", 1, 1)


async def test_closing_after_the_terminal_event_leaves_nothing_open(serve: Serve) -> None:
    server = await serve(says(STREAM_HEAD + chunk(ROLE + WORD + DONE)))
    trying = Trying(pool(), server)
    attempt = await trying.begin()
    assert await attempt.more() == b"" and attempt.end == "complete"
    attempt.close()
    attempt.close()
    assert (trying.open, attempt.end) == (0, "complete")


async def test_a_provider_that_dawdles_after_the_terminal_event_loses_its_connection(serve: Serve) -> None:
    server = await serve(says(STREAM_HEAD + chunk(ROLE + WORD + DONE)))
    async with Emptied(pool()) as p:
        trying = Trying(p, server)
        attempt = await trying.begin()
        await attempt.more()
        await attempt.drain()
        assert (trying.open, p.idle_count()) == (0, 0)


async def test_a_secret_that_cannot_be_had_is_the_attempts_fault(serve: Serve) -> None:
    def locked() -> str:
        raise ApplianceFault("vault_locked")

    server = await serve(says(answer()))
    trying = Trying(pool(), server)
    attempt = await trying.begin(locked)
    assert attempt.fault is not None and attempt.fault.code == "vault_locked"
    assert (trying.open, server.requests) == (0, [])


async def test_a_bug_closes_and_is_raised(serve: Serve) -> None:
    def broken() -> str:
        raise RuntimeError

    server = await serve(says(answer()))
    trying = Trying(pool(), server)
    with pytest.raises(RuntimeError):
        await trying.begin(broken)
    assert trying.open == 0


async def test_an_attempt_keeps_no_credential(serve: Serve) -> None:
    server = await serve(says(answer(b"{}", 500)))
    async with Emptied(pool()) as p:
        attempt = await Trying(p, server).begin(lambda: "canary-credential")
        held = [getattr(attempt, name) for name in Attempt.__slots__]
        assert b"canary-credential" in server.requests[0]
        assert "canary" not in repr(held) and attempt._secret is None


def zipped(coding: str, *pieces: bytes) -> list[bytes]:
    """Each piece compressed so that it can be read when it comes."""
    if coding == "br":
        brotlied = brotli.Compressor()
        return [brotlied.process(piece) + brotlied.flush() for piece in pieces] + [brotlied.finish()]
    if coding == "zstd":
        packer = zstandard.ZstdCompressor().compressobj()
        flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return [packer.compress(piece) + packer.flush(flush) for piece in pieces] + [packer.flush()]
    deflater = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return [deflater.compress(piece) + deflater.flush(zlib.Z_SYNC_FLUSH) for piece in pieces] + [deflater.flush()]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_compressed_stream_starts_when_its_first_word_comes(serve: Serve, coding: str) -> None:
    started = trio.Event()
    first, *rest = zipped(coding, ROLE + WORD, DONE)

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: " + coding.encode() + b"\r\n\r\n"))
        await peer.send(chunk(first))
        await started.wait()
        await peer.send(b"".join(map(chunk, rest)) + b"0\r\n\r\n")
        await peer.gone()

    server = await serve(play)
    async with Emptied(pool()) as p:
        attempt = await Trying(p, server).begin()
        assert attempt.first == ROLE + WORD
        started.set()
        assert await attempt.more() == b"" and attempt.end == "complete"
        await attempt.drain()
        assert p.idle_count() == 1


async def test_a_retry_is_told(serve: Serve) -> None:
    async def stale(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"{}"))
        await peer.request()

    server = await serve(stale, says(answer(b"{}")))
    async with Emptied(pool()) as p:
        assert (await Trying(p, server, stream=False).begin()).retries == 0
        attempt = await Trying(p, server, stream=False).begin()
        assert (attempt.retries, attempt.fault) == (1, None)
