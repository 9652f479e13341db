"""A hang-up is told once, whatever was left unread, and to nobody who has stopped listening."""

import socket
import struct

import trio
import trio.testing

from appliance.net.hangup import HangUps


async def test_a_peers_end_is_told_though_nobody_reads() -> None:
    hangups = HangUps()
    ours, theirs = socket.socketpair()
    told: list[str] = []
    done = trio.Event()

    def hung_up() -> None:
        told.append("ended")
        done.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(hangups.run)
        hangups.watch(ours.fileno(), hung_up)
        theirs.send(b"unread bytes")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [], "bytes are no hang-up"
        theirs.shutdown(socket.SHUT_WR)
        await done.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert told == ["ended"]
    assert ours.recv(100) == b"unread bytes"
    ours.close()
    theirs.close()


async def test_a_reset_is_a_hang_up() -> None:
    hangups = HangUps()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(hangups.run)
        hangups.watch(ours.fileno(), done.set)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        await done.wait()
        nursery.cancel_scope.cancel()
    ours.close()


async def test_who_has_forgotten_is_told_nothing() -> None:
    hangups = HangUps()
    ours, theirs = socket.socketpair()
    told: list[str] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(hangups.run)

        def hung_up() -> None:
            told.append("ended")

        hangups.watch(ours.fileno(), hung_up)
        hangups.forget(ours.fileno(), hung_up)
        hangups.forget(ours.fileno(), hung_up)
        theirs.close()
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert told == []
    ours.close()


async def test_a_number_that_is_another_sockets_by_now_stays_watched() -> None:
    hangups = HangUps()
    first, peer = socket.socketpair()
    number = first.fileno()
    told: list[str] = []

    def nobody() -> None:
        told.append("the first")

    hangups.watch(number, nobody)
    first.close()
    peer.close()
    second, theirs = socket.socketpair()
    assert number in (second.fileno(), theirs.fileno()), "the lowest free number is taken again"
    ours, other = (second, theirs) if second.fileno() == number else (theirs, second)
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(hangups.run)
        hangups.watch(number, done.set)
        hangups.forget(number, nobody)
        other.close()
        await done.wait()
        hangups.forget(number, done.set)
        ours.close()
        nursery.cancel_scope.cancel()
    assert told == []


async def test_a_closed_socket_can_be_forgotten() -> None:
    hangups = HangUps()
    ours, theirs = socket.socketpair()
    number = ours.fileno()

    def nobody() -> None:
        raise AssertionError

    hangups.watch(number, nobody)
    ours.close()
    theirs.close()
    hangups.forget(number, nobody)
    async with trio.open_nursery() as nursery:
        await nursery.start(hangups.run)
        nursery.cancel_scope.cancel()
