"""Running the simulator as a program: print where it is and what it plays, serve until told to stop.

Rule: a plain function; the command line around it lives elsewhere.
"""

import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import trio

from appliance.simulator.builtin_worlds import BUILT_IN, built_in
from appliance.simulator.server import Simulator
from appliance.simulator.world import World, load


def choose(name: str = "demo", file: Path | None = None) -> World:
    """The world of a file if one is given, else the built-in of that name.

    Raises KeyError for an unknown name, OSError and msgspec.DecodeError for a file.
    """
    return load(file) if file is not None else built_in(name)


def describe(world: World, base_url: str) -> str:
    """What a person needs to use the simulator: base URL, a key, the models and what each is for."""
    others = ", ".join(name for name in BUILT_IN if name != world.name)
    width = max((len(name) for name in world.models), default=0)
    lines = [
        f"base URL   {base_url}",
        "API key    any that begins with sk-sim-",
        f"journal    {base_url.removesuffix('/v1')}/_journal",
        f"world      {world.name}: {world.about}" if world.about else f"world      {world.name}",
        *(f"  {name:<{width}}  {model.about}" for name, model in world.models.items()),
        f"other worlds: {others}; or a TOML file",
    ]
    return "\n".join(lines)


def facts(world: World, base_url: str) -> dict[str, object]:
    """The same for a script."""
    return {
        "base_url": base_url,
        "journal": f"{base_url.removesuffix('/v1')}/_journal",
        "world": world.name,
        "models": list(world.models),
    }


async def run(
    world: World,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    time_scale: float = 1.0,
    ssl_context: ssl.SSLContext | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve a world until SIGINT or SIGTERM; `tell` gets the base URL once the port is open. Raises OSError if
    the address cannot be used.
    """
    simulator = Simulator(world, seed=seed, time_scale=time_scale, ssl_context=ssl_context)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            base_url = await nursery.start(simulator.serve, host, port)
            tell(base_url)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
