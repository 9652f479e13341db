"""Saves what was learned of latencies, lengths and paces, and what is left for looking, and finds it again.
The rule: requests never wait for it.

What is learned in the minute before a crash is lost, and no more. Level by level is written down with pauses between
them, since all of them together would hold up the event loop; only the last time, at the stop, it is done in one go.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import structlog
import trio
import trio.lowlevel

from appliance.domain.errors import ApplianceFault
from appliance.policy.exploration import KeptPurse
from appliance.policy.latency import KeptSeries
from appliance.request.engine import Engine

SAVE_S = 60.0
LAST_S = 5.0
"""Time for saving at a stop."""

AT_ONCE = 8
"""Levels that are written down without a pause."""


class Keeping(Protocol):
    """Where it is saved: store/latency.py."""

    async def save(self, kept: tuple[KeptSeries, ...], purses: tuple[KeptPurse, ...]) -> None:
        """Replace what was saved before. Raises ApplianceFault("store_unavailable")."""
        ...

    async def load(self) -> tuple[tuple[KeptSeries, ...], tuple[KeptPurse, ...]]:
        """What was saved last. Raises ApplianceFault("store_unavailable")."""
        ...


log = structlog.get_logger("latency")


class LatencyKeeper:
    """One for the process: `load` before the first request, then `run`, and `last` when nothing runs any more."""

    def __init__(self, engine: Engine, kept: Keeping, unix_s: Callable[[], float]) -> None:
        self._engine = engine
        self._kept = kept
        self._unix_s = unix_s
        self._saved: object = self._stamp()

    async def load(self) -> None:
        """Take over what was saved. If it cannot be read all is learned anew, and the log says so."""
        try:
            found, purses = await self._kept.load()
        except ApplianceFault as fault:
            log.warning("latencies_unreadable", code=fault.code)
            return
        now_s, now_unix_s, engine = trio.current_time(), self._unix_s(), self._engine
        engine.model.take(found, now_s, now_unix_s)
        engine.answers.known.take(found, now_s, now_unix_s)
        engine.purses.take(purses)
        self._saved = self._stamp()

    async def run(self) -> None:
        """Save once a minute what has changed, until cancelled."""
        while True:
            await trio.sleep(SAVE_S)
            stamp = self._stamp()
            if stamp != self._saved and await self._save(await self._written()):
                self._saved = stamp

    async def last(self) -> None:
        """Save what has changed since, whatever is cancelled. Attempts that outlived their requests have ended."""
        if self._stamp() != self._saved:
            with trio.move_on_after(LAST_S, shield=True):
                await self._save(tuple(self._parts()))

    def _stamp(self) -> object:
        """What differs once there is something to save."""
        return self._engine.model.observed, self._engine.purses.keep()

    def _parts(self) -> Iterator[KeptSeries]:
        now_s, now_unix_s = trio.current_time(), self._unix_s()
        yield from self._engine.model.parts(now_s, now_unix_s)
        yield from self._engine.answers.known.parts(now_s, now_unix_s)

    async def _written(self) -> tuple[KeptSeries, ...]:
        written: list[KeptSeries] = []
        for one in self._parts():
            written.append(one)
            if len(written) % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return tuple(written)

    async def _save(self, written: tuple[KeptSeries, ...]) -> bool:
        try:
            await self._kept.save(written, self._engine.purses.keep())
        except ApplianceFault as fault:
            log.warning("latencies_unsaved", code=fault.code)
            return False
        return True
