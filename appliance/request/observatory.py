"""The nursery of attempts that may outlive their request. The rule: each one is closed, counted and recorded, once.

A loser that is cut off hides how long it would have taken (policy/exploration.py). So a plan may say beforehand of a
rung that it is left running to the end of the window if another one wins (`Plan.linger`); its attempt then starts here.
Left alone, it is closed as soon as it starts: when it does is all that is wanted to know.

Who hears of it: the latency model, the breakers, and the ledger. What the attempt came to before its request settled is
in the request's own records; what comes after follows as `Observed`, with the costs of an abandoned attempt.
"""

from collections.abc import Callable

import structlog
import trio

from appliance.domain.record import Observed, Settled
from appliance.policy.exploration import Look
from appliance.policy.latency import Flight
from appliance.policy.prices import PriceTable
from appliance.request.breakers import Breakers
from appliance.request.engine import Engine
from appliance.request.late import late_cost, observed_record
from appliance.request.observation import Observation
from appliance.request.work import Work
from appliance.store.ports import Ledger
from appliance.upstream.attempt import Attempt

MOST_OBSERVED = 256
"""Attempts that run here at the same time; beyond, a loser is cut off as usual."""

log = structlog.get_logger()


class Observatory:
    """One for the process. `run` must run; before and after it no attempt is taken in."""

    def __init__(
        self,
        engine: Engine,
        breakers: Breakers,
        ledger: Ledger,
        prices: PriceTable,
        now_s: Callable[[], float],
        on_observed: Callable[[Observed], None],
    ) -> None:
        self._engine = engine
        self._breakers = breakers
        self._ledger = ledger
        self._prices = prices
        self._now_s = now_s
        self._on_observed = on_observed
        self._nursery: trio.Nursery | None = None
        self.running: set[Observation] = set()

    async def run(self) -> None:
        """Have attempts run until cancelled; then all are closed and recorded."""
        try:
            async with trio.open_nursery() as self._nursery:
                await trio.sleep_forever()
        finally:
            self._nursery = None

    @property
    def open(self) -> bool:
        """Whether it takes attempts in."""
        return self._nursery is not None and not self._nursery.cancel_scope.cancel_called

    def start(
        self, attempt: Attempt, secret: Callable[[], str], work: Work, begun: Callable[[], None]
    ) -> Observation | None:
        """Begin an attempt here, for a race that follows it; None if there is no room for it.

        `begun` is called, and must not raise, when the attempt has started, failed or been cancelled by the race.
        """
        nursery = self._nursery
        if nursery is None or not self.open or len(self.running) >= MOST_OBSERVED:
            return None
        key = work.call.key
        one = Observation(attempt, key.organisation_id, key.key_id, work.call.arrived_s, begun)
        self.running.add(one)
        nursery.start_soon(self._run, one, secret)
        return one

    def let_go(self, one: Observation, work: Work, flight: Flight | None, look: Look | None, until_s: float) -> None:
        """The race was won by another one: leave this attempt running, at the longest until then."""
        admitted = work.admitted
        one.most_output_tokens = admitted.asked.max_output_tokens if admitted is not None else None
        one.flight, one.look = flight, look
        work.linger(one)
        one.let_go(until_s, self._now_s())
        if one.over:  # in the same instant, and the race has told the breakers
            self._finish(one)

    def settled(self, work: Work, settled: Settled) -> None:
        """A request has its record; what its attempts come to from now on is told in records of their own."""
        for one in work.lingering.values():
            if not one.over:
                one.record, one.told = settled.attempts[one.attempt.ordinal - 1], work.tokens

    def revoked(self, key_id: str) -> None:
        """End what runs on for a key that may no longer ask."""
        for one in [one for one in self.running if one.key_id == key_id and one.let_go_s is not None]:
            one.cause = "revoked"
            one.attempt.close()
            one.scope.cancel()

    async def _run(self, one: Observation, secret: Callable[[], str]) -> None:
        try:
            with one.scope:
                await one.attempt.begin(secret)
        except Exception as bug:  # noqa: BLE001 - logged, and raised in the race if that follows it still
            log.error("observation_failed", exception=type(bug).__name__)
            one.bug = bug
        finally:
            self.running.discard(one)
            one.end()
            if one.let_go_s is not None:
                self._breakers.ended(one.attempt, self._now_s())
                self._finish(one)

    def _finish(self, one: Observation) -> None:
        """An attempt that was let go has ended, one way or another."""
        attempt, now_s = one.attempt, self._now_s()
        one.bug = None
        if attempt.fault is None:
            if attempt.started_s is not None:
                one.cause = "lost_race"
            elif one.cause is None:
                one.cause = "too_slow" if now_s >= one.scope.deadline else "shutdown"
        attempt.close()
        if one.flight is not None:
            self._engine.landed(one.flight, attempt, one.cause != "shutdown", now_s)
            one.flight = None
        if one.look is not None:
            one.look.came_to(attempt.started_s is not None, late_cost(one, self._prices).nanos)
            one.look = None
        if one.record is not None:
            record = observed_record(one, one.record, self._prices)
            observed = Observed(record.request_id, one.organisation_id, one.key_id, record)
            self._ledger.observe(observed)
            self._on_observed(observed)
