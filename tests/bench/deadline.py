"""What the deadline engine costs: observations, a curve, plans, and a request's way through it, in microseconds.

`python -m tests.bench.deadline` prints them.

Aims: 10 µs for an observation (all levels, both decays), 100 µs for a plan from curves that are built. A curve is
built anew at most once a second for each level and tier, or when its counts have moved.
"""

from random import Random
from timeit import repeat

import trio
from trio.testing import MockClock

from appliance.policy import finish
from appliance.policy.buckets import bucket
from appliance.policy.histogram import Histogram
from appliance.policy.latency import SLOW, LatencyModel, Series, prior_of
from appliance.policy.launch import Candidate, decide
from appliance.policy.lengths import Lengths
from appliance.policy.survival import estimate
from appliance.request.admit import admit
from appliance.request.work import Work
from appliance.wire import openai_chat
from tests.request.stage import Stage

ROUNDS = 7


def figures(times: int = 300) -> dict[str, float]:
    """Microseconds each, the best of some rounds."""
    random = Random(1)
    model = LatencyModel()
    flex, default = Series("openai", "gpt", "flex"), Series("openai", "gpt", "default")
    behind = Series("openai", "gpt", "default", 0, True)
    counts, now_s = Histogram(SLOW, 0.0), 0.0
    for _ in range(3000):
        now_s += 0.5
        for series, median_s in ((flex, 8.0), (default, 1.2), (behind, 1.2)):
            took_s = median_s * random.lognormvariate(0.0, 0.8)
            model.begin(series, now_s).end("started", now_s + took_s)
            counts.add("started", bucket(took_s), now_s)
    rungs = (
        Candidate(model.curve(flex, now_s), model.curve(flex, now_s), 0.5),
        Candidate(model.curve(default, now_s), model.curve(behind, now_s), 1.0),
    )
    lengths = Lengths()
    for nth in range(3000):
        words = round(250 * random.lognormvariate(0.0, 0.6))
        lengths.ended("gpt", "key", words, False, nth * 0.5)
        for tier in ("flex", "default"):
            lengths.took("openai", "gpt", tier, words, words / 60 * random.lognormvariate(0.0, 0.25), nth * 0.5)
    tiers = [lengths.pace("openai", "gpt", tier, now_s) for tier in ("flex", "default")]
    length = lengths.length("gpt", "key", now_s)
    prior = prior_of("flex")
    work = {
        "observation": lambda: model.begin(flex, now_s).end("started", now_s + 8.0),
        "curve, built": lambda: estimate(counts, prior, 8.0, now_s),
        "curve, looked up": lambda: model.curve(flex, now_s),
        "plan": lambda: decide(rungs, 10.0, 0.99),
        "length": lambda: lengths.ended("gpt", "key", 300, False, now_s),
        "pace": lambda: lengths.took("openai", "gpt", "flex", 300, 5.0, now_s),
        "mean length": lambda: lengths.mean_tokens("gpt", "key", 300.0),
        "plan of the end": lambda: finish.decide(
            rungs, tuple([finish.Generation(length, pace) for pace in tiers]), 40.0, 40.0, 0.99
        ),
    }
    model.begin(flex, now_s).end("started", now_s + 8.0)
    return {name: min(repeat(job, number=times, repeat=ROUNDS)) / times * 1e6 for name, job in work.items()}


def on_the_way(times: int = 300) -> dict[str, float]:
    """The same for what a request with a window pays: its plan, and the flight of one attempt."""
    found: dict[str, float] = {}

    async def measure() -> None:
        async with trio.open_nursery() as nursery:
            stage = Stage(nursery, {}, settings={"reserve_s": {}})
            stage.teach_usual()
            engine, planner = stage.gateway.engine, stage.gateway.planner
            call, _ = stage.prepare({"start_within": "10s", "stream": True})
            work = Work(call)
            access = stage.gateway.doorkeeper.access(call.key)
            work.admitted = await admit(
                call, openai_chat, stage.gateway.wishes, access, stage.settings, stage.gateway.bodies
            )

            def plan() -> None:
                planner.plan(work)
                stage.gateway.slots.give_back(call.key.organisation_id)

            def plan_anew() -> None:
                engine._decided.clear()
                plan()

            work.plan = planner.plan(work)
            stage.gateway.slots.give_back(call.key.organisation_id)
            launch_s = work.plan.rungs[1].launch_s or 0.0

            direct_call, _ = stage.prepare({})
            direct = Work(direct_call)
            direct.admitted = await admit(
                direct_call, openai_chat, stage.gateway.wishes, access, stage.settings, stage.gateway.bodies
            )
            found.update(
                {
                    name: min(repeat(job, number=times, repeat=ROUNDS)) / times * 1e6
                    for name, job in {
                        "request: no race": lambda: planner.plan(direct),
                        "request: race": plan,
                        "request: race, anew": plan_anew,
                        "request: look": lambda: engine.again(work, 1, call.arrived_s + launch_s, call.arrived_s),
                    }.items()
                }
            )
            nursery.cancel_scope.cancel()

    trio.run(measure, clock=MockClock())
    return found


if __name__ == "__main__":
    for name, cost in (figures() | on_the_way()).items():
        print(f"{name:<20} {cost:8.1f} µs")
