"""The one stream under both lanes and the pool: no byte lost, no wait without an end, closed when it says so."""

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from appliance.net.stream import APART_BYTES, ENCRYPT_BYTES, READS_WITHOUT_WAIT, RECEIVE_BYTES, SocketStream
from tests.upstream.conftest import Certificates, certificates  # noqa: F401 - a fixture

pytestmark = pytest.mark.sockets


class Pair:
    """Two ends of one connection, closed at the end."""

    def __init__(self, *, tcp: bool = False, write_timeout_s: float = 60.0) -> None:
        if tcp:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                one = socket.create_connection(listener.getsockname())
                other, _ = listener.accept()
        else:
            one, other = socket.socketpair()
        self.one = SocketStream(one, write_timeout_s)
        self.other = SocketStream(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.one.close()
        self.other.close()


@asynccontextmanager
async def secure_pair(certificates: Certificates) -> AsyncIterator[Pair]:  # noqa: F811
    """A pair that speaks TLS; `one` is the client."""
    with Pair(tcp=True) as pair:
        context = ssl.create_default_context(cafile=str(certificates.authority))

        async def accept() -> None:
            await pair.other.start_tls(certificates.server, None, server_side=True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            await pair.one.start_tls(context, "127.0.0.1", server_side=False)
        yield pair


@asynccontextmanager
async def plain_pair() -> AsyncIterator[Pair]:
    """A pair that speaks plainly, with small buffers."""
    with Pair() as pair:
        pair.one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        yield pair


async def read_all(stream: SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive_some()
    return data


def pattern(size: int) -> bytes:
    return bytes(range(251)) * (size // 251 + 1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_all_bytes_arrive_in_order(size: int, kind: type) -> None:
    data = pattern(size)
    with Pair() as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.one.send_all, kind(data))
            assert await read_all(pair.other, len(data)) == data


async def test_sending_nothing_sends_nothing() -> None:
    with Pair() as pair:
        await pair.one.send_all(b"")
        pair.one.close()
        assert await pair.other.receive_some() == b""


async def test_the_orderly_end_is_empty_bytes() -> None:
    with Pair(tcp=True) as pair:
        await pair.one.send_all(b"last")
        pair.one.end_sending()
        assert (await pair.other.receive_some(), await pair.other.receive_some()) == (b"last", b"")
        await pair.other.send_all(b"still heard")
        assert await pair.one.receive_some() == b"still heard"


async def test_a_reset_breaks_the_connection() -> None:
    with Pair(tcp=True) as pair:
        pair.other.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.other.close()
        with pytest.raises(trio.BrokenResourceError):
            await pair.one.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await pair.one.send_all(b"x")
        assert pair.one.send_now(b"x") == 0
        pair.one.end_sending()
        assert pair.one.closed, "there is nobody left to tell"


async def test_a_peer_that_takes_nothing_breaks_the_connection() -> None:
    with Pair(write_timeout_s=0.05) as pair:
        with pytest.raises(trio.BrokenResourceError):
            await pair.one.send_all(b"x" * 10_000_000)
        assert pair.one.closed


async def test_a_peer_that_takes_little_does_not(autojump_clock: trio.testing.MockClock) -> None:
    data = pattern(3_000_000)
    with Pair(write_timeout_s=5.0) as pair:
        got = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.one.send_all, data)
            while len(got) < len(data):
                await trio.sleep(0.9)
                got += await pair.other.receive_some()
        assert got == data
        assert trio.current_time() > 10


async def test_cancelling_a_send_leaves_the_stream_open() -> None:
    with Pair() as pair:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pair.one.send_all, b"x" * 10_000_000)
                await wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught and not pair.one.closed


async def test_send_now_waits_for_nothing() -> None:
    with Pair() as pair:
        assert pair.one.send_now(b"abc") == 3
        taken = 0
        while piece := pair.one.send_now(b"x" * 100_000):
            taken += piece
        assert len(await read_all(pair.other, 3 + taken)) == 3 + taken


@pytest.mark.parametrize("what", ["receive", "send"])
async def test_closing_wakes_who_waits(what: str) -> None:
    with Pair() as pair:

        async def waits() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await (pair.one.receive_some() if what == "receive" else pair.one.send_all(b"x" * 10_000_000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await wait_all_tasks_blocked()
            pair.one.close()
        assert pair.one.closed


async def test_a_closed_stream_says_so() -> None:
    with Pair() as pair:
        pair.one.close()
        pair.one.close()
        with pytest.raises(trio.ClosedResourceError):
            await pair.one.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await pair.one.send_all(b"x")
        assert pair.one.send_now(b"x") == 0
        assert not pair.one.only_records()


async def test_a_peer_that_never_lets_us_wait_does_not_starve_the_others() -> None:
    with Pair(tcp=True) as pair:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async def flood() -> None:
            while True:
                await pair.other.send_all(b"x" * RECEIVE_BYTES * 16)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            nursery.start_soon(others)
            await wait_readable_well(pair.one)
            before = turns
            for _ in range(READS_WITHOUT_WAIT * 4):
                await pair.one.receive_some(1024)
            assert turns - before >= 3
            nursery.cancel_scope.cancel()


async def wait_readable_well(stream: SocketStream) -> None:
    await trio.lowlevel.wait_readable(stream.socket)


async def test_tls_carries_all_bytes_both_ways(certificates: Certificates) -> None:  # noqa: F811
    data = pattern(1_000_000)
    async with secure_pair(certificates) as pair, trio.open_nursery() as nursery:
        assert pair.one.tls and pair.other.tls
        nursery.start_soon(pair.one.send_all, data)
        nursery.start_soon(pair.other.send_all, data)

        async def receive(stream: SocketStream) -> None:
            assert await read_all(stream, len(data)) == data

        nursery.start_soon(receive, pair.one)
        nursery.start_soon(receive, pair.other)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("size", [0, 1, APART_BYTES, ENCRYPT_BYTES, ENCRYPT_BYTES + 1])
async def test_a_message_is_its_head_and_its_body(size: int, secure: bool, certificates: Certificates) -> None:  # noqa: F811
    head, body = b"head" * 50_000, pattern(size)[:size]  # more than a socket takes at once, so that its rest follows
    async with secure_pair(certificates) if secure else plain_pair() as pair, trio.open_nursery() as nursery:
        for start in (b"short", head):
            nursery.start_soon(pair.one.send_message, start, body)
            assert await read_all(pair.other, len(start) + size) == start + body


async def test_what_is_left_of_a_tls_record_is_not_waited_for(certificates: Certificates) -> None:  # noqa: F811
    async with secure_pair(certificates) as pair:
        await pair.other.send_all(b"abcdefgh")
        assert [await pair.one.receive_some(3) for _ in range(3)] == [b"abc", b"def", b"gh"]


async def test_records_that_are_full_are_followed_by_what_comes_next(certificates: Certificates) -> None:  # noqa: F811
    async with secure_pair(certificates) as pair:
        data = pattern(16_384 * 3 + 10)
        await pair.other.send_all(data)
        assert await read_all(pair.one, len(data)) == data


async def test_session_tickets_are_not_bytes_for_us(certificates: Certificates) -> None:  # noqa: F811
    async with secure_pair(certificates) as pair:
        await trio.lowlevel.wait_readable(pair.one.socket)
        assert pair.one.only_records()
        await pair.other.send_all(b"unasked")
        await trio.lowlevel.wait_readable(pair.one.socket)
        assert not pair.one.only_records()


async def test_the_end_of_a_tls_connection_is_no_record(certificates: Certificates) -> None:  # noqa: F811
    async with secure_pair(certificates) as pair:
        pair.other.close()
        while pair.one.only_records():
            await trio.lowlevel.wait_readable(pair.one.socket)
        assert await pair.one.receive_some() == b""


async def test_a_peer_gone_in_the_handshake_breaks_it(certificates: Certificates) -> None:  # noqa: F811
    with Pair(tcp=True) as pair:
        context = ssl.create_default_context(cafile=str(certificates.authority))

        async def leave() -> None:
            await pair.other.receive_some()
            pair.other.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave)
            with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
                await pair.one.start_tls(context, "127.0.0.1", server_side=False)
