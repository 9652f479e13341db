"""Opening connections: names are found once, by threads of their own, and nothing stays open when it fails."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import trio

from appliance.net.dial import Dialer, NotPublic, ProxyRefused
from appliance.net.resolver import Lookup, Resolver
from appliance.net.stream import SocketStream
from tests.upstream.conftest import Certificates, certificates  # noqa: F401 - a fixture
from tests.upstream.scripted import Peer, Play, Server

pytestmark = pytest.mark.sockets


def names(**addresses: list[str]) -> Lookup:
    """A resolver by a table; `a_test=[…]` are the addresses of a.test."""

    def lookup(host: str, port: int, **_: Any) -> Any:
        found = addresses.get(host.replace(".", "_"), [host])
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text, port, 0, 0))
            if ":" in text
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in found
        ]

    return lookup


def dialer(**addresses: list[str]) -> Dialer:
    return Dialer(Resolver(0.0, names(**addresses)))


async def dial(host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
    return await dialer()(host, port, tls)


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
    context = ssl.create_default_context()
    async with trio.open_nursery() as dialling:
        dialling.start_soon(dial, "127.0.0.1", server.port, context)
        while not server.connections:
            await trio.lowlevel.checkpoint()
        dialling.cancel_scope.cancel()
    await server.until(lambda: server.seen_gone)


async def test_a_refused_connection() -> None:
    with pytest.raises(OSError):
        await dial("127.0.0.1", 1, None)


async def test_the_next_address_is_tried_when_one_is_refused(nursery: trio.Nursery) -> None:
    server = await started(nursery)
    stream = await dialer(a_test=["127.0.0.9", "::1", "127.0.0.1"])("a.test", server.port, None)
    assert stream.socket.getpeername()[0] == "127.0.0.1"
    stream.close()


async def test_the_next_address_is_tried_while_one_does_not_answer(nursery: trio.Nursery) -> None:
    server = await started(nursery)
    with full() as silent_port, trio.fail_after(5):
        table = {"a_test": [(socket.AF_INET, 1, 6, "", ("127.0.0.1", silent_port)), *names()("127.0.0.1", server.port)]}
        stream = await Dialer(Resolver(0.0, lambda *_, **__: table["a_test"]))("a.test", 1, None)
    assert stream.socket.getpeername()[1] == server.port
    stream.close()


async def test_a_cancellation_in_the_pass_of_the_connection_leaves_nothing_open() -> None:
    """The listener hears of the connection in the same pass as the dialler, which was not yet given it."""
    kept: list[BaseException] = []  # nothing may be closed by being forgotten
    listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener[0].socket.getsockname()[1]
    async with listener[0]:
        for _ in range(10):
            with trio.fail_after(5):
                async with trio.open_nursery() as dialling:
                    dialling.start_soon(_keep_what_ends, kept, dialer(a_test=["127.0.0.1", "::1"]), port)
                    accepted = await listener[0].accept()
                    dialling.cancel_scope.cancel()
                async with accepted:
                    assert await accepted.receive_some() == b""
    assert len(kept) == 10


async def _keep_what_ends(kept: list[BaseException], dial: Dialer, port: int) -> None:
    try:
        await dial("a.test", port, None)
    except BaseException as ended:
        kept.append(ended)
        raise


async def test_when_all_fail_the_first_reason_is_told(nursery: trio.Nursery) -> None:
    with pytest.raises(ConnectionRefusedError):
        await dialer(a_test=["127.0.0.9", "127.0.0.8"])("a.test", 1, None)
    with pytest.raises(OSError, match="no address"):
        await dialer(a_test=[])("a.test", 1, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
async def test_only_public_addresses_are_connected_to(nursery: trio.Nursery, host: str) -> None:
    server = await started(nursery)
    with pytest.raises(NotPublic):
        await dialer(a_test=[host]).public("a.test", server.port, None)
    assert server.connections == 0


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "localhost.", "127.0.0.1."]
)
async def test_odd_spellings_are_judged_by_what_they_mean(nursery: trio.Nursery, host: str) -> None:
    server = await started(nursery)
    with pytest.raises((NotPublic, socket.gaierror)):
        await Dialer(Resolver(0.0)).public(host, server.port, None)
    assert server.connections == 0


async def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(nursery: trio.Nursery) -> None:
    """Rebinding: it is asked once for each connection, and what was judged is what is connected to."""
    server, asked = await started(nursery), 0

    def rebinding(host: str, port: int, **_: Any) -> Any:
        nonlocal asked
        asked += 1
        return names()("192.0.2.1" if asked % 2 else "127.0.0.1", port)

    judged: list[str] = []

    def allowed(address: str) -> bool:
        judged.append(address)
        return address == "192.0.2.1"

    dial = Dialer(Resolver(0.0, rebinding), allowed).public
    with trio.move_on_after(0.1), pytest.raises(OSError):  # unreachable at once, or silent
        await dial("a.test", server.port, None)
    assert asked == 1 and judged[0] == "192.0.2.1"
    with pytest.raises(NotPublic):
        await dial("a.test", server.port, None)
    assert server.connections == 0


async def test_of_several_addresses_only_the_public_are_tried(nursery: trio.Nursery) -> None:
    server = await started(nursery)
    allowed = Dialer(Resolver(0.0, names(a_test=["127.0.0.1", "127.0.0.2"])), lambda text: text == "127.0.0.2")
    with pytest.raises(ConnectionRefusedError):  # the server listens on 127.0.0.1 alone
        await allowed.public("a.test", server.port, None)
    assert server.connections == 0


async def test_this_machine_by_its_own_address_is_not_public(nursery: trio.Nursery) -> None:
    """What listens on all addresses of this machine may count on its firewall, which we would be behind."""
    server = await started(nursery)
    with pytest.raises(NotPublic):
        await Dialer(Resolver(0.0, names()), lambda _: True).public("127.0.0.1", server.port, None)


async def test_the_peer_is_judged_again_when_connected(nursery: trio.Nursery) -> None:
    server = await started(nursery)
    verdicts = iter([True, False])
    with pytest.raises(NotPublic):
        await Dialer(Resolver(0.0, names()), lambda _: next(verdicts)).public("127.0.0.1", server.port, None)


# -- proxies -----------------------------------------------------------------------------------------------------------


def tunnels(to: Server) -> Play:
    """A proxy that opens a tunnel to a server, wherever it is asked to."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: a\r\n\r\n")
        behind = await trio.open_tcp_stream("127.0.0.1", to.port)

        async def back() -> None:
            while data := await behind.receive_some():
                await peer.send(data)

        async with behind, trio.open_nursery() as nursery:
            nursery.start_soon(back)
            while data := await peer.receive():
                await behind.send_all(data)
            nursery.cancel_scope.cancel()

    return play


