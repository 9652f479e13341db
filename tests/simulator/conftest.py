"""Fixtures of the simulator's tests."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour, World
from tests.simulator.running import Running, Start, world_of


@pytest.fixture
async def start(nursery: trio.Nursery) -> AsyncIterator[Start]:
    """Start a simulator: `await start(world, **options)`; without a world, one that answers at once."""
    clients: list[httpx.AsyncClient] = []

    async def begin(world: World | None = None, **options: Any) -> Running:
        quick = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0)
        simulator = Simulator(world or world_of(default=quick, flex=quick, priority=quick), **options)
        base_url = await nursery.start(simulator.serve)
        headers = {"authorization": "Bearer sk-sim-test"}
        clients.append(httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20, trust_env=False))
        return Running(simulator, clients[-1])

    yield begin
    for client in clients:
        await client.aclose()
