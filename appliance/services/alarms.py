"""Watches whether targets are met and whether providers are as they were. The rule: one line when it begins, one when
it ends; how many alarms there are stands in the metrics.

An organisation's alarm begins when fewer of its last races started in time than chance explains (policy/alarms.py). A
provider's drift is where what was seen lately of a model and tier is clearly slower than the long run, so that plans
rest on the former (policy/latency.py).
"""

from collections.abc import Callable, Iterable, Mapping

import structlog
import trio

from appliance.domain.record import Settled
from appliance.policy.alarms import Promise
from appliance.policy.latency import Path

LOOK_S = 60.0
"""How often providers are looked at."""

USED_S = 3600.0
"""A drift of what nobody has asked for so long is over: nobody would see its end."""

log = structlog.get_logger()


class Alarms:
    """One for the process. `drifting` tells which latencies, used since a monotonic time, drift."""

    def __init__(self, drifting: Callable[[float], Iterable[Path]]) -> None:
        self._drifting = drifting
        self._promises: dict[str, Promise] = {}
        self._drifts: set[Path] = set()

    def settled(self, settled: Settled) -> None:
        """Take note of a request that ended."""
        request = settled.request
        forecast, met = request.forecast, request.in_time
        if forecast is None or met is None:
            return
        promise = self._promises.get(request.organisation_id)
        if promise is None:
            promise = self._promises[request.organisation_id] = Promise()
        told = promise.add(forecast.target, forecast.chance, met)
        if told is not None:
            facts = {
                "organisation": request.organisation_id,
                "races": told.races,
                "in_time": round(told.met / told.races, 4),
                "target": round(told.wanted / told.races, 4),
                "expected": round(told.expected / told.races, 4),
            }
            if told.below:
                log.warning("start_target_missed", **facts)
            else:
                log.info("start_target_met_again", **facts)

    def look(self) -> None:
        """Tell of latencies that have begun or ceased to drift."""
        now = set(self._drifting(trio.current_time() - USED_S))
        for path in sorted(now - self._drifts):
            log.warning("latency_drift", **_facts(path))
        for path in sorted(self._drifts - now):
            log.info("latency_drift_over", **_facts(path))
        self._drifts = now

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """How many alarms there are, by kind."""
        return {
            ("start_target",): sum(promise.below for promise in self._promises.values()),
            ("latency_drift",): len(self._drifts),
        }


def _facts(path: Path) -> dict[str, object]:
    tier, provider_id, model, size, how = path
    return {
        "provider_id": provider_id,
        "model": model or "(unlisted)",
        "tier": tier,
        "how": how,
        "size_class": int(size),
    }


async def run(alarms: Alarms) -> None:
    """Look at the providers now and then, until cancelled."""
    while True:
        await trio.sleep(LOOK_S)
        alarms.look()
