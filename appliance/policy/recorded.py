"""Recorded races as data on their rungs. The rule: what an attempt's end says of its rung is decided here, once.

First content: the rung started at that age. Refused or failed: lost. Cut off while silent, for whatever reason: all
that is known is that it had not started yet, so it is censored. What was the caller's fault, or ours, says nothing.
"""

from typing import Literal

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.record import AttemptRecord, RequestRecord
from appliance.policy.histogram import Cause
from appliance.policy.race import CALLERS_FAULTS

CHEAP_TIERS = frozenset({"flex", "batch", "deferred"})
USUAL_TARGET = 0.99
"""The target of records that name none."""

SAME_MOMENT_S = 0.01
"""Attempts that are launched within so short a time of each other are launched together."""

End = Literal["won", "lost", "refused", "failed", "gone", "left_running"]


class Tried(msgspec.Struct, frozen=True):
    """One attempt: launched `launch_s` after the request came, it ended by `cause` at the age `age_s`.

    `behind`: a cheaper one was running and silent. `cause` None: it says nothing of its rung. `nanos` None: not known.
    """

    rung: Rung
    launch_s: float
    age_s: float
    cause: Cause | None
    behind: bool
    end: End
    nanos: int | None


class Raced(msgspec.Struct, frozen=True):
    """One request that had a deadline, with its attempts in the order of their launch.

    `met` None: the caller ended it before the deadline. `cheap` and `dear`: between which rungs it was decided; None
    where the model has one tier only. `finish_s`: the deadline of the last byte, if there was one, which the
    chances are then about. `why` and the chances are those of the plan, None in records that have none.
    """

    at_unix_s: float
    organisation_id: str
    provider: str
    model: str
    window_s: float
    target: float
    met: bool | None
    start_s: float | None
    nanos: int | None
    default_nanos: int | None
    reason: str | None
    tries: tuple[Tried, ...]
    cheap: Rung | None = None
    dear: Rung | None = None
    size: int = 0
    finish_s: float | None = None
    ended_in_time: bool | None = None
    why: str | None = None
    chance: float | None = None
    chance_least: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether came what the chances are about: the start in time, or the end; None: it cannot be judged."""
        return self.met if self.finish_s is None else self.ended_in_time

    @property
    def winner(self) -> Tried | None:
        """The attempt that answered."""
        return next((one for one in self.tries if one.end == "won"), None)


def raced(request: RequestRecord, attempts: tuple[AttemptRecord, ...]) -> Raced | None:
    """The race in a request's records; None if it had no deadline or never came to an attempt."""
    if request.window_s is None or not attempts:
        return None
    tries = tuple(_tried(attempt, attempts[:place]) for place, attempt in enumerate(attempts))
    cheap, dear = _rungs(request, tries)
    forecast = request.forecast
    return Raced(
        at_unix_s=request.at_unix_us / 1e6,
        organisation_id=request.organisation_id,
        provider=request.provider or attempts[0].provider,
        model=request.model_dispatched or request.model_asked,
        window_s=request.window_s,
        target=request.target if request.target is not None else USUAL_TARGET,
        met=request.deadline_met,
        start_s=request.to_start_s,
        nanos=request.cost_nanos,
        default_nanos=request.default_nanos,
        reason=request.reason,
        tries=tries,
        cheap=cheap,
        dear=dear,
        size=request.size_class,
        finish_s=request.finish_s,
        ended_in_time=request.finish_met,
        why=forecast.why if forecast is not None else None,
        chance=forecast.chance if forecast is not None else None,
        chance_least=forecast.chance_least if forecast is not None else None,
    )


def _tried(attempt: AttemptRecord, before: tuple[AttemptRecord, ...]) -> Tried:
    started = attempt.to_start_s is not None
    end_s = attempt.to_start_s if attempt.to_start_s is not None else attempt.end_s
    behind = any(
        attempt.start_s - other.start_s > SAME_MOMENT_S and _silent_until_s(other) > attempt.start_s for other in before
    )
    return Tried(
        Rung(attempt.provider, attempt.model, attempt.tier_sent),
        attempt.start_s,
        max(end_s - attempt.start_s, 0.0),
        "started" if started else _cause(attempt),
        behind,
        _end(attempt),
        attempt.cost_nanos,
    )


def _silent_until_s(attempt: AttemptRecord) -> float:
    return attempt.end_s if attempt.to_start_s is None else attempt.to_start_s


def _cause(attempt: AttemptRecord) -> Cause | None:
    """What the end of an attempt that did not start says."""
    match attempt.outcome:
        case "refused":
            return "lost"
        case "failed":
            return None if attempt.error_code in CALLERS_FAULTS else "lost"
        case "detached" if attempt.error_code is not None:
            return "lost"
        case "won" | "interrupted":
            return None
        case _:
            return "censored"


def _end(attempt: AttemptRecord) -> End:
    match attempt.outcome:
        case "won" | "lost" | "refused" | "failed":
            return attempt.outcome
        case "detached":
            return "left_running"
        case _:
            return "gone"


def _rungs(request: RequestRecord, tries: tuple[Tried, ...]) -> tuple[Rung | None, Rung | None]:
    """Between which two rungs it was decided: as the plan says, else as the tiers tell."""
    forecast = request.forecast
    if forecast is not None and len(forecast.rungs) > 1:
        second = forecast.second if forecast.second is not None else max(forecast.first, 1)
        return forecast.rungs[min(forecast.first, second - 1)] if second else None, forecast.rungs[second]
    first = tries[0].rung
    if first.tier in CHEAP_TIERS:
        dear = next((one.rung for one in tries[1:]), Rung(first.provider, first.model, "default"))
        return first, dear
    return None, first
