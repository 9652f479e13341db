"""The interactions that the simulator remembers: to get, delete and cancel them, and to go on from one.

Rule: bounded, the oldest goes first. An interaction is finished at a time that was decided with its answer; until then
it is told as being in progress.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from appliance.simulator.faults import Rejected, invalid
from appliance.simulator.gemini import FAULTS
from appliance.simulator.script import Script

Json = dict[str, Any]

_LIMIT: Final = 1_000
_JSON: Final = "application/json"


class _Kept(msgspec.Struct):
    """One interaction: the answer in both forms, and when it is finished (trio's clock)."""

    told: Json
    script: Script
    due: float
    background: bool


class InteractionStore:
    """The kept interactions by id."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._limit = limit

    def __contains__(self, identity: str) -> bool:
        return identity in self._kept

    def keep(self, told: Json, script: Script, due: float, *, background: bool) -> None:
        """Remember an interaction that will be finished at `due`."""
        self._kept[told["id"]] = _Kept(told, script, due, background)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def look(self, identity: str, now: float) -> Json:
        """The interaction as it is now. Raises Rejected (404)."""
        kept = self._find(identity)
        if now >= kept.due or kept.told["status"] == "cancelled":
            return kept.told
        hidden = ("steps", "usage")
        return {name: value for name, value in kept.told.items() if name not in hidden} | {"status": "in_progress"}

    def answer(
        self, method: str, identity: str, action: str, query: Mapping[str, str], now: float
    ) -> tuple[str, bytes]:
        """The media type and body of the answer to GET, DELETE, or POST of `cancel`. Raises Rejected."""
        match method, action:
            case "GET", "":
                if query.get("stream") == "true":
                    return "text/event-stream", self._replay(self._find(identity), query.get("last_event_id", ""))
                return _JSON, msgspec.json.encode(self.look(identity, now))
            case "DELETE", "":
                self._find(identity)
                del self._kept[identity]
                return _JSON, b"{}"
            case "POST", "cancel":
                kept = self._find(identity)
                if not kept.background:
                    raise invalid("Only interactions in the background can be cancelled.", "id")
                if now < kept.due:
                    kept.told = self.look(identity, now) | {"status": "cancelled"}
                return _JSON, msgspec.json.encode(kept.told)
            case _:
                raise Rejected(FAULTS["method_not_allowed"])

    def _find(self, identity: str) -> _Kept:
        if identity not in self._kept:
            raise Rejected(FAULTS["not_found"])
        return self._kept[identity]

    def _replay(self, kept: _Kept, last_event_id: str) -> bytes:
        """The events after the one with this id (all of them without one)."""
        data = [step.data for step in kept.script.steps]
        mark = f'"event_id":"{last_event_id}"'.encode()
        seen = next((number for number, one in enumerate(data, start=1) if last_event_id and mark in one), 0)
        return b"".join(data[seen:])
