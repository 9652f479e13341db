"""Everything of a run: the watched server, simulated providers with and without TLS, and visitors with keys.

The rule: providers and visitors share one process and one clock, so that the time between a client's leaving and the
provider's hearing of it needs no second clock. What that process itself adds is measured beside it, by clients that
leave a provider directly.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import trio

from appliance.simulator.journal import Entry
from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour, Model, World
from tests.rig import chat, request
from tests.soak.plans import FRAIL, MODEL
from tests.soak.served import Served, serving
from tests.upstream.conftest import Certificates

_QUICK = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0.002, output_tokens=8)
_CONTROL_S = 0.04


def world() -> World:
    """Two models whose every answer is as the request says."""
    model = Model(tiers={"flex": _QUICK, "default": _QUICK, "priority": _QUICK})
    return World(models={MODEL: model, FRAIL: model})


class Stage:
    """The running parts."""

    def __init__(self, served: Served, plain: Simulator, secure: Simulator) -> None:
        self.served = served
        self.simulators = {"plain": plain, "secure": secure}
        self.direct: dict[str, float] = {}
        """When clients of `control` left, by their marks."""

    def entries(self) -> dict[str, list[tuple[Entry, float]]]:
        """What the providers saw, by mark, with the zero of its times; they forget it."""
        found: dict[str, list[tuple[Entry, float]]] = {}
        for simulator in self.simulators.values():
            for entry in simulator.journal:
                found.setdefault(entry.mark, []).append((entry, simulator.began))
            simulator.journal.clear()
        return found

    async def providers_idle(self, limit_s: float = 15.0) -> bool:
        """Whether no provider has a request in work any more."""
        with trio.move_on_after(limit_s) as patience:
            for simulator in self.simulators.values():
                await simulator.journal.idle()
        return not patience.cancelled_caught

    def errors(self) -> list[str]:
        """What went wrong within the simulators, or should not have reached them."""
        return [error for simulator in self.simulators.values() for error in simulator.journal.errors]

    async def control(self) -> None:
        """Leave a provider directly, again and again, and note how long it took to hear of it."""
        port = int(self.simulators["plain"].base_url.rsplit(":", 1)[1].split("/")[0])
        for number in count():
            mark = f"direct{number}"
            body = chat() | {"metadata": {"simulator": f"start=100,mark={mark}"}}
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            try:
                await stream.send_all(request(key="sk-sim-direct", body=body))
                await trio.sleep(_CONTROL_S)
                self.direct[mark] = trio.current_time()
            finally:
                stream.socket.close()


@asynccontextmanager
async def staged(folder: Path, **settings: str) -> AsyncIterator[Stage]:
    """Run it; settings as in the environment."""
    certificates = Certificates(folder)
    async with trio.open_nursery() as nursery:
        plain, secure = Simulator(world()), Simulator(world(), ssl_context=certificates.server)
        await nursery.start(plain.serve)
        await nursery.start(secure.serve)
        async with serving(folder, ca_bundle=str(certificates.authority), **settings) as served:
            await served.add_provider("plain", plain.base_url)
            await served.add_provider("secure", secure.base_url)
            yield Stage(served, plain, secure)
        nursery.cancel_scope.cancel()