@pytest.mark.parametrize("secure", [False, True])
async def test_through_a_proxy(
    nursery: trio.Nursery,
    certificates: Certificates,  # noqa: F811
    secure: bool,
) -> None:
    server = await started(nursery, certificates.server if secure else None)
    proxy = Server([tunnels(server)], None)
    await nursery.start(proxy.run)
    context = ssl.create_default_context(cafile=str(certificates.authority)) if secure else None
    stream = await dialer(proxy_test=["127.0.0.1"]).through(("proxy.test", proxy.port), "127.0.0.1", 443, context)
    await stream.send_all(b"abc")
    assert await stream.receive_some() == b"abc" and stream.tls is secure
    stream.close()
    assert proxy.requests == [b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nhost: 127.0.0.1:443\r\n\r\n"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 407),
        (b"HTTP/1.0 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nabc", 502),
        (b"HTTP/1.1 200 OK\r\n\r\n220 who speaks before he is asked", 200),
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, 200),
        (b"", 0),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(nursery: trio.Nursery, said: bytes, status: int) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)

    proxy = Server([play], None)
    await nursery.start(proxy.run)
    with pytest.raises(ProxyRefused) as refused:
        await dialer().through(("127.0.0.1", proxy.port), "llm.test", 443, None)
    assert refused.value.status == status
