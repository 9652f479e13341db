"""The nursery of attempts that may outlive their request. The rule: each one is closed, counted and recorded, once.

A loser that is cut off hides how long it would have taken (policy/exploration.py). So a plan may say beforehand of a
rung that it is left running to the end of the window if another one wins (`Plan.linger`); its attempt then starts here.
Left alone, it is closed as soon as it starts: when it does is all that is wanted to know.

Who hears of it: the latency model, the breakers, and the ledger. What the attempt came to before its request settled is
in the request's own records; what comes after follows as `Observed`, with the costs of an abandoned attempt.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import trio

from appliance.domain.record import AttemptRecord, Observed, Settled
from appliance.policy.exploration import Look
from appliance.policy.latency import Flight
from appliance.policy.prices import PriceTable
from appliance.request.breakers import Breakers
from appliance.request.defect import places
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
            self._finish(one, told=True)

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
            _log_bug(bug, one)
            one.bug = bug
        finally:
            self.running.discard(one)
            one.end()
            if one.let_go_s is not None:
                self._finish(one)

    def _finish(self, one: Observation, *, told: bool = False) -> None:
        """An attempt that was let go has ended, one way or another. `told`: the breakers have heard of it.

        Nobody waits for it: a bug in one of these steps is logged, and neither the others nor the process end with it.
        """
        attempt, now_s = one.attempt, self._now_s()
        flight, look = one.flight, one.look
        one.bug = one.flight = one.look = None
        if attempt.fault is None:
            if attempt.started_s is not None:
                one.cause = "lost_race"
            elif one.cause is None:
                one.cause = "too_slow" if now_s >= one.scope.deadline else "shutdown"
        with _logged(one):
            attempt.close()
        if not told:
            with _logged(one):
                self._breakers.ended(attempt, now_s)
        if flight is not None:
            with _logged(one):
                try:
                    self._engine.landed(flight, attempt, one.cause != "shutdown", now_s)
                finally:
                    flight.forget()  # or it would be taken for flying for ever
        if look is not None:
            nanos = None
            with _logged(one):
                nanos = late_cost(one, self._prices).nanos
            look.came_to(attempt.started_s is not None, nanos)
        if one.record is not None:
            with _logged(one):
                self._record(one, one.record)

    def _record(self, one: Observation, before: AttemptRecord) -> None:
        record = observed_record(one, before, self._prices)
        observed = Observed(record.request_id, one.organisation_id, one.key_id, record)
        self._ledger.observe(observed)
        self._on_observed(observed)


@contextmanager
def _logged(one: Observation) -> Iterator[None]:
    try:
        yield
    except Exception as bug:  # noqa: BLE001 - logged; it would end the nursery, and the process with it
        _log_bug(bug, one)


def _log_bug(bug: Exception, one: Observation) -> None:
    log.error(
        "observation_failed",
        code="internal_error",
        request_id=one.record.request_id if one.record is not None else None,
        exception=type(bug).__name__,
        frames=places(bug),
    )
