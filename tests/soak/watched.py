"""A real `startline` process that says what it holds when it is asked: `python -m tests.soak.watched FILE COMMAND…`.

The rule: the product's code runs unchanged, and the watching costs nothing until a signal comes. SIGUSR1 writes the
cheap facts to FILE, SIGUSR2 all of them, after a collection of garbage, in a turn of the event loop.
"""

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from heapq import heapify
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import trio

import appliance.app
from tests.soak.malloc import heap_bytes

_MOST_KINDS = 400
_OF_CLIENTS = ("appliance.server.listen.Listeners._serve", "appliance.server.door.")


class Watch:
    """What the handlers of the signals know."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._asked = 0
        self._parts: list[appliance.app.Appliance] = []

    def install(self) -> None:
        """Notice the appliance when it is made, and answer signals."""
        make = appliance.app.Appliance.__init__

        def noting(made: appliance.app.Appliance, *arguments: Any, **named: Any) -> None:
            make(made, *arguments, **named)
            self._parts.append(made)

        appliance.app.Appliance.__init__ = noting  # type: ignore[method-assign, assignment]
        signal.signal(signal.SIGUSR1, self._heard)
        signal.signal(signal.SIGUSR2, self._heard)

    def _heard(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGUSR2:
            trio.lowlevel.current_trio_token().run_sync_soon(self._tell, True)
        else:
            self._tell(False)

    def _tell(self, whole: bool) -> None:
        self._asked += 1
        told: dict[str, Any] = {"asked": self._asked}
        if whole:
            _forget_deadlines()
            told["garbage"] = _garbage()
            told["kinds"] = dict(Counter(type(one).__qualname__ for one in gc.get_objects()).most_common(_MOST_KINDS))
        told["blocks"] = sys.getallocatedblocks()
        told["heap_bytes"] = heap_bytes()
        told["tasks"] = trio.lowlevel.current_statistics().tasks_living
        told["standing_tasks"] = _standing(trio.lowlevel.current_root_task())
        if whole:
            told["stacks"] = sorted(_stacks(trio.lowlevel.current_root_task()))
        if self._parts:
            told["held"] = _held(self._parts[-1])
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(told))
        new.replace(self._file)


def _forget_deadlines() -> None:
    """Drop what trio keeps of cancel scopes that have ended: up to a thousand, six blocks each, which is only noise."""
    heap = trio._core._run.GLOBAL_RUN_CONTEXT.runner.deadlines._heap
    heap[:] = [entry for entry in heap if entry[0] == entry[2]._registered_deadline]
    heapify(heap)


def _garbage() -> dict[str, int]:
    """What only the collector of garbage frees, by kind: what it has not met yet, and what it would meet one day."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    kinds = Counter(type(one).__qualname__ for one in gc.garbage)
    gc.garbage.clear()
    gc.collect()
    return dict(kinds.most_common(_MOST_KINDS))


def _stacks(task: trio.lowlevel.Task | None) -> Iterator[str]:
    """Where each task waits: its functions, outermost first."""
    if task is not None:
        yield " > ".join(f"{frame.f_code.co_name}:{line}" for frame, line in task.iter_await_frames())
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                yield from _stacks(child)


def _standing(task: trio.lowlevel.Task | None) -> int:
    """How many tasks there are that belong to no client's connection."""
    if task is None or task.name.startswith(_OF_CLIENTS):
        return 0
    return 1 + sum(_standing(child) for nursery in task.child_nurseries for child in nursery.child_tasks)


def _calls(made: appliance.app.Appliance) -> int:
    """How many connections to providers are in use."""
    attempts = [attempt for work in made.gateway.live.values() for attempt in work.attempts]
    return sum(attempt._exchange.connection is not None for attempt in attempts)


def _held(made: appliance.app.Appliance) -> dict[str, int]:
    """Everything that a request takes and must give back; `idle` may stay, and so may `lookups` that hang."""
    gateway, door, counters = made.gateway, made.door, made.store.ledger.counters
    return {
        "live": len(gateway.live),
        "race_slots": gateway.slots.total,
        "requests_of_keys": gateway.key_slots.total,
        "body_bytes": gateway.bodies.held_bytes,
        "decompressions": gateway.bodies.decompressing.borrowed_tokens,
        "probes": len(gateway.breakers._probes) + len(gateway.breakers.races._probes),
        "connections": door.connections,
        "calls": _calls(made),
        "observed_attempts": len(gateway.observatory.running),
        "flights": sum(len(level.flights) for level in gateway.engine.model._levels.values()),
        "farewells": door.farewells,
        "watched_sockets": len(made.front.hangups._watched),
        "fast_connections": len(made.front.fast),
        "asgi_inboxes": len(made.lane.inboxes),
        "kept_messages": len(made.outbox._keepers) + len(made.outbox._stuck),
        "records_bytes": counters.held_bytes,
        "open_requests": counters.open_requests,
        "lost_records": counters.lost,
        "lookups": made.resolver.lookups,
        "idle": made.pool.idle_count(),
    }


def main() -> None:
    """Install the watch, then be the command."""
    file, *words = sys.argv[1:]
    os.environ.setdefault("PYTHONWARNINGS", "default")
    Watch(Path(file)).install()
    from appliance.cli.main import main as startline

    sys.argv = ["startline", *words]
    startline()


if __name__ == "__main__":
    main()
