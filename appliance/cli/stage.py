"""A whole Startline on loopback, before a simulated provider and in a folder of its own: for `demo` and `selftest`.

The rule: nothing of it outlives the block, and nothing of it touches the user's data folder, keys or network.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from appliance.cli.operator import ORIGIN, as_operator, asked, opened
from appliance.cli.place import Place

if TYPE_CHECKING:
    import httpx

    from appliance.simulator.server import Simulator
    from appliance.simulator.world import World

PROVIDER = "simulator"
STOP_S = 1.0


class Stage:
    """What plays: the simulator with its journal, the gateway's base URL, a key, and clients of both kinds.

    `client` speaks to the gateway as any user of the key does, over HTTP; `admin` is the operator's.
    """

    def __init__(
        self, simulator: "Simulator", address: str, key: str, key_id: str, client: "httpx.AsyncClient",
        admin: "httpx.AsyncClient", folder: Path,
    ) -> None:  # fmt: skip
        self.simulator = simulator
        self.address = address
        self.base_url = f"http://{address}/v1"
        self.key = key
        self.key_id = key_id
        self.client = client
        self.admin = admin
        self.folder = folder


@asynccontextmanager
async def staged(world: "World", *, port: int = 0, seed: int = 0, **settings: object) -> AsyncIterator[Stage]:
    """Set the stage. `settings` as in startline.toml. Raises click.ClickException where a port cannot be had."""
    import httpx
    import trio

    from appliance.app import serve
    from appliance.server.listen import open_tcp, open_unix
    from appliance.simulator.server import Simulator

    with TemporaryDirectory(prefix="startline-") as name:
        place = Place(Path(name) / "data", environment=_without_settings())
        simulator = Simulator(world, seed=seed)
        try:
            listeners = open_tcp(f"127.0.0.1:{port}")
        except OSError as fault:
            raise click.ClickException(f"cannot listen on 127.0.0.1:{port}: {fault.strerror}") from None
        address = f"127.0.0.1:{listeners[0].getsockname()[1]}"
        async with trio.open_nursery() as provider:
            upstream = await provider.start(simulator.serve)
            fixed = {"reserve_s": {"default": 5.0}}  # nothing is known of rungs that were never asked
            quiet = {"log_requests": False, "log_level": "error", "shutdown_s": STOP_S}
            async with opened(place, **quiet, **(fixed | settings)) as appliance:
                inside = httpx.ASGITransport(app=as_operator(appliance))
                async with trio.open_nursery() as server, httpx.AsyncClient(
                    transport=inside, base_url=ORIGIN, timeout=60
                ) as admin:  # fmt: skip
                    body = {
                        "name": PROVIDER,
                        "kind": "openai_compatible",
                        "base_url": upstream,
                        "secret": "sk-sim-demo",
                    }
                    tiers = {"tiers": ("flex", "default", "priority"), "price_as": "openai"}
                    await asked(admin, "POST", "/admin/v1/providers", json=body | tiers)
                    made = await asked(admin, "POST", "/admin/v1/keys", json={"name": "demo"})
                    # losers are cut off each time, and none is left running to learn of it
                    await asked(admin, "PATCH", "/admin/v1/organisations/default", json={"explore": False})
                    await server.start(serve, appliance, [*listeners, open_unix(place.socket())])
                    headers = {"authorization": f"Bearer {made['key']}"}
                    async with httpx.AsyncClient(
                        base_url=f"http://{address}", headers=headers, timeout=60, trust_env=False
                    ) as client:
                        yield Stage(simulator, address, made["key"], made["id"], client, admin, place.folder)
                    server.cancel_scope.cancel()
            provider.cancel_scope.cancel()


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("STARTLINE_", "CREDENTIALS_"))}


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()
