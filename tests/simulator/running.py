"""A running simulator with a client, and small worlds, for the simulator's tests."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import trio

from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour, Model, World

Start = Callable[..., Awaitable["Running"]]


class Running:
    """A simulator that serves, and a client that has a key for it."""

    def __init__(self, simulator: Simulator, client: httpx.AsyncClient) -> None:
        self.simulator = simulator
        self.journal = simulator.journal
        self.client = client
        self._streams: list[trio.SocketStream] = []

    @property
    def port(self) -> int:
        return int(self.simulator.base_url.rpartition(":")[2].partition("/")[0])

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def raw(self, data: bytes) -> trio.SocketStream:
        """A bare connection on which these bytes were sent."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self._streams.append(stream)
        await stream.send_all(data)
        return stream

    async def aclose(self) -> None:
        """Close the client and the bare connections."""
        await self.client.aclose()
        for stream in self._streams:
            await stream.aclose()


def world_of(**tiers: Behaviour) -> World:
    """A world in which every model has these tiers (a quick `default` if none is named)."""
    return World(models={"*": Model(tiers=tiers or {"default": Behaviour(start=0, tokens_per_s=0)}, dimensions=8)})
