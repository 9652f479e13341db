"""Third step: run the plan. The rule: one nursery per race, one scope per attempt, no winner before its losers end.

The decisions are `policy/race.py`'s; here its commands become tasks, scopes and sockets, and what happens to them
becomes its events. A cancelled loser's socket is closed by the command itself, before its task has even heard of it;
the nursery then cannot be left until every task has. A plan with one rung opens no nursery: it runs inline under the
call's own scope.

An attempt that the plan lets linger runs in the observatory's nursery instead; a task of the race follows it, and waits
for its end as it would wait for its own, until the race lets go of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from appliance.domain.errors import Fault, UpstreamFault
from appliance.domain.record import CancelCause
from appliance.net.wake import Wakeup
from appliance.policy.moves import (
    Cancel,
    Command,
    Commit,
    Detach,
    Elapsed,
    Event,
    Failed,
    GiveUp,
    Refused,
    Replanned,
    Start,
    Started,
)
from appliance.policy.plan import Plan
from appliance.policy.race import Race, sole_reason
from appliance.request.observation import Observation
from appliance.request.work import Work
from appliance.upstream.attempt import Attempt

WARM_S = 1.0
"""The next rung's connection is opened this long before its launch."""


class Launching(Protocol):
    """What runs a plan's rungs. See request.launch.Launcher."""

    def __call__(self, place: int) -> Attempt:
        """The attempt of a rung, by its place in the plan."""
        ...

    def secret(self, attempt: Attempt) -> Callable[[], str]:
        """What gives the attempt's credential."""
        ...

    def observe(self, place: int, attempt: Attempt, begun: Callable[[], None]) -> Observation | None:
        """Begin an attempt that may be left running, `begun` being called when it has; None: it may not."""
        ...

    def let_go(self, one: Observation, until_s: float) -> None:
        """Leave an attempt running until then."""
        ...

    async def warm(self, place: int) -> None:
        """Have a connection ready for a rung."""
        ...

    def begun(self, attempt: Attempt) -> None:
        """Hear how an attempt began."""
        ...

    def again(self, place: int, launch_s: float, now_s: float) -> Replanned | None:
        """Plan anew by what is known now, with the rung at `place` to be launched then; None: it stays as planned."""
        ...

    def after_loss(self, running: Sequence[int], waiting: Sequence[int], now_s: float) -> Replanned | None:
        """Plan anew what waits, after a rung was lost."""
        ...


async def run_plan(work: Work, plan: Plan, launch: Launching) -> None:
    """Run the plan until an answer has started: then `work.winner` and `work.reason` are set. Raises Fault."""
    if len(plan.rungs) > 1:
        await _Driver(work, plan, launch).run()
        return
    attempt = launch(0)
    await attempt.begin(launch.secret(attempt))
    launch.begun(attempt)
    if attempt.fault is not None:
        raise attempt.fault
    work.winner = attempt
    work.reason = sole_reason(plan)


