"""When a plan is looked at again while its dearer rung waits, and what follows. The rule: what is believed now decides.

A plan rests on what was known when it was made. While the request waits a tier may break down, or prove quick again:
then the launch that was right is right no more. So a plan is looked at every eighth of its window, and once when its
decision says (`Decision.check_s`: shortly before the launch, late enough to know much and early enough to act on it).
Looks are few, whatever is decided at them, and end with the launch; decisions are kept as long as no curve has moved,
so that most looks find the plan as it is.
"""

import msgspec

from appliance.policy.launch import AS_GOOD, Candidate, Decision, lateness, race

LOOKS = 8
LEAST_LOOK_S = 0.25
"""There are so many looks in a window, but none sooner than this after the one before."""

SLACK_S = 0.05
"""A launch is moved only by more than this."""


def next_look(window_s: float, check_s: float, since_s: float) -> float | None:
    """The first look later than `since_s`, in seconds after the clock start as they are; None: there is none before the
    deadline.
    """
    step_s = max(window_s / LOOKS, LEAST_LOOK_S)
    number = int(since_s / step_s)
    while (look_s := number * step_s) <= since_s:
        number += 1
    if since_s < check_s < look_s:
        return check_s
    return look_s if look_s < window_s else None


def move(
    decision: Decision,
    rungs: tuple[Candidate, ...],
    first: int,
    planned: tuple[int, float],
    window_s: float,
    epsilon: float,
    z: float,
) -> tuple[int, float] | None:
    """What is launched next and when, by what is decided now of a race whose `first` rung is silent; None: as planned.

    `planned`: the rung that is next and its time, in seconds after the clock start as the answer's. A first rung that
    would not be started now runs already, and may still win: the dear one is launched when that race would be looked at
    for the last time, but no later than was planned. Where nothing meets the target, a launch is brought forward only
    if that helps: an outage of both is no reason to pay for both.
    """
    place, planned_s = planned
    if decision.first < first or (decision.first == first and decision.second is None):
        return None
    rung, launch_s = decision.second, decision.launch_s
    if decision.first > first or rung is None:
        rung = decision.first
        launch_s = min(planned_s, race(first, rung, rungs, window_s, epsilon, z).check_s)
    if rung != place:
        return rung, launch_s
    if abs(launch_s - planned_s) <= SLACK_S:
        return None
    if not decision.feasible and launch_s < planned_s and decision.first == first:
        sooner = lateness(decision, rungs, window_s, z)
        if lateness(msgspec.structs.replace(decision, launch_s=planned_s), rungs, window_s, z) <= sooner * AS_GOOD:
            return None
    return rung, launch_s
