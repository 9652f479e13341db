"""Providers that stop taking our request: while our write waits, time limits, deadlines and bounds hold all the same.

Whatever ends the call closes the socket in the middle of the request, and the memory of its body is given back.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio

from appliance.net.stream import SocketStream
from tests.end_to_end.bad_provider import DONE, EVENTS, MODEL, BadProvider, staged
from tests.rig import Answer, Client, chat, request
from tests.upstream.scripted import Peer, chunked

pytestmark = pytest.mark.sockets

LONG = "x" * 12_000_000
"""More than both ends of a connection hold by themselves."""

RECEIVE_BYTES = 65_536


class Deaf:
    """Plays a provider that takes the beginning of a request, and nothing more before the test has ended."""

    def __init__(self) -> None:
        self.hearing = 0
        self._enough = trio.Event()
        self._cut_off: list[bool] = []

    async def play(self, peer: Peer) -> None:
        if taken_bytes := len(await peer.receive()):
            await self.stop_listening(peer, taken_bytes)

    async def stop_listening(self, peer: Peer, taken_bytes: int) -> None:
        peer._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.hearing += 1
        await self._enough.wait()
        while data := await peer.receive():
            taken_bytes += len(data)
        self._cut_off.append(taken_bytes < len(LONG))

    async def all_cut_off(self, count: int) -> None:
        """Take what was still on the way: so many requests must end before they are whole."""
        self._enough.set()
        with trio.fail_after(10):
            while len(self._cut_off) < count:
                await trio.lowlevel.checkpoint()
        assert self._cut_off == [True] * count


@asynccontextmanager
async def deafened(**settings: Any) -> AsyncIterator[tuple[BadProvider, Deaf]]:
    async with staged(**settings) as bad:
        deaf = Deaf()
        bad.play = deaf.play
        yield bad, deaf
        assert bad.rig.appliance.gateway.bodies.held_bytes == 0


def long_chat(**fields: Any) -> dict[str, Any]:
    return chat(LONG, model=f"bad/{MODEL}") | fields


async def sent_by(bad: BadProvider, deaf: Deaf, **fields: Any) -> Client:
    """A client whose request is on its way to the provider, which has stopped to take it."""
    client, before = await bad.rig.connect(), deaf.hearing
    await client.send(request(key=bad.rig.token, body=long_chat(**fields)))
    await bad.rig.until(lambda: deaf.hearing > before)
    return client


async def test_the_time_to_start_holds() -> None:
    async with deafened(first_content_timeout_s=0.6) as (bad, deaf):
        for lane, stream in (("fast", False), ("asgi", True)):
            got = await bad.ask(lane=lane, **long_chat(stream=stream))
            assert (got.status, bad.code(got)) == (504, "provider_too_slow")
            (attempt,) = bad.rig.settled[-1].attempts
            assert (attempt.cancel_cause, attempt.received_bytes) == ("too_slow", 0)
        await deaf.all_cut_off(2)


async def test_the_deadline_of_a_race_holds() -> None:
    """The dearer rung is launched and wins; the cheap one's socket is closed in the middle of its request."""
    async with deafened() as (bad, deaf):

        async def play(peer: Peer) -> None:
            taken_bytes = len(await peer.receive())
            if not deaf.hearing:  # of two connections the cheap rung's is the first that says something
                await deaf.stop_listening(peer, taken_bytes)
                return
            while taken_bytes < len(LONG):
                taken_bytes += len(await peer.receive())
            await peer.send(chunked(*EVENTS))
            await peer.gone()

        bad.play = play
        got: Answer = await bad.ask(**long_chat(stream=True, start_within="2s"))
        assert (got.status, got.complete, DONE in got.body) == (200, True, True)
        assert got.header("x-startline-reason") == "flex_deadline"
        cheap, dear = bad.rig.settled[-1].attempts
        assert [(one.tier_sent, one.outcome) for one in (cheap, dear)] == [("flex", "lost"), ("default", "won")]
        assert cheap.cancel_cause == "lost_race" and 1.0 <= dear.start_s < 2.0
        await deaf.all_cut_off(1)


async def test_a_write_that_waits_too_long_is_the_providers_fault() -> None:
    async with deafened() as (bad, deaf):
        dial = bad.rig.appliance.pool._dial

        async def impatient(*place: Any) -> SocketStream:
            stream: SocketStream = await dial(*place)
            stream.write_timeout_s = 0.3
            return stream

        bad.rig.appliance.pool._dial = impatient
        got = await bad.ask(**long_chat())
        assert (got.status, bad.code(got)) == (502, "provider_cut_off")
        await deaf.all_cut_off(1)


async def test_a_client_that_leaves_ends_the_write() -> None:
    async with deafened() as (bad, deaf):
        client = await sent_by(bad, deaf)
        await client.close()
        await bad.nothing_left()
        settled = bad.rig.settled[-1]
        assert (settled.request.status, settled.request.error_code) == (499, "client_gone")
        assert [one.cancel_cause for one in settled.attempts] == ["client_gone"]
        await deaf.all_cut_off(1)


async def test_a_stop_ends_the_write() -> None:
    async with deafened(shutdown_s=0.3) as (bad, deaf):
        client = await sent_by(bad, deaf)
        bad.rig.serving.cancel()
        got = await client.answer()
        assert (got.status, got.code) == (503, "shutting_down")
        await bad.nothing_left()
        await deaf.all_cut_off(1)


async def test_the_body_counts_as_held_until_the_call_ends() -> None:
    """Others with long bodies are turned away before a provider is called, those with short ones are served."""
    async with deafened(max_bodies_bytes=len(LONG) + len(LONG) // 2) as (bad, deaf):
        client = await sent_by(bad, deaf)
        refused = await bad.rig.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_while_it_is_taken, refused, request(key=bad.rig.token, body=long_chat()))
            got = await refused.answer()
            nursery.cancel_scope.cancel()
        assert (got.status, got.code) == (503, "too_many_bodies")
        short = await bad.rig.connect()
        await short.send(request(key=bad.rig.token, body=chat()))
        assert (await short.answer()).status == 200
        assert bad.server.connections == deaf.hearing == 1
        await client.close()
        await bad.nothing_left()
        await deaf.all_cut_off(1)


async def _send_while_it_is_taken(client: Client, data: bytes) -> None:
    with suppress(trio.BrokenResourceError):  # refused before it was whole
        await client.send(data)
