"""The race of one request over a ladder of rungs, as a state machine. The rule: events in, commands out, no I/O.

Theory of operation
===================

A request may be answered by any rung of a ladder: the same question put to a cheap service tier, to a dearer one, to
the dearest. Cheap tiers are slow at times and refuse at times; the caller has said within what time the answer should
*start*. So the cheapest rung is asked first, the next one at the latest moment that still promises a start in time,
and the cheaper one keeps running meanwhile: this is a race and not a switch, since a cheap rung that starts a moment
before the dear one still saves the money. The first rung whose answer *starts* wins, all others are cancelled.

Who does what. The plan (policy/plan.py) says when rungs are launched if nothing happens. This machine decides what
follows from what happened. The driver (request/race.py) owns sockets, tasks and the clock: it reports events, executes
the commands that it gets back, in their order, and calls again at `next_timer`. Nothing here waits, and every decision
can be replayed from the list of (event, time) alone.

A rung waits, runs, and then wins or is lost, once; TRANSITIONS has it all. What the table does not list is ignored:
that is how late words of cancelled attempts, duplicates, and events about rungs that never ran do no harm.

When a running rung is lost, three things matter: whose fault it is, which other rungs run, and whether one waits.
AFTER_LOSS is that table, and its reasons are these:

- A refusal for capacity or an upstream error says nothing about the next rung, and waiting for the timer would waste
  the window: the next rung is launched at once, unless a dearer rung than the lost one runs already. Losing the
  cheap rung after the dear one was launched is no cause to climb higher.
- But a key that one provider rejects, or a model that it has not, says nothing of the next rung's provider, if that
  is another: a chain goes on.
- A quota of Google's is shared by its tiers: it ends the race as a caller's fault does.
- A caller's fault (the provider rejected the request or our key: 400, 401, 403, 404, 413, 422) would come back from
  every rung: it ends the race and starts no rung. But while another rung runs, that one may still prove it wrong.
- An error never wins while another rung runs or may be launched. When none is left the race gives up with the error
  of the dearest rung that ran, as the provider sent it, and the smallest retry-after that any rung named.

Order. A rung's place is its place in the ladder, from cheap to dear; launched are first those with a time, then those
dearer, then the cheap ones that the plan skipped. `Replanned` gives a waiting rung another time, and makes it the next:
what was learned while the race ran. A rung that runs is never called back by it.

Time. The deadline ends nothing: it only decides launches. Running rungs go on until the
time to give up, which is a provider_too_slow. Of things that happen in the same instant (`on_many`) the order is: the
client's leaving, starts from cheap to dear (so that ties go to the cheaper rung), losses from cheap to dear (so that
the dearest error is the last word), new plans, timers last. So a start beats the timer that would have launched another
rung, and beats the giving up.

The end. A race ends once, in `Commit` or `GiveUp`, and this is the last command it ever gives. Before it, each other
running rung gets one `Cancel`, or one `Detach` where the argument `detach` names it and the deadline is still ahead:
then the attempt may run on outside of the request until the deadline, to be observed. Only a won race detaches; a
client that went away pays for nothing more.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from appliance.domain.errors import CallerFault, Fault, UpstreamFault
from appliance.domain.record import CancelCause
from appliance.policy.moves import (
    Began,
    Cancel,
    ClientGone,
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

# -- the tables --------------------------------------------------------------------------------------------------------

RungState = Literal["waiting", "running", "won", "refused", "failed", "rejected", "cancelled", "detached"]
Step = Literal["launch", "began", "started", "refused", "failed", "rejected", "cancel", "detach"]

TRANSITIONS: dict[tuple[RungState, Step], RungState] = {
    ("waiting", "launch"): "running",
    ("running", "began"): "running",
    ("running", "started"): "won",
    ("running", "refused"): "refused",  # no capacity
    ("running", "failed"): "failed",  # the provider's or the network's fault
    ("running", "rejected"): "rejected",  # the caller's fault
    ("running", "cancel"): "cancelled",
    ("running", "detach"): "detached",
}

Loss = Literal["refused", "failed", "rejected"]
Alive = Literal["dearer", "cheaper", "none"]
"""Whether a dearer rung than the lost one runs, only cheaper ones do, or none."""

AFTER_LOSS: dict[tuple[Loss, Alive, bool], Literal["wait", "launch", "end"]] = {
    # lost by, others running, one waiting
    ("refused", "dearer", True): "wait",
    ("refused", "dearer", False): "wait",
    ("refused", "cheaper", True): "launch",
    ("refused", "cheaper", False): "wait",
    ("refused", "none", True): "launch",
    ("refused", "none", False): "end",
    ("failed", "dearer", True): "wait",
    ("failed", "dearer", False): "wait",
    ("failed", "cheaper", True): "launch",
    ("failed", "cheaper", False): "wait",
    ("failed", "none", True): "launch",
    ("failed", "none", False): "end",
    ("rejected", "dearer", True): "wait",
    ("rejected", "dearer", False): "wait",
    ("rejected", "cheaper", True): "wait",
    ("rejected", "cheaper", False): "wait",
    ("rejected", "none", True): "end",
    ("rejected", "none", False): "end",
}

CALLERS_FAULTS = frozenset({"provider_rejected", "provider_key_rejected"})
"""Codes of a provider's answers 400, 401, 403, 404, 413 and 422: another rung would be told the same."""

