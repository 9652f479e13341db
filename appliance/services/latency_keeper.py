"""Saves what was learned of latencies, lengths and paces, and finds it again. The rule: requests never wait for it.

What is learned in the minute before a crash is lost, and no more. Level by level is written down with pauses between
them, since all of them together would hold up the event loop; only the last time, at the stop, it is done in one go.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import structlog
import trio
import trio.lowlevel

from appliance.domain.errors import ApplianceFault
from appliance.policy.latency import KeptSeries
from appliance.request.engine import Engine

SAVE_S = 60.0
LAST_S = 5.0
"""Time for saving at a stop."""

AT_ONCE = 8
"""Levels that are written down without a pause."""


class Keeping(Protocol):
    """Where it is saved: store/latency.py."""

    async def save(self, kept: tuple[KeptSeries, ...]) -> None:
        """Replace what was saved before. Raises ApplianceFault("store_unavailable")."""
        ...

    async def load(self) -> tuple[KeptSeries, ...]:
        """What was saved last. Raises ApplianceFault("store_unavailable")."""
        ...


log = structlog.get_logger("latency")


async def load(engine: Engine, kept: Keeping, unix_s: Callable[[], float]) -> None:
    """Take over what was saved. If it cannot be read all is learned anew, and the log says so."""
    try:
        found = await kept.load()
    except ApplianceFault as fault:
        log.warning("latencies_unreadable", code=fault.code)
        return
    if found:
        now_s, now_unix_s = trio.current_time(), unix_s()
        engine.model.take(found, now_s, now_unix_s)
        engine.answers.known.take(found, now_s, now_unix_s)


async def run(engine: Engine, kept: Keeping, unix_s: Callable[[], float], saved: int) -> None:
    """Save once a minute what has grown, until cancelled, and then once more. `saved`: attempts that are saved."""
    try:
        while True:
            await trio.sleep(SAVE_S)
            now = engine.model.observed
            if now != saved and await _save(kept, await _written(engine, unix_s)):
                saved = now
    finally:
        if engine.model.observed != saved:
            with trio.move_on_after(LAST_S, shield=True):
                await _save(kept, tuple(_parts(engine, unix_s)))


def _parts(engine: Engine, unix_s: Callable[[], float]) -> Iterator[KeptSeries]:
    now_s, now_unix_s = trio.current_time(), unix_s()
    yield from engine.model.parts(now_s, now_unix_s)
    yield from engine.answers.known.parts(now_s, now_unix_s)


async def _written(engine: Engine, unix_s: Callable[[], float]) -> tuple[KeptSeries, ...]:
    written: list[KeptSeries] = []
    for one in _parts(engine, unix_s):
        written.append(one)
        if len(written) % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return tuple(written)


async def _save(kept: Keeping, written: tuple[KeptSeries, ...]) -> bool:
    try:
        await kept.save(written)
    except ApplianceFault as fault:
        log.warning("latencies_unsaved", code=fault.code)
        return False
    return True
