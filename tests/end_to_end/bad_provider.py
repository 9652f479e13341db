"""A provider that does exactly what a test says, behind a served appliance, and what a caller then gets of it.

The rule: after each call nothing is left behind: no request in work, no race slot, no socket but those in the pool.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from appliance.domain.catalog import Provider
from appliance.net.stream import SocketStream
from tests.rig import CHAT, Answer, Rig, request, running
from tests.upstream.scripted import Peer, Play, Server

SECRET = "sk-CANARY-of-the-bad-provider"
MODEL = "m"
TIERS = ("flex", "default", "priority")


def event(**fields: Any) -> bytes:
    """One event of a chat stream."""
    usual = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "service_tier": "default"}
    return b"data: " + msgspec.json.encode(usual | fields) + b"\n\n"


def words(text: str, finish: str | None = None) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


DONE = b"data: [DONE]\n\n"
EVENTS = (words("a"), words("b"), words("", "stop"), DONE)
WHOLE = msgspec.json.encode(
    {
        "id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "service_tier": "default",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}],
    }
)  # fmt: skip


def says(data: bytes, then: str = "close") -> Play:
    """Answer each request with these bytes; then `close`, `reset`, fall `silent`, or `wait` for the next one."""

    async def play(peer: Peer) -> None:
        while await peer.request():
            await peer.send(data)
            if then == "reset":
                await peer.reset()
            if then == "silent":
                await peer.gone()
            if then != "wait":
                return

    return play


def begins(rig: Rig, first: bytes, rest: bytes, then: str = "close") -> Play:
    """As `says`, but the rest comes when the answer has started at the caller's end."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(first)
        await rig.until(lambda: any(work.winner is not None for work in rig.appliance.gateway.live.values()))
        await peer.send(rest)
        if then == "reset":
            await peer.reset()
        elif then == "wait":
            await peer.gone()

    return play


def by_tier(flex: Play, other: Play) -> Play:
    """One play for requests of the cheap tier, one for the others; each connection has one request."""

    async def play(peer: Peer) -> None:
        first = await peer.receive()
        while b"\r\n\r\n" not in first or b'"model"' not in first:
            first += await peer.receive()
        peer._buffer = first
        await (flex if b'"service_tier":"flex"' in first else other)(peer)

    return play


class BadProvider:
    """A rig with a provider named `bad` besides the good one; `play` is what it does at the next connections."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.play: Play = says(b"")
        self.server = Server([self._play], None)
        self.dialled: list[SocketStream] = []
        pool = rig.appliance.pool
        assert pool._dial_through is not None
        pool._dial, pool._dial_through = self._noted(pool._dial), self._noted(pool._dial_through)

    async def _play(self, peer: Peer) -> None:
        await self.play(peer)

    def _noted(self, dial: Any) -> Any:
        async def noting(*place: Any) -> SocketStream:
            stream: SocketStream = await dial(*place)
            self.dialled.append(stream)
            return stream

        return noting

    async def add(self, name: str = "bad", base_url: str = "", **facts: Any) -> None:
        """Add a provider; `bad` is at the scripted server."""
        usual: dict[str, Any] = {"kind": "openai", "tiers": TIERS, "models": (MODEL,), "price_as": "openai"}
        organisation_id = self.rig.key.organisation_id
        place: dict[str, Any] = {
            "organisation_id": organisation_id,
            "name": name,
            "base_url": base_url or self.server.base_url,
        }
        provider = Provider(provider_id="", **place, **usual | facts)
        await self.rig.appliance.store.providers.add(provider, SECRET, now_unix_s=1)

    async def ask(
        self,
        *,
        lane: str = "fast",
        fresh: bool = True,
        version: str = "1.1",
        path: str = CHAT,
        model: str = f"bad/{MODEL}",
        **fields: Any,
    ) -> Answer:
        """One call on a connection of its own, over a lane; then everything is looked after.

        `fresh`: nothing that idles in the pool is used, so that the play of now is the one that is met.
        """
        idle = self.rig.appliance.pool._idle
        for connection in [one for kept in idle.values() for one in kept] if fresh else []:
            connection.close()
        idle.update({origin: [] for origin in idle} if fresh else {})
        client = await self.rig.connect()
        if lane == "asgi":  # such a connection never comes back to the fast lane
            await client.send(request("GET", "/healthz"))
            assert (await client.answer("GET")).status == 200
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]} | fields
        await client.send(request(path=path, key=self.rig.token, body=body, version=version))
        answer = await client.answer()
        await client.close()
        await self.nothing_left()
        assert b"CANARY" not in answer.body and "CANARY" not in str(answer.headers)
        return answer

    async def nothing_left(self) -> None:
        gateway, pool = self.rig.appliance.gateway, self.rig.appliance.pool
        await self.rig.until(lambda: not gateway.live)
        assert gateway.slots.taken(self.rig.key.organisation_id) == 0
        await self.rig.until(lambda: sum(not stream.closed for stream in self.dialled) == pool.idle_count())
        self.dialled = [stream for stream in self.dialled if not stream.closed]

    def code(self, answer: Answer) -> str:
        """The code that the caller was told, in the answer or in the event that ends its stream; it must be told.

        The block, the record and what the caller sees must agree, and name the provider.
        """
        if answer.header("content-type") == "application/json":
            error = answer.json["error"]
        else:
            last = [part for part in answer.body.split(b"\n\n") if part.startswith((b"data:", b"event:"))][-1]
            error = msgspec.json.decode(last.partition(b"data: ")[2])["error"]
        told = answer.header("x-startline-error")
        block = msgspec.json.decode(told) if told else error["startline"]
        assert block["provider"] == "bad"
        record = self.rig.settled[-1].request
        assert record.error_code == block["code"]
        assert record.status == answer.status
        return str(block["code"])


@asynccontextmanager
async def staged(**settings: Any) -> AsyncIterator[BadProvider]:
    """Run it; breakers are off unless a test sets them."""
    async with running(**{"breaker_failures": 0, "limit_s": 110.0} | settings) as rig, trio.open_nursery() as nursery:
        bad = BadProvider(rig)
        await nursery.start(bad.server.run)
        await bad.add()
        yield bad
        nursery.cancel_scope.cancel()