NOT_STARTED = frozenset({"provider_unreachable", "provider_cut_off", "provider_too_slow"})
"""Codes of an attempt that could not be opened, or ended without an error of the provider's."""


def is_callers_fault(fault: Fault) -> bool:
    """Whether a failed attempt means that the request itself (or our credential) is at fault."""
    return fault.kind.code in CALLERS_FAULTS or isinstance(fault, CallerFault)


def sole_reason(plan: Plan) -> str:
    """The reason when the first rung served and no other was launched; all that a one-rung plan needs of a race."""
    return plan.reason_hint or ("tier_direct" if plan.window_s is None else "flex_won")


# -- the machine -------------------------------------------------------------------------------------------------------


class Race:
    """One request's race. `now0` is the clock start on the monotonic clock; rungs are named by their place in the plan.

    `detach` names the rungs that may run on after another one won: indexes, or a function asked when it happens.
    """

    __slots__ = (
        "_climb",
        "_detach",
        "_faults",
        "_launch_s",
        "_launched",
        "_look_s",
        "_now0",
        "_over",
        "_plan",
        "_states",
        "_waiting",
        "winner",
    )

    def __init__(self, plan: Plan, now0: float, detach: frozenset[int] | Callable[[int], bool] = frozenset()) -> None:
        self._plan = plan
        self._now0 = now0
        self._detach = detach
        self._states: list[RungState] = ["waiting"] * len(plan.rungs)
        self._faults: dict[int, Fault] = {}
        self._waiting = plan.launches()
        self._launch_s = {place: planned.launch_s for place, planned in enumerate(plan.rungs)}
        self._launched: list[int] = []
        self._look_s = plan.next_look(0.0)
        self._climb: str | None = None
        self._over = False
        self.winner: int | None = None

    @property
    def over(self) -> bool:
        """Whether Commit or GiveUp was given."""
        return self._over

    @property
    def states(self) -> tuple[RungState, ...]:
        """Each rung's state, in the order of the plan."""
        return tuple(self._states)

    @property
    def next_timer(self) -> float | None:
        """When `Elapsed` is due, on the monotonic clock: next launch, look at the plan or giving up. None when over."""
        if self._over:
            return None
        times = (self._now0 + self._plan.give_up_s, self._next_launch(), self.look_at)
        return min(at for at in times if at is not None)

    @property
    def look_at(self) -> float | None:
        """When the plan is to be looked at again, on the monotonic clock, while the first rung alone is asked."""
        return None if self._look_s is None or not self._waiting else self._now0 + self._look_s

    @property
    def next_launch(self) -> tuple[int, float] | None:
        """The rung that is launched next and when, on the monotonic clock; None: none by time."""
        launch = None if self._over else self._next_launch()
        return None if launch is None else (self._waiting[0], launch)

    def begin(self, now: float) -> list[Command]:
        """The first commands. Call once."""
        commands: list[Command] = []
        self._timers(now, commands)
        return commands

    def on(self, event: Event, now: float) -> list[Command]:
        """What follows from one event."""
        return self.on_many((event,), now)

    def on_many(self, events: Iterable[Event], now: float) -> list[Command]:
        """What follows from events of the same instant, whatever their order in the list."""
        commands: list[Command] = []
        for event in sorted(events, key=_precedence):
            if self._over:
                return commands
            self._one(event, now, commands)
        if not self._over:
            self._timers(now, commands)
        return commands

    def reason(self) -> str | None:
        """Why this rung answered, a word of domain.record.REASONS; None unless a rung has won."""
        winner, launched, plan = self.winner, self._launched, self._plan
        if winner is None:
            return None
        first = launched[0]
        if winner == first:
            if len(launched) == 1:
                return sole_reason(plan)
            beside = plan.rungs[launched[1]].launch_s == 0.0
            return "flex_won_late" if beside else plan.reason_hint or "flex_won_late"
        if plan.rungs[winner].launch_s == 0.0 and plan.reason_hint is not None:
            return plan.reason_hint
        rungs = plan.rungs
        untimed = rungs[winner].launch_s is None
        elsewhere = untimed and rungs[winner].rung.provider != rungs[first].rung.provider
        if plan.window_s is None or elsewhere or winner < first:
            return "chain_advanced"
        return self._climb

    def _one(self, event: Event, now: float, commands: list[Command]) -> None:
        match event:
            case Started(rung):
                if self._step(rung, "started"):
                    self._end(Commit(rung), "lost_race", now, commands)
            case Refused(rung, fault):
                self._lost(rung, "refused", fault, now, commands)
            case Failed(rung, fault):
                rejected = (is_callers_fault(fault) or _is_shared_quota(fault)) and not self._may_differ_elsewhere(
                    rung, fault
                )
                self._lost(rung, "rejected" if rejected else "failed", fault, now, commands)
            case ClientGone():
                self._end(GiveUp(CallerFault("client_gone")), "client_gone", now, commands)
            case Began(rung):
                self._step(rung, "began")
            case Replanned(rung, launch_s):
                self._replan(rung, launch_s)
            case Elapsed():
                pass  # timers are looked at after every event

    def _replan(self, rung: int, launch_s: float) -> None:
        """Make a waiting rung the next one. Of those before it, the dearer wait for the deadline, others for losses."""
        if rung not in self._waiting:
            return
        at, times = self._waiting.index(rung), self._launch_s
        before, after = self._waiting[:at], self._waiting[at + 1 :]
        for one in before:
            times[one] = None if one < rung or times[one] is None else self._plan.window_s
        self._waiting = [rung, *(one for one in before if one > rung), *after, *(one for one in before if one < rung)]
        times[rung] = launch_s

    def _may_differ_elsewhere(self, lost: int, fault: Fault) -> bool:
        """Whether a rung that waits is another provider's, with a key and quota of its own and perhaps the model, or is
        of another model, where this one was not found.
        """
        rungs = self._plan.rungs
        if not 0 <= lost < len(rungs):
            return False
        here, others = rungs[lost].rung, [rungs[place].rung for place in self._waiting]
        if fault.status == 404:
            return any((other.provider, other.model) != (here.provider, here.model) for other in others)
        if all(other.provider == here.provider for other in others):
            return False
        return fault.kind.code == "provider_key_rejected" or _is_shared_quota(fault)

    def _step(self, rung: int, step: Step) -> bool:
        """Moves one rung along TRANSITIONS; False where nothing is listed, and the event does not count."""
        if not 0 <= rung < len(self._states):
            return False
        after = TRANSITIONS.get((self._states[rung], step))
        if after is None:
            return False
        self._states[rung] = after
        return True

    def _lost(self, rung: int, loss: Loss, fault: Fault, now: float, commands: list[Command]) -> None:
        if not self._step(rung, loss):
            return
        self._faults[rung] = fault
        self._look_s = None  # the plan was for a first rung that runs
        alive: Alive = "none"
        if "running" in self._states:
            alive = "dearer" if "running" in self._states[rung + 1 :] else "cheaper"
        waiting = bool(self._waiting) and now < self._now0 + self._plan.give_up_s
        verdict = AFTER_LOSS[loss, alive, waiting]
        if verdict == "launch":
            self._launch(_cause(loss, fault), commands)
        elif verdict == "end":
            dearest = fault if loss == "rejected" else self._faults[max(self._faults)]
            self._end(GiveUp(_with_least_retry_after(dearest, self._faults.values())), "lost_race", now, commands)

    def _timers(self, now: float, commands: list[Command]) -> None:
        if now >= self._now0 + self._plan.give_up_s:
            self._end(GiveUp(UpstreamFault("provider_too_slow")), "too_slow", now, commands)
            return
        if self._look_s is not None and now >= self._now0 + self._look_s:
            self._look_s = self._plan.next_look(max(now - self._now0, self._look_s))
        while (launch := self._next_launch()) is not None and launch <= now:
            self._launch("flex_deadline", commands)

    def _next_launch(self) -> float | None:
        if not self._waiting:
            return None
        launch_s = self._launch_s[self._waiting[0]]
        return None if launch_s is None else self._now0 + launch_s

    def _launch(self, cause: str, commands: list[Command]) -> None:
        rung = self._waiting.pop(0)
        self._step(rung, "launch")
        if self._launched:
            self._look_s = None
            self._climb = self._climb or cause
        self._launched.append(rung)
        commands.append(Start(rung))

    def _end(self, last: Commit | GiveUp, cause: CancelCause, now: float, commands: list[Command]) -> None:
        won = isinstance(last, Commit)
        until = self._now0 + min(self._plan.window_s or 0.0, self._plan.give_up_s)
        for rung, state in enumerate(self._states):
            if state == "running":
                if won and now < until and self._may_detach(rung):
                    self._step(rung, "detach")
                    commands.append(Detach(rung, until))
                else:
                    self._step(rung, "cancel")
                    commands.append(Cancel(rung, cause))
        if isinstance(last, Commit):
            self.winner = last.rung
        self._over = True
        commands.append(last)

    def _may_detach(self, rung: int) -> bool:
        return self._detach(rung) if callable(self._detach) else rung in self._detach