class _Driver:
    """Executes one race's commands and reports its events."""

    def __init__(self, work: Work, plan: Plan, launch: Launching) -> None:
        self._work = work
        self._plan = plan
        self._launch = launch
        self._observed: dict[int, Observation] = {}
        self._machine = Race(plan, work.call.arrived_s, self._observed.__contains__)
        self._events: list[Event] = []
        self._wakeup = Wakeup()
        self._by_rung: dict[int, Attempt] = {}
        self._scopes: dict[int, trio.CancelScope] = {}
        self._fault: Fault | None = None
        self._bug: Exception | None = None
        self._warmed: set[int] = set()

    async def run(self) -> None:
        """Race until one rung has won. Raises Fault as it is, never in a group."""
        async with trio.open_nursery() as nursery:
            await self._guarded(self._decide, nursery)
            nursery.cancel_scope.cancel()
        bug, self._bug = self._bug, None
        if bug is not None:
            try:
                raise bug
            finally:
                del bug  # else its frames would hold it, and it them
        if self._fault is not None:
            raise self._fault
        self._work.reason = self._machine.reason()

    async def _decide(self, nursery: trio.Nursery) -> None:
        machine = self._machine
        self._execute(machine.begin(trio.current_time()), nursery)
        while not machine.over and self._bug is None:
            with trio.CancelScope(deadline=self._next_wake()):
                await self._wakeup.wait()
            self._warm_up(nursery)
            now = trio.current_time()
            events, self._events = self._events, []
            look, following = machine.look_at, machine.next_launch
            if not events and following is not None and look is not None and look <= now:
                again = self._launch.again(*following, now)
                events = [] if again is None else [again]
            self._execute(machine.on_many(events or [Elapsed(now)], now), nursery)
            if any(isinstance(event, Refused | Failed) for event in events):
                self._plan_after_loss(now, nursery)

    def _plan_after_loss(self, now: float, nursery: trio.Nursery) -> None:
        machine = self._machine
        if machine.over:
            return
        running = [place for place, state in enumerate(machine.states) if state == "running"]
        waiting = [place for place, state in enumerate(machine.states) if state == "waiting"]
        again = self._launch.after_loss(running, waiting, now)
        if again is not None:
            self._execute(machine.on(again, now), nursery)

    async def _guarded(self, run: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run a part of the race; what it raises ends the race and is raised by `run`, outside of the nursery."""
        try:
            await run(*args)
        except Exception as bug:  # noqa: BLE001 - kept and raised by `run`
            self._bug = self._bug or bug
            self._wakeup.wake()

    async def _try(self, rung: int, attempt: Attempt) -> None:
        with self._scopes[rung]:
            await attempt.begin(self._launch.secret(attempt))
        self._begun(rung, attempt)

    def _heard(self, rung: int, attempt: Attempt) -> None:
        """As `_begun`, for one that has a task elsewhere: what is raised here is the race's own."""
        try:
            self._begun(rung, attempt)
        except Exception as bug:  # noqa: BLE001 - kept and raised by `run`
            self._bug = self._bug or bug
            self._wakeup.wake()

    def _begun(self, rung: int, attempt: Attempt) -> None:
        if attempt.fault is None:
            if attempt.started_s is None:
                return  # cancelled
            self._launch.begun(attempt)
            self._events.append(Started(rung))
        else:
            self._launch.begun(attempt)
            refused = attempt.fault.kind.code == "provider_refused"
            self._events.append((Refused if refused else Failed)(rung, attempt.fault))
        self._wakeup.wake()

    def _execute(self, commands: list[Command], nursery: trio.Nursery) -> None:
        for command in commands:
            match command:
                case Start(rung):
                    attempt = self._by_rung[rung] = self._launch(rung)
                    one = self._launch.observe(rung, attempt, partial(self._heard, rung, attempt))
                    if one is None:
                        self._scopes[rung] = trio.CancelScope()
                        nursery.start_soon(self._guarded, self._try, rung, attempt)
                    else:
                        self._observed[rung] = one
                        self._scopes[rung] = one.scope
                        nursery.start_soon(self._guarded, one.follow)
                case Cancel(rung, reason):
                    self._cancel(rung, reason)
                case Detach(rung, until):
                    if self._by_rung[rung].sent_s is not None:
                        self._launch.let_go(self._observed[rung], until)
                    else:  # it holds the prompt still
                        self._cancel(rung, "lost_race")
                case Commit(rung):
                    self._work.winner = self._by_rung[rung]
                case GiveUp(fault):
                    self._fault = fault

    def _cancel(self, rung: int, reason: CancelCause) -> None:
        attempt = self._by_rung[rung]
        self._work.causes[attempt.ordinal] = reason
        attempt.close()
        self._scopes[rung].cancel()

    def _next_wake(self) -> float:
        timer = self._machine.next_timer
        at = float("inf") if timer is None else timer
        launch = self._machine.next_launch
        if launch is not None and launch[0] not in self._warmed:
            at = min(at, launch[1] - WARM_S)
        return at

    def _warm_up(self, nursery: trio.Nursery) -> None:
        launch = self._machine.next_launch
        if launch is not None and launch[0] not in self._warmed and trio.current_time() >= launch[1] - WARM_S:
            self._warmed.add(launch[0])
            nursery.start_soon(self._guarded, self._launch.warm, launch[0])


def too_slow() -> UpstreamFault:
    """The fault of an answer that did not start within `first_content_timeout_s`."""
    return UpstreamFault("provider_too_slow", "The answer did not start in time.")
