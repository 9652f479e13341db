"""The account of a request: what happened when, and why, in words. The rule: all of it follows from the records.

Nothing here is stored or measured: a request's row, its attempts' rows and its forecast say everything.
"""

from math import floor

import msgspec

from appliance.domain.record import AttemptRecord, Forecast, RequestRecord

EVENTS: dict[str, str] = {
    "launched": "an attempt was sent to a provider",
    "refused": "the provider had no capacity on that tier",
    "failed": "the attempt failed, before its answer began or within it",
    "started": "its answer began",
    "completed": "its answer came to its end",
    "cancelled": "its connection was closed",
    "detached": "it was left running beside the answer, to learn how long it takes",
    "observed": "what was left running began its answer, or its time was up",
    "interrupted": "the server ended",
    "replanned": "the launch of the dearer rung was set anew",
    "deadline": "the time by which the answer was to start",
    "finish": "the time by which its last byte was to come",
    "gone": "the client closed its connection",
}
"""What can happen to a request and its attempts."""

LAUNCH_WORDS: dict[str, str] = {
    "first": "the plan begins with it",
    "launch_time": "the latest moment for it had come, and nothing had started",
    "refused": "another attempt was refused",
    "failed": "another attempt failed",
    "retry": "the same rung again, as the caller asked",
    "beside": "started beside the first to learn how long it takes",
}
"""Why an attempt was launched."""

_SLACK_S = 0.005
"""A launch by time may be noted so much before its time: clocks are read one after the other."""

_AT_ONCE_S = 0.25
"""A launch so soon after another attempt's loss follows from it."""

_FOLLOWS = frozenset({"cancelled", "detached", "gone"})
"""What a start brings about comes after it, where both are of the same instant."""

_MET = {True: "met", False: "missed", None: None}

_LOSSES = {"refused": "refused", "failed": "failed"}


class Moment(msgspec.Struct, frozen=True):
    """One event, `at_s` seconds after the request came. `attempt`: the ordinal of whom it concerns.

    `why`: of a launch a word of LAUNCH_WORDS, of an end its cause or error code, else what is to be known of it.
    """

    at_s: float
    event: str
    attempt: int | None = None
    why: str | None = None


def moments(
    request: RequestRecord, attempts: tuple[AttemptRecord, ...], running: frozenset[int] = frozenset()
) -> list[Moment]:
    """The events in order. `running`: the ordinals of attempts that have not ended yet, whatever their record says."""
    told: list[Moment] = []
    starts_s = [one.to_start_s for one in attempts if one.outcome != "detached" and one.to_start_s is not None]
    won_s = min(starts_s, default=0.0)
    for place, attempt in enumerate(attempts):
        told.append(Moment(attempt.start_s, "launched", attempt.ordinal, _why_launched(request, attempts, place)))
        told += _course(attempt, won_s, attempt.ordinal in running)
    if request.forecast is not None:
        told += [
            Moment(at_s, "replanned", None, f"launch at {launch_s:.3f}") for at_s, launch_s in request.forecast.replans
        ]
    if request.window_s is not None and request.total_s >= request.window_s:
        told.append(Moment(request.window_s, "deadline", None, _MET[request.deadline_met]))
    if request.finish_s is not None and request.total_s >= request.finish_s:
        told.append(Moment(request.finish_s, "finish", None, _MET[request.finish_met]))
    if request.client_gone:
        told.append(Moment(request.total_s, "gone"))
    return sorted(told, key=lambda moment: (moment.at_s, moment.event in _FOLLOWS))


