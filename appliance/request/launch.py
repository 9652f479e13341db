"""Makes the attempts of one request: what is sent to whom, in which dialect. The rule: one place builds an attempt.

Nearly always all rungs are of one provider, whose target is looked up once; a chain of providers has one for each.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import trio

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import ApplianceFault
from appliance.policy.latency import Flight
from appliance.policy.moves import Replanned
from appliance.policy.plan import Plan
from appliance.policy.prices import PriceTable
from appliance.request.breakers import Breakers
from appliance.request.call import Call
from appliance.request.engine import Engine
from appliance.request.observation import Observation
from appliance.request.observatory import Observatory
from appliance.request.plan import Planner
from appliance.request.settle import begun_record
from appliance.request.work import Work
from appliance.settings import Settings
from appliance.store.ports import Directory, Ledger
from appliance.upstream.attempt import Attempt
from appliance.upstream.headers import Header, to_provider
from appliance.upstream.query import with_query
from appliance.upstream.target import Target
from appliance.upstream.transport import Pool
from appliance.wire.dialect import Asked, Dialect
from appliance.wire.provider_errors import family_of
from appliance.wire.translation.foreign_seals import is_stamped, without_stamps
from appliance.wire.translation.targets import home


class Shared(Protocol):
    """What launching needs of the gateway."""

    settings: Settings
    directory: Directory
    ledger: Ledger
    prices: PriceTable
    pool: Pool
    planner: Planner
    breakers: Breakers
    engine: Engine
    observatory: Observatory
    unix_s: Callable[[], float]

    def hold(self, call: Call, size_bytes: int) -> None:
        """Count bytes that the call holds."""
        ...


class Launcher:
    """The attempts of one request. `plan` may be replaced by the plan of another try."""

    __slots__ = (
        "_asked",
        "_call",
        "_dialect",
        "_flights",
        "_gateway",
        "_headers",
        "_hold",
        "_provider",
        "_target",
        "_work",
        "plan",
        "stream",
    )

    def __init__(self, gateway: Shared, call: Call, work: Work, plan: Plan, dialect: Dialect) -> None:
        admitted, provider = work.admitted, work.provider
        if admitted is None or provider is None:
            raise ApplianceFault("internal_error")
        self.plan = plan
        self.stream = admitted.asked.stream or plan.streams
        self._flights: dict[Attempt, Flight] | None = None
        self._gateway = gateway
        self._call = call
        self._work = work
        self._dialect = dialect
        self._asked: Asked = admitted.asked
        self._provider = provider
        self._headers: list[Header] = to_provider(call.headers, family_of(dialect.NAME))
        self._target: Target | None = None  # of this provider and the request's model

        def hold(size_bytes: int) -> None:  # of the call alone: an attempt that held this would be held by it, for good
            gateway.hold(call, size_bytes)

        self._hold = hold

    def __call__(self, place: int) -> Attempt:
        """The attempt of the rung at this place of the plan."""
        gateway, asked, work, stream = self._gateway, self._asked, self._work, self.stream
        rung = self.plan.rungs[place].rung
        target = self._target_of(rung)
        provider, dialect, headers = target.provider, self._dialect, self._headers
        asked_rung = msgspec.structs.replace(rung, tier=None) if target.tier_headers else rung
        translation = work.translation
        spoken = None if translation is None else translation.dialect(rung.provider)
        if translation is None or spoken is None:
            body = dialect.upstream_body(
                asked,
                model=rung.model,
                tier=asked_rung.tier,
                stream=stream,
                add_usage=stream and provider.stream_options,
            )
            if work.stamps and is_stamped(body, dialect.NAME):
                body = without_stamps(body, dialect.NAME, home(provider))
                work.unsealed = True
        else:
            dialect, body = spoken, translation.body(asked_rung)
            headers = to_provider(self._call.headers, family_of(dialect.NAME))
        if target.tier_headers and (named := target.tier_headers.get(rung.tier or "")) is not None:
            headers = [*headers, named]
        reader = (
            dialect.StreamReader(
                started_at=self._call.key.started_at,
                drop_usage=asked.stream and not asked.include_usage and spoken is None,
                provider=provider.name,
                tier_asked=rung.tier,
                framing=asked.framing if asked.stream and spoken is None else "sse",
            )
            if stream
            else None
        )
        if reader is not None and translation is not None and spoken is not None and asked.stream:
            reader = translation.reader(reader, rung)
        attempt = Attempt(
            gateway.pool,
            target,
            rung,
            len(work.attempts) + 1,
            dialect=dialect,
            headers=headers,
            body=body,
            reader=reader,
            now_unix_s=gateway.unix_s,
            most_bytes=gateway.settings.max_answer_bytes,
            hold=self._hold,
        )
        if gateway.breakers.suspects:
            gateway.breakers.admit(attempt, trio.current_time())
        engine, silent = gateway.engine, False
        if not work.attempts:
            gateway.ledger.begin(begun_record(work, self.plan, gateway.prices))
        elif any(one.end == "running" and one.started_s is None for one in work.attempts):
            silent = True
            engine.hedges.take(self._call.key.key_id, attempt.start_s)
        if stream and rung.model in engine.watched:
            behind = silent and self.plan.rungs[place].launch_s != 0.0
            if self._flights is None:
                self._flights = {}
            self._flights[attempt] = engine.launched(work, attempt, behind)
        work.attempts.append(attempt)
        return attempt

    def secret(self, attempt: Attempt) -> Callable[[], str]:
        """What gives the credential of an attempt when it is sent."""
        directory, provider = self._gateway.directory, attempt.target.provider
        return lambda: directory.secret(provider)

    async def warm(self, place: int) -> None:
        """Have a connection ready for a rung."""
        rung = self.plan.rungs[place].rung
        target = self._target_of(rung)
        await self._gateway.pool.warm(target.origin)

    def begun(self, attempt: Attempt) -> None:
        """Tell the breakers and the engine how an attempt began."""
        if attempt.fault is not None or self._gateway.breakers.suspects:
            self._gateway.breakers.begun(attempt, trio.current_time())
        if self._flights:
            flight = self._flights.pop(attempt, None)
            if flight is not None:
                self._gateway.engine.landed(flight, attempt, cut_off=False, now_s=trio.current_time())

    def again(self, place: int, launch_s: float, now_s: float) -> Replanned | None:
        """Plan anew by what is known now, with the rung at `place` to be launched then; None: it stays as planned."""
        return self._gateway.engine.again(self._work, place, launch_s, now_s)

    def after_loss(self, running: Sequence[int], waiting: Sequence[int], now_s: float) -> Replanned | None:
        """Plan anew what waits, after a rung was lost."""
        return self._gateway.engine.after_loss(self._work, running, waiting, now_s)

    def observe(self, place: int, attempt: Attempt, begun: Callable[[], None]) -> Observation | None:
        """Begin an attempt that may be left running, where the plan says so and there is room; None: as any other.

        `begun` is called when it has begun, or was cancelled by the race.
        """
        if place not in self.plan.linger:
            return None
        return self._gateway.observatory.start(attempt, self.secret(attempt), self._work, begun)

    def let_go(self, one: Observation, until_s: float) -> None:
        """Leave an attempt running until then: another one has won."""
        flight = self._flights.pop(one.attempt, None) if self._flights else None
        look, self._work.look = self._work.look, None
        self._gateway.observatory.let_go(one, self._work, flight, look, until_s)

    def land(self) -> None:
        """The race is over: attempts that were cut off while silent have said all that they will."""
        if self._work.look is not None:
            self._work.look.came_to(started=False, nanos=None)
            self._work.look = None
        if not self._flights:
            return
        work, call = self._work, self._call
        for attempt, flight in self._flights.items():
            cause = work.causes.get(attempt.ordinal) or call.cause  # none: a stop, or a bug of ours
            cut_off = cause is not None and cause != "shutdown"
            self._gateway.engine.landed(flight, attempt, cut_off, trio.current_time())
        self._flights = None

    def _target_of(self, rung: Rung) -> Target:
        if rung.provider == self._provider.name and rung.model == self._work.model:
            if self._target is None:
                self._target = self._target_at(self._provider, rung.model)
            return self._target
        return self._target_at(self._gateway.planner.named(self._call.key.organisation_id, rung.provider), rung.model)

    def _target_at(self, provider: Provider, model: str) -> Target:
        call, translation = self._call, self._work.translation
        spoken = None if translation is None else translation.dialect(provider.name)
        if spoken is not None:  # the query is the caller's dialect's
            asked = translation.asked if translation is not None else self._asked
            path = spoken.path(asked, model=model, stream=self.stream)
            return self._gateway.planner.target(provider, spoken.NAME, path)
        endpoint = call.endpoint
        path = endpoint.upstream or self._dialect.path(self._asked, model=model, stream=self.stream)
        if call.query:
            path = with_query(path, call.query)
        if endpoint.kept:
            return self._gateway.planner.kept_target(provider, self._dialect.NAME, path, endpoint.method)
        return self._gateway.planner.target(provider, self._dialect.NAME, path)
