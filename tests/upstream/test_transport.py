"""The pool over real sockets: the stale is replaced once, the doubtful is dropped, the cancelled is closed."""

import gzip
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trio

from appliance.domain.errors import UpstreamFault
from appliance.http1.response import ResponseHead
from appliance.upstream.origin import Origin
from appliance.upstream.transport import Exchange, Pool
from tests.upstream.conftest import Certificates
from tests.upstream.scripted import Dialled, Emptied, Peer, Play, answer, chunked, pool

pytestmark = pytest.mark.sockets
Serve = Callable[..., Any]

HEAD = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"


class Called:
    """One exchange, done."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.sent = 0
        self.head: ResponseHead | None = None
        self.body = b""


async def call(of: Pool, origin: Origin, body: bytes = b"{}") -> Called:
    """Send, read the whole answer, give the connection back. Raises UpstreamFault; then the connection is closed."""
    done = Called(Exchange(of))

    def sent() -> None:
        done.sent += 1

    try:
        done.head = await done.exchange.request(origin, lambda: HEAD % len(body), lambda: body, sent)
        while piece := await done.exchange.body():
            done.body += piece
        done.exchange.finish()
    finally:
        done.exchange.close()
    return done


async def failing(of: Pool, origin: Origin, body: bytes = b"{}") -> tuple[str, str | None]:
    """The code and phase of the fault that a call ends in."""
    with pytest.raises(UpstreamFault) as caught:
        await call(of, origin, body)
    assert of.idle_count() == 0
    return caught.value.code, caught.value.phase


def says(data: bytes, *, then: str = "wait") -> Play:
    """Answer each request with these bytes; then wait for the next, close, or reset."""

    async def play(peer: Peer) -> None:
        while await peer.request():
            await peer.send(data)
            if then == "close":
                return
            if then == "reset":
                await peer.reset()
                return
        await peer.gone()

    return play


async def nothing(peer: Peer) -> None:
    """Take the request and say nothing."""
    await peer.request()
    await peer.gone()


async def slams(peer: Peer) -> None:
    """Take the request and close."""
    await peer.request()


# -- reuse -------------------------------------------------------------------------------------------------------------


async def test_a_clean_connection_is_used_again(serve: Serve) -> None:
    server = await serve(says(answer(b'{"a":1}')))
    async with Emptied(pool()) as p:
        for _ in range(3):
            assert (await call(p, server.origin)).body == b'{"a":1}'
        assert (server.connections, len(server.requests), p.idle_count()) == (1, 3, 1)


@pytest.mark.parametrize(
    ("said", "body", "kept"),
    [
        (answer(b"abc"), b"abc", 1),
        (answer(b""), b"", 1),
        (chunked(b"ab", b"c"), b"abc", 1),
        (answer(b"abc", 200, "connection: close"), b"abc", 0),
        (b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n\r\nuntil the end", b"until the end", 0),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"abc", 0),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + answer(b"abc"), b"abc", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", 1),
        (answer(b"", 302, "location: /elsewhere"), b"", 1),
    ],
)
async def test_answers_and_what_becomes_of_their_connection(serve: Serve, said: bytes, body: bytes, kept: int) -> None:
    server = await serve(says(said, then="close" if not kept else "wait"))
    async with Emptied(pool()) as p:
        assert (await call(p, server.origin)).body == body
        assert p.idle_count() == kept
    assert len(server.requests) == 1, "no redirect is followed"


async def test_bytes_after_an_answer_poison_the_connection(serve: Serve) -> None:
    server = await serve(says(answer(b"abc") + answer(b"of somebody else")))
    async with Emptied(pool()) as p:
        assert (await call(p, server.origin)).body == b"abc"
        assert p.idle_count() == 0
        assert (await call(p, server.origin)).body == b"abc"
    assert server.connections == 2


async def test_bytes_that_come_later_poison_it_too(serve: Serve) -> None:
    late, sent = trio.Event(), trio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"abc"))
        await late.wait()
        await peer.send(answer(b"of somebody else"))
        sent.set()
        await peer.gone()

    server = await serve(play, says(answer(b"new")))
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        late.set()
        await sent.wait()
        assert (await call(p, server.origin)).body == b"new"


async def test_a_connection_closed_while_idle_is_not_used(serve: Serve) -> None:
    server = await serve(says(answer(b"old"), then="close"), says(answer(b"new")))
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        idle = p._idle[server.origin][0]
        await trio.lowlevel.wait_readable(idle.stream.socket)
        done = await call(p, server.origin)
        assert (done.body, done.exchange.retries) == (b"new", 0)


async def second_time(peer: Peer, then: Callable[[Peer], Any]) -> None:
    """Answer the first request; at the second do as told."""
    await peer.request()
    await peer.send(answer(b"old"))
    await peer.request()
    await then(peer)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_closed_when_we_send_is_replaced_once(serve: Serve, how: str) -> None:
    async def stale(peer: Peer) -> None:
        await second_time(peer, Peer.reset if how == "reset" else Peer.close)

    server = await serve(stale, says(answer(b"new")))
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        done = await call(p, server.origin)
        assert (done.body, done.exchange.retries) == (b"new", 1)
    assert len(server.requests) == 3


async def test_it_is_replaced_once_and_never_twice(serve: Serve) -> None:
    async def stale(peer: Peer) -> None:
        await second_time(peer, Peer.close)

    server = await serve(stale, slams)
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        assert await failing(p, server.origin) == ("provider_cut_off", "head")
    assert server.connections == 2


async def test_a_new_connection_is_never_replaced(serve: Serve) -> None:
    server = await serve(slams)
    async with Emptied(pool()) as p:
        assert await failing(p, server.origin) == ("provider_cut_off", "head")
    assert server.connections == 1


async def test_after_the_first_byte_nothing_is_sent_again(serve: Serve) -> None:
    async def stale(peer: Peer) -> None:
        await second_time(peer, lambda peer: peer.send(b"H"))

    server = await serve(stale, says(answer(b"new")))
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        assert await failing(p, server.origin) == ("provider_cut_off", "head")
    assert server.connections == 1


async def test_a_late_end_of_a_reused_connection_is_no_staleness(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.upstream.transport.RETRY_WITHIN_S", -1.0)

    async def stale(peer: Peer) -> None:
        await second_time(peer, Peer.close)

    server = await serve(stale, says(answer(b"new")))
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        assert await failing(p, server.origin) == ("provider_cut_off", "head")


async def test_what_idled_too_long_is_closed(serve: Serve) -> None:
    server = await serve(says(answer(b"abc")))
    async with Emptied(pool(idle_s=0.0)) as p:
        await call(p, server.origin)
        await call(p, server.origin)
    assert server.connections == 2


async def test_the_pool_closes_what_nobody_takes(serve: Serve, nursery: trio.Nursery) -> None:
    dialled = Dialled()
    server = await serve(says(answer(b"abc")))
    p = pool(idle_s=0.02)
    p._dial = dialled
    nursery.start_soon(p.run)
    await call(p, server.origin)
    await server.until(lambda: server.seen_gone)
    assert dialled.streams[0].closed and p.idle_count() == 0


async def test_a_stopped_pool_keeps_nothing(serve: Serve) -> None:
    server = await serve(says(answer(b"abc")))
    p = pool()
    async with Emptied(p):
        await call(p, server.origin)
    assert p.idle_count() == 0
    await call(p, server.origin)
    assert p.idle_count() == 0


async def test_a_pool_keeps_no_more_than_its_share(serve: Serve) -> None:
    server = await serve(says(answer(b"abc")))
    async with Emptied(pool(idle_per_origin=1)) as p, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(call, p, server.origin)
    assert p.idle_count() == 0


# -- warm connections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_warm_connection_is_the_one_used(serve: Serve, certificates: Certificates, secure: bool) -> None:
    server = await serve(says(answer(b"abc")), tls=certificates.server if secure else None)
    async with Emptied(pool(str(certificates.authority))) as p:
        await p.warm(server.origin)
        if secure:  # the session tickets of TLS 1.3, which are no answer
            await trio.lowlevel.wait_readable(p._idle[server.origin][0].stream.socket)
        await p.warm(server.origin)
        assert (await call(p, server.origin)).body == b"abc"
    assert server.connections == 1


async def test_warming_does_not_make_an_idle_connection_young(serve: Serve) -> None:
    server = await serve(says(answer(b"abc")))
    async with Emptied(pool()) as p:
        await call(p, server.origin)
        before = p._idle[server.origin][0].idle_since_s
        await p.warm(server.origin)
        assert p._idle[server.origin][0].idle_since_s == before


async def test_warming_tells_nobody_of_failure() -> None:
    async with Emptied(pool()) as p:
        await p.warm(Origin("http", "127.0.0.1", 1))
        assert p.idle_count() == 0


# -- connections that cannot be had ------------------------------------------------------------------------------------


async def test_connection_refused() -> None:
    with pytest.raises(UpstreamFault) as caught:
        await call(pool(), Origin("http", "localhost", 1))
    fault = caught.value
    assert (fault.code, fault.phase, fault.status) == ("provider_unreachable", "connect", 502)
    assert fault.message == "No connection: Connection refused."


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".test", ".leading"])
async def test_names_that_lead_nowhere(host: str) -> None:
    assert await failing(pool(), Origin("https", host, 443)) == ("provider_unreachable", "connect")


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    async def never(*_: object) -> Any:
        await trio.sleep_forever()

    p = pool(connect_timeout_s=0.01)
    p._dial = never
    with pytest.raises(UpstreamFault) as caught:
        await call(p, Origin("http", "127.0.0.1", 1))
    assert (caught.value.code, caught.value.status, caught.value.phase) == ("provider_unreachable", 504, "connect")


async def test_a_tls_handshake_that_hangs_is_bounded(serve: Serve, certificates: Certificates) -> None:
    server = await serve(Peer.gone)
    p = pool(str(certificates.authority), connect_timeout_s=0.1)
    secure = server.origin._replace(scheme="https")
    assert await failing(p, secure) == ("provider_unreachable", "connect")
    await server.until(lambda: server.seen_gone)


async def test_tls_that_is_none(serve: Serve, certificates: Certificates) -> None:
    async def play(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await serve(play)
    secure = server.origin._replace(scheme="https")
    assert await failing(pool(str(certificates.authority)), secure) == ("provider_unreachable", "tls")


async def test_tls_with_an_authority_that_we_trust(serve: Serve, certificates: Certificates) -> None:
    server = await serve(says(answer(b"x" * 100_000)), tls=certificates.server)
    async with Emptied(pool(str(certificates.authority))) as p:
        for _ in range(2):
            assert (await call(p, server.origin, b"y" * 100_000)).body == b"x" * 100_000
    assert server.connections == 1


async def test_tls_for_another_name(serve: Serve, certificates: Certificates) -> None:
    server = await serve(says(answer()), tls=certificates.elsewhere)
    assert await failing(pool(str(certificates.authority)), server.origin) == ("provider_unreachable", "tls")
    assert server.requests == []


async def test_tls_of_an_authority_that_nobody_knows(serve: Serve, certificates: Certificates) -> None:
    server = await serve(says(answer()), tls=certificates.server)
    assert await failing(pool(), server.origin) == ("provider_unreachable", "tls")
    assert server.requests == []


async def test_a_bundle_that_is_not_there() -> None:
    assert await failing(pool("/no/such/file"), Origin("https", "127.0.0.1", 1)) == ("provider_unreachable", "connect")


# -- answers that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code", "phase"),
    [
        (b"", "provider_cut_off", "head"),
        (b"HTTP/1.1 200 OK\r\ncont", "provider_cut_off", "head"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "provider_cut_off", "body"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "provider_cut_off", "body"),
        (b"SSH-2.0-OpenSSH\r\n", "provider_garbled", "head"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "provider_garbled", "head"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "provider_garbled", "body"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, "provider_garbled", "head"),
        (b"HTTP/1.1 103 Early\r\n\r\n" * 100, "provider_garbled", "head"),
        (answer(b"abc", 200, "content-encoding: compress"), "provider_garbled", "body"),
    ],
)
async def test_what_is_no_answer(serve: Serve, said: bytes, code: str, phase: str) -> None:
    server = await serve(says(said, then="close"))
    assert await failing(pool(), server.origin) == (code, phase)


async def test_an_answer_that_is_reset_in_the_middle(serve: Serve) -> None:
    server = await serve(says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", then="reset"))
    assert (await failing(pool(), server.origin))[0] == "provider_cut_off"


async def test_an_answer_before_the_request_was_sent_whole_counts(serve: Serve) -> None:
    async def early(peer: Peer) -> None:
        await peer.receive()
        await peer.send(answer(b"too large", 413))

    server = await serve(early)
    async with Emptied(pool()) as p:
        done = await call(p, server.origin, b"x" * 30_000_000)
        assert done.head is not None and (done.head.status, done.body) == (413, b"too large")
        assert (done.sent, p.idle_count()) == (0, 0)


async def test_a_provider_that_takes_no_bytes_is_given_up(serve: Serve) -> None:
    async def deaf(_: Peer) -> None:
        await trio.sleep_forever()

    server = await serve(deaf)
    dialled = Dialled()

    async def impatient(host: str, port: int, tls: ssl.SSLContext | None) -> Any:
        stream = await dialled(host, port, tls)
        stream.write_timeout_s = 0.05
        return stream

    p = pool()
    p._dial = impatient
    assert await failing(p, server.origin, b"x" * 30_000_000) == ("provider_cut_off", "send")


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_cancelling_closes_the_socket_before_the_scope_is_left(serve: Serve) -> None:
    server = await serve(nothing)
    dialled = Dialled()
    p = pool()
    p._dial = dialled
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancelled_when_asked, p, server)
    assert dialled.streams[0].closed
    await server.until(lambda: server.seen_gone)


async def _cancelled_when_asked(p: Pool, server: Any) -> None:
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            exchange = Exchange(p)
            try:
                await exchange.request(server.origin, lambda: HEAD % 0, bytes, lambda: None)
            finally:
                exchange.close()

        nursery.start_soon(ask)
        await server.until(lambda: server.requests)
        nursery.cancel_scope.cancel()


# -- the credential ----------------------------------------------------------------------------------------------------


async def test_nobody_holds_the_credential_while_we_wait(serve: Serve) -> None:
    server = await serve(nothing)
    parts = ("canary", "of", "a", "credential")
    secret = "-".join(parts).encode()

    def head() -> bytes:
        return b"POST / HTTP/1.1\r\nauthorization: " + "-".join(parts).encode() + b"\r\ncontent-length: 0\r\n\r\n"

    p = pool()
    async with trio.open_nursery() as nursery:
        exchange = Exchange(p)
        nursery.start_soon(exchange.request, server.origin, head, bytes, lambda: None)
        await server.until(lambda: server.requests)
        assert secret in server.requests.pop()
        tasks = [task for task in _tasks(trio.lowlevel.current_root_task()) if task.coro.cr_frame is not None]
        held = [
            value
            for task in tasks
            for frame in _frames(task)
            if not frame.f_code.co_filename.startswith(__file__.rpartition("/")[0])
            for value in frame.f_locals.values()
        ]
        assert not any(isinstance(value, bytes) and secret in value for value in held)
        nursery.cancel_scope.cancel()
    exchange.close()


def _tasks(task: Any) -> list[Any]:
    return [task, *(one for nursery in task.child_nurseries for child in nursery.child_tasks for one in _tasks(child))]


def _frames(task: Any) -> list[Any]:
    frames, awaited = [], task.coro
    while awaited is not None:
        if (frame := getattr(awaited, "cr_frame", None)) is not None:
            frames.append(frame)
        awaited = getattr(awaited, "cr_await", None)
    return frames


# -- compression that nobody asked for ---------------------------------------------------------------------------------


async def test_a_compressed_answer_is_read_as_what_it_stands_for(serve: Serve) -> None:
    said = gzip.compress(b'{"a":1}' * 1000)
    server = await serve(says(answer(said, 200, "content-encoding: gzip")))
    async with Emptied(pool()) as p:
        assert (await call(p, server.origin)).body == b'{"a":1}' * 1000
        assert p.idle_count() == 1


async def test_a_compressed_answer_cut_short_is_cut_off(serve: Serve) -> None:
    said = gzip.compress(b'{"a":1}' * 1000)[:-4]
    server = await serve(says(answer(said, 200, "content-encoding: gzip")))
    with pytest.raises(UpstreamFault) as caught:
        await call(pool(), server.origin)
    assert (caught.value.code, caught.value.phase) == ("provider_cut_off", "body")