def _precedence(event: Event) -> tuple[int, int]:
    """The order of things that happen in the same instant; the docstring of the module says why."""
    match event:
        case ClientGone():
            return 0, 0
        case Started(rung):
            return 1, rung
        case Refused(rung) | Failed(rung):
            return 2, rung
        case Began(rung):
            return 3, rung
        case Replanned(rung):
            return 4, rung
        case Elapsed():
            return 5, 0


def _is_shared_quota(fault: Fault) -> bool:
    """Whether a quota was told that all tiers share: Google's flex draws on the usual limits (flex-inference guide)."""
    return fault.family == "gemini" and fault.kind.code == "provider_rate_limited"


def _cause(loss: Loss, fault: Fault) -> str:
    """The reason that a lost cheap rung gives to the dearer one's launch."""
    if loss == "refused":
        return "flex_capacity"
    if fault.kind.code in NOT_STARTED or fault.origin == "startline":
        return "flex_not_started"
    return "flex_upstream_error"


def _with_least_retry_after(fault: Fault, faults: Iterable[Fault]) -> Fault:
    """The fault with the smallest retry-after of all; a copy if that is not its own."""
    least = min((f.retry_after_s for f in faults if f.retry_after_s is not None), default=None)
    if fault.retry_after_s == least:
        return fault
    twin = type(fault).__new__(type(fault), *fault.args)
    twin.__dict__.update(fault.__dict__)
    twin.retry_after_s = least
    return twin
