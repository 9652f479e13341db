"""Runs a plan again where the request said `retry`. The rule: the tier that was settled on, and never the cheap rung.

What is worth it and when is decided by `policy/retry.py`; a started answer is never retried, since none came back.
"""

import secrets

import trio

from appliance.domain.errors import UpstreamFault
from appliance.domain.routing import Retry
from appliance.policy.plan import Plan, plan_direct
from appliance.policy.retry import wait_s, worth_another_try
from appliance.request.launch import Launcher
from appliance.request.race import run_plan
from appliance.request.work import Work
from appliance.upstream.attempt import Attempt

_GRAINS = 1000


async def run_persistently(work: Work, plan: Plan, launcher: Launcher, retry: Retry) -> None:
    """As `run_plan`, and again after a pause while that is worth it. Raises the last Fault."""
    first = plan
    spare = [planned.rung for planned in plan.rungs[: plan.first]]  # cheap ones that the plan had skipped
    for number in range(1, retry.count + 1):
        try:
            await run_plan(work, plan, launcher)
            return
        except UpstreamFault as fault:
            last = next(one for one in reversed(work.attempts) if one.rung not in spare or one is work.attempts[0])
            if not worth_another_try(fault, last.head.status if last.head is not None else None):
                raise
            pause_s = wait_s(retry, number, fault.retry_after_s, secrets.randbelow(_GRAINS) / _GRAINS)
        await trio.sleep(pause_s)
        work.retried += 1
        plan = launcher.plan = plan_direct(last.rung, first.give_up_s, _reason(work, first, last), first.window_s)
    await run_plan(work, plan, launcher)


def _reason(work: Work, first: Plan, last: Attempt) -> str:
    """Why the settled tier serves, in the words of the race that led to it."""
    rung = first.rungs[first.first].rung
    if last.rung.provider != rung.provider:
        return "chain_advanced"
    if last.rung == rung:
        return first.reason_hint or "tier_direct"
    fault = work.attempts[0].fault
    refused = fault is not None and fault.kind.code == "provider_refused"
    return "flex_deadline" if fault is None else "flex_capacity" if refused else "flex_upstream_error"