def _course(attempt: AttemptRecord, won_s: float, running: bool) -> list[Moment]:
    """What became of one attempt after its launch."""
    who, outcome, began_s = attempt.ordinal, attempt.outcome, attempt.to_start_s
    if outcome == "detached":
        told = [Moment(won_s, "detached", who)]
        if began_s is not None:
            told.append(Moment(began_s, "observed", who, "started"))
        elif not attempt.runs_on:
            silent = attempt.cancel_cause in ("too_slow", "lost_race")
            told.append(Moment(attempt.end_s, "observed", who, "silent" if silent else attempt.cancel_cause))
        return told
    told = [] if began_s is None else [Moment(began_s, "started", who)]
    if running:
        return told
    match outcome:
        case "won":
            told.append(Moment(attempt.end_s, "completed", who))
        case "refused" | "failed":
            told.append(Moment(attempt.end_s, outcome, who, attempt.error_code))
        case "interrupted":
            told.append(Moment(attempt.end_s, "interrupted", who))
        case _:
            told.append(Moment(attempt.end_s, "cancelled", who, attempt.cancel_cause))
    return told


def _why_launched(request: RequestRecord, attempts: tuple[AttemptRecord, ...], place: int) -> str | None:
    """A word of LAUNCH_WORDS; None where the records do not say."""
    attempt, before = attempts[place], attempts[:place]
    if not before:
        return "first"
    lost = [one for one in before if one.outcome in _LOSSES and one.end_s <= attempt.start_s + _SLACK_S]
    forecast, due_s = request.forecast, None
    if forecast is not None:
        times = [(0.0, forecast.launch_s), *forecast.replans]
        due_s = next(launch_s for at_s, launch_s in reversed(times) if at_s <= attempt.start_s)
    if due_s is None and request.window_s is not None:
        due_s = request.window_s
    if lost and attempt.start_s - lost[-1].end_s < _AT_ONCE_S:
        return _LOSSES[lost[-1].outcome]
    if any(
        (one.provider, one.model, one.tier_sent) == (attempt.provider, attempt.model, attempt.tier_sent)
        for one in before
    ):
        return "retry"
    if due_s is not None and attempt.start_s >= due_s - _SLACK_S:
        return "launch_time"
    if attempt.start_s - before[0].start_s < _SLACK_S:
        return "beside"
    return _LOSSES[lost[-1].outcome] if lost else None


def percent(share: float) -> str:
    """A probability as `99.2 %`; rounded down, so that nearly is never told as certain."""
    text = f"{floor(share * 10_000 + 1e-6) / 100:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def plan_line(forecast: Forecast, window_s: float | None, finish_s: float | None = None) -> str:
    """One line of what was planned and expected: `launch 6.8 s of 10 s; 99.2 % for 99 %; 0.74 of default`.

    When the dearer rung is launched, how likely the start (or, within `finish_s`, the end: `99.2 % for 99 % to end
    within 60 s`) is in time and how likely it was asked to be, and the expected cost beside that of always-default.
    """
    ending = "" if finish_s is None else f" to end within {finish_s:g} s"
    parts = [_planned(forecast, window_s), f"{percent(forecast.chance)} for {percent(forecast.target)}{ending}"]
    if forecast.cost_nanos is not None and forecast.default_nanos:
        parts.append(f"{forecast.cost_nanos / forecast.default_nanos:.2f} of default")
    return "; ".join(parts)


def _rounded(seconds: float) -> str:
    return f"{round(seconds, 2 if seconds < 10 else 1 if seconds < 100 else 0):g}"


def _planned(forecast: Forecast, window_s: float | None) -> str:
    first = forecast.rungs[forecast.first].tier or "untiered"
    launch_s = forecast.launch_s
    if launch_s is None:
        way = f"{first} at once"
    elif launch_s <= 0.0:
        way = "both at once"
    else:
        within = "" if window_s is None else f" of {window_s:g} s"
        way = f"launch {_rounded(launch_s)} s{within}"
    match forecast.why:
        case "latest_launch":
            return f"latest {way}"
        case "cheap_alone":
            return f"{first} alone, safety {way}"
        case "dear_alone" | "both_at_once":
            return way
        case "reserve":
            return f"fixed {way}"
        case other:
            return f"{other.replace('_', ' ')}: {way}"
