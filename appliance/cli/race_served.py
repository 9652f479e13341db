"""`startline race simulate --served`: made-up worlds through a real server before the simulator, beside virtual time.

The rule: the server is a process of its own, started as a user starts it, in a folder that is removed. Each request
carries what the simulator is to do with it, so the draws are those of virtual time.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.operator import as_operator, asked, opened, perform
from appliance.cli.output import say_json
from appliance.cli.place import Place

if TYPE_CHECKING:
    from appliance.domain.record import AttemptRecord, RequestRecord
    from appliance.evaluation.served import Comparison, Scene
    from appliance.evaluation.world import Draw

MODEL = "gpt-5.4-nano"
PROMPT_BYTES = 2000
ANSWER_TOKENS = 80
"""With these a prompt costs as much as its answer, so that `partial` is half of it."""

REQUESTS = 1400
TIMES = 6.0
"""Of each world, and how much faster it is played: a minute of 24 requests a second."""

READY_S = 60.0
STOP_S = 20.0
PAUSE_S = 0.02


def simulate_served(as_json: bool) -> None:
    """All scenes, one after the other; status 1 if one does not agree."""
    import msgspec

    from appliance.evaluation.served import SCENES, lateness, table

    with click.progressbar(length=len(SCENES) * REQUESTS, label="playing", file=sys.stderr) as bar:

        def step() -> None:
            bar.update(1)

        found = [play_served(scene, count=REQUESTS, times=TIMES, seed=1, step=step) for scene in SCENES]
    if as_json:
        say_json({"scenes": [msgspec.to_builtins(one) | {"agrees": one.agrees} for one in found]})
    else:
        click.echo(table(found))
        for one in found:
            click.echo(lateness(one))
    if not all(one.agrees for one in found):
        raise click.exceptions.Exit(1)


def play_served(scene: "Scene", *, count: int, times: float, seed: int, step: Callable[[], None]) -> "Comparison":
    """One world through both. Raises click.ClickException where the server does not start or answer."""
    from appliance.evaluation.served import compare, read

    draws = scene.draws(seed, count, times)
    with TemporaryDirectory(prefix="startline-") as name:
        place = Place(Path(name) / "data", environment=_environment())
        ids = perform(_load, place, scene, draws, times, step)
        told = _recorded(place)
    try:
        found = []
        for draw, request_id in zip(draws, ids, strict=True):
            request, attempts = told[request_id]
            found.append(read(draw, request, attempts, scene.price))
    except (KeyError, ValueError) as fault:
        raise click.ClickException(f"{scene.world}: a request's record is missing or not whole: {fault}") from None
    return compare(scene, draws, found, times)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STARTLINE_", "CREDENTIALS_"))}
    return {name: value for name, value in kept.items() if not name.endswith("_API_KEY") and name != "STATE_DIRECTORY"}


async def _load(place: Place, scene: "Scene", draws: "list[Draw]", times: float, step: Callable[[], None]) -> list[str]:
    """Ask the server for all of them, each at its time; the ids of the requests."""
    import httpx
    import trio

    from appliance.simulator.server import Simulator
    from appliance.simulator.world import Behaviour, Model, World

    # All at once after the start, and the start as the request says.
    answering = Behaviour(admission_s=0.0, tokens_per_s=0.0, output_tokens=ANSWER_TOKENS)
    tiers = {"flex": answering, "default": answering}
    simulator = Simulator(World(models={MODEL: Model(tiers=tiers)}), seed=1)
    ids = [""] * len(draws)
    async with trio.open_nursery() as provider:
        key = await _furnish(place, await provider.start(simulator.serve), scene)
        async with _server(place) as address, httpx.AsyncClient(
            base_url=f"http://{address}", headers={"authorization": f"Bearer {key}"}, timeout=120, trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        ) as client, trio.open_nursery() as nursery:  # fmt: skip
            window_s = scene.window_s / times

            async def ask(nth: int, draw: "Draw") -> None:
                body = _body(draw, f"{window_s:.3f}", scene.target)
                answer = await client.post("/v1/chat/completions", json=body)
                ids[nth] = answer.headers.get("x-startline-request-id", "")
                step()

            zero_s = trio.current_time()
            for nth, draw in enumerate(draws):
                await trio.sleep_until(zero_s + draw.at_s)
                nursery.start_soon(ask, nth, draw)
        provider.cancel_scope.cancel()
    return ids


def _body(draw: "Draw", window: str, target: float) -> dict[str, Any]:
    from appliance.evaluation.served import override

    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": "word " * (PROMPT_BYTES // 5)}],
        "max_tokens": ANSWER_TOKENS,
        "start_within": f"{window}s",
        "start_target": target,
        "metadata": {"simulator": override(draw.tiers)},
    }


async def _furnish(place: Place, base_url: str, scene: "Scene") -> str:
    """A provider and a key in a new folder; the key."""
    import httpx

    async with opened(place) as appliance:
        inside = httpx.ASGITransport(app=as_operator(appliance))
        async with httpx.AsyncClient(transport=inside, base_url="http://startline", timeout=60) as admin:
            provider = {
                "name": "simulator",
                "kind": "openai_compatible",
                "base_url": base_url,
                "secret": "sk-sim-served",
                "tiers": ("flex", "default"),
                "price_as": "openai",
                "abort_billing": scene.abort_billing,
            }
            await asked(admin, "POST", "/admin/v1/providers", json=provider)
            made = await asked(admin, "POST", "/admin/v1/keys", json={"name": "load"})
    return str(made["key"])


@asynccontextmanager
async def _server(place: Place) -> AsyncIterator[str]:
    """`startline serve` in a process of its own, for the length of the block; its address."""
    import trio

    log = place.folder.parent / "serve.log"
    command = [sys.executable, "-m", "appliance", "serve", "--data-folder", str(place.folder), "--port", "0", "--json"]
    with log.open("wb") as written:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=written,
            env=_environment() | {"STARTLINE_LOG_REQUESTS": "false"},
        )
        try:
            yield await _address(process, log)
            process.send_signal(signal.SIGTERM)
            with trio.move_on_after(STOP_S):
                await process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                with trio.move_on_after(STOP_S, shield=True):
                    await process.wait()
    if process.returncode:
        raise click.ClickException(f"the server ended with status {process.returncode}")


async def _address(process: Any, log: Path) -> str:
    import trio

    end_s = time.monotonic() + READY_S
    while time.monotonic() < end_s and process.poll() is None:
        if (address := _logged_address(log)) is not None:
            return address
        await trio.sleep(PAUSE_S)
    raise click.ClickException("the server did not start")


def _logged_address(log: Path) -> str | None:
    """Where the server listens, once it has logged that."""
    import msgspec

    for line in log.read_bytes().splitlines():
        if b'"serving"' in line and line.endswith(b"}"):
            return str(msgspec.json.decode(line)["addresses"][0])
    return None


def _recorded(place: Place) -> "dict[str, tuple[RequestRecord, tuple[AttemptRecord, ...]]]":
    """The records of all requests, by id."""
    from appliance.store.races import Races
    from appliance.store.usage import UsageFilter

    with Races(place.folder / "startline.db") as races:
        return {request.request_id: (request, attempts) for request, attempts in races.read(UsageFilter())}
