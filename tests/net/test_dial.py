"""Opening connections: names are found once, by threads of their own, and nothing stays open when it fails."""

import socket
import ssl
import threading
from typing import Any

import pytest
import trio
import trio.testing

from appliance.net.dial import RESOLVER_THREADS, Resolver, dial
from tests.upstream.conftest import Certificates, certificates  # noqa: F401 - a fixture
from tests.upstream.scripted import Peer, Server

pytestmark = pytest.mark.sockets

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


class Names:
    """Stands in for socket.getaddrinfo and counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fails = False

    def __call__(self, *key: Any) -> Any:
        self.asked.append(key)
        if self.fails:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return FOUND


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


async def test_an_answer_is_kept_for_its_time(names: Names) -> None:
    resolver = Resolver(60.0)
    for _ in range(3):
        assert await resolver.getaddrinfo(b"a.test", 80) == FOUND
    await resolver.getaddrinfo(b"a.test", 443)
    assert len(names.asked) == 2
    brief = Resolver(0.0)
    for _ in range(2):
        await brief.getaddrinfo(b"a.test", 80)
    assert len(names.asked) == 4


async def test_a_failure_is_not_kept(names: Names) -> None:
    resolver = Resolver(60.0)
    names.fails = True
    with pytest.raises(socket.gaierror):
        await resolver.getaddrinfo(b"a.test", 80)
    names.fails = False
    assert await resolver.getaddrinfo(b"a.test", 80) == FOUND


async def test_what_is_kept_is_bounded(names: Names) -> None:
    resolver = Resolver(60.0)
    for port in range(1, 1100):
        resolver._known[(b"a.test", port, 0, 0, 0, 0)] = (1e18, FOUND)
    await resolver.getaddrinfo(b"b.test", 80)
    assert len(resolver._known) == 1


async def test_it_has_threads_of_its_own(names: Names) -> None:
    resolver = Resolver(0.0)
    assert resolver._limiter.total_tokens == RESOLVER_THREADS
    assert resolver._limiter is not trio.to_thread.current_default_thread_limiter()
    assert await resolver.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (
        "127.0.0.1",
        "80",
    )


async def echo(peer: Peer) -> None:
    while data := await peer.receive():
        await peer.send(data)


async def started(nursery: trio.Nursery, tls: ssl.SSLContext | None = None) -> Server:
    server = Server([echo], tls)
    await nursery.start(server.run)
    return server


async def test_a_plain_connection(nursery: trio.Nursery) -> None:
    server = await started(nursery)
    stream = await dial("127.0.0.1", server.port, None)
    try:
        assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await stream.send_all(b"abc")
        assert await stream.receive_some() == b"abc"
        assert not stream.tls
    finally:
        stream.close()


async def test_a_secure_connection(nursery: trio.Nursery, certificates: Certificates) -> None:  # noqa: F811
    server = await started(nursery, certificates.server)
    stream = await dial("127.0.0.1", server.port, ssl.create_default_context(cafile=str(certificates.authority)))
    try:
        await stream.send_all(b"abc")
        assert await stream.receive_some() == b"abc"
        assert stream.tls
    finally:
        stream.close()


async def test_a_handshake_that_fails_leaves_nothing_open(
    nursery: trio.Nursery,
    certificates: Certificates,  # noqa: F811
) -> None:
    server = await started(nursery, certificates.elsewhere)
    context = ssl.create_default_context(cafile=str(certificates.authority))
    with pytest.raises(ssl.SSLCertVerificationError):
        await dial("127.0.0.1", server.port, context)


async def test_a_handshake_that_is_cancelled_leaves_nothing_open(nursery: trio.Nursery) -> None:
    server = Server([Peer.gone], None)
    await nursery.start(server.run)
    context = ssl.create_default_context()  # takes long, and must not take the time of the handshake
    with trio.move_on_after(0.2) as scope:
        await dial("127.0.0.1", server.port, context)
    assert scope.cancelled_caught
    await server.until(lambda: server.seen_gone)


async def test_a_refused_connection() -> None:
    with pytest.raises(OSError):
        await dial("127.0.0.1", 1, None)


async def test_a_resolver_that_hangs_does_not_gather_everybody_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()
    monkeypatch.setattr("appliance.net.dial.MOST_LOOKUPS", RESOLVER_THREADS + 2)
    monkeypatch.setattr("appliance.net.dial.socket.getaddrinfo", lambda *_: hang.wait())
    resolver = Resolver(30)
    async with trio.open_nursery() as nursery:
        for nth in range(RESOLVER_THREADS + 2):
            nursery.start_soon(resolver.getaddrinfo, b"%d.test" % nth, 80)
        await trio.testing.wait_all_tasks_blocked()
        assert resolver.lookups == RESOLVER_THREADS + 2
        with pytest.raises(socket.gaierror, match="too many"):
            await resolver.getaddrinfo(b"one.more.test", 80)
        nursery.cancel_scope.cancel()
    hang.set()
