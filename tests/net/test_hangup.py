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
        hangups.watch(ours.fileno(), lambda: told.append("ended"))
        hangups.forget(ours.fileno())
        hangups.forget(ours.fileno())
        theirs.close()
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert told == []
    ours.close()
