"""What is kept until the end of a pass: sent by then, in order, lost only with its connection."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from appliance.net.outbox import SOON_BYTES, Outbox
from appliance.net.stream import SocketStream

pytestmark = pytest.mark.sockets


@contextmanager
def kept(count: int = 1) -> Iterator[tuple[Outbox, list[SocketStream], list[socket.socket]]]:
    """Streams of one outbox and the plain sockets of their peers; the outbox has let this pass's first message go."""
    outbox = Outbox()
    pairs = [socket.socketpair() for _ in range(count)]
    streams = [SocketStream(one) for one, _ in pairs]
    peers = [other for _, other in pairs]
    for stream, peer in zip(streams, peers, strict=True):
        stream.outbox = outbox
        peer.setblocking(False)
    try:
        with outbox.installed():
            yield outbox, streams, peers
    finally:
        for stream, peer in zip(streams, peers, strict=True):
            stream.close()
            peer.close()


def arrived(peer: socket.socket) -> bytes:
    try:
        return peer.recv(1_000_000)
    except BlockingIOError:
        return b""


async def test_the_first_of_a_pass_goes_at_once_the_others_at_its_end() -> None:
    with kept(3) as (_, streams, peers):
        await wait_all_tasks_blocked()
        assert [stream.send_soon(b"hello") for stream in streams] == [5, 5, 5]
        assert [arrived(peer) for peer in peers] == [b"hello", b"", b""]
        await wait_all_tasks_blocked()
        assert [arrived(peer) for peer in peers] == [b"", b"hello", b"hello"]


async def test_a_message_with_its_head_is_kept_as_well() -> None:
    with kept() as (_, (stream,), (peer,)):
        await stream.send_message(b"head ", b"body")
        assert arrived(peer) == b""
        await wait_all_tasks_blocked()
        assert arrived(peer) == b"head body"


async def test_what_is_sent_later_arrives_later() -> None:
    with kept() as (_, (stream,), (peer,)):
        assert stream.send_soon(b"a") + stream.send_soon(b"b") == 2
        assert arrived(peer) == b""
        assert stream.send_now(b"c") == 1
        assert stream.send_soon(b"d") == 1
        await stream.send_all(b"e")
        assert stream.send_soon(b"f") == 1
        await stream.send_message(b"g", b"h" * SOON_BYTES)
        assert arrived(peer) == b"abcdefg" + b"h" * SOON_BYTES


@pytest.mark.parametrize("ending", ["close", "end_sending"])
async def test_nothing_is_lost_when_the_connection_is_closed(ending: str) -> None:
    with kept() as (_, (stream,), (peer,)):
        stream.send_soon(b"last words")
        getattr(stream, ending)()
        assert arrived(peer) == b"last words"
        assert peer.recv(1) == b""


async def test_nothing_is_lost_when_the_server_stops() -> None:
    outbox = Outbox()
    one, other = socket.socketpair()
    with other:
        stream = SocketStream(one)
        stream.outbox = outbox
        with outbox.installed():
            stream.send_soon(b"last words")
        assert other.recv(100) == b"last words"
        stream.close()


async def test_outside_of_a_server_nothing_is_kept() -> None:
    with kept() as (outbox, _, _):
        pass
    one, other = socket.socketpair()
    with other:
        later = SocketStream(one)
        later.outbox = outbox
        assert later.send_soon(b"x") == 1
        assert other.recv(10) == b"x"
        later.close()


async def test_a_peer_that_does_not_read_gets_the_rest_when_it_does(autojump_clock: trio.testing.MockClock) -> None:
    with kept() as (_, (stream,), (peer,)):
        filled = 0
        while taken := stream.send_now(b"." * 65_536):
            filled += taken
        await wait_all_tasks_blocked()
        assert stream.send_soon(b"first") == 0  # the first of its pass: it was tried
        assert stream.send_soon(b"second") == 6
        await wait_all_tasks_blocked()
        read = 0
        while got := len(arrived(peer)):
            read += got
        assert read == filled
        await trio.sleep(5)
        await wait_all_tasks_blocked()
        assert arrived(peer) == b"second"


async def test_more_for_a_peer_that_does_not_read_waits_its_turn() -> None:
    with kept() as (_, (stream,), (peer,)):
        filled = 0
        while taken := stream.send_now(b"." * 65_536):
            filled += taken
        stream.send_soon(b"kept ")
        got = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"sent")
            while len(got) < filled + 9:
                await wait_all_tasks_blocked()
                got += arrived(peer)
        assert got == b"." * filled + b"kept sent"


async def test_a_peer_that_is_gone_shows_at_the_next_operation() -> None:
    with kept() as (_, (stream,), (peer,)):
        stream.send_soon(b"x")
        peer.close()
        await wait_all_tasks_blocked()
        assert await stream.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"y")
        stream.close()
        assert stream.send_soon(b"z") == 0
