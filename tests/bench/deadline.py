"""What the deadline engine costs: observations, a curve, plans, and a request's way through it, in microseconds.

`python -m tests.bench.deadline` prints them.

Aims: 10 µs for an observation (all levels, both decays), 100 µs for a plan from curves that are built, with a deadline
on the end as well (plan and chance of the end together); where a ladder has three steps and more, and the first two do
not meet the target, it is not met. A curve is built anew at most once a second for each level and
tier, or when its counts have moved; a generation when the curve of lengths or paces has that it follows from.
"""

from collections.abc import Callable
from random import Random
from timeit import repeat

import trio
from trio.testing import MockClock

from appliance.policy import finish
from appliance.policy.buckets import bucket
from appliance.policy.generation import Generation
from appliance.policy.histogram import Histogram
from appliance.policy.latency import SLOW, LatencyModel, Series, prior_of
from appliance.policy.launch import Candidate, decide
from appliance.policy.lengths import Lengths
from appliance.policy.survival import estimate
from appliance.request.admit import admit
from appliance.request.work import Work
from appliance.wire import openai_chat
from tests.request.stage import MODEL, Stage, log_normal_times

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
    longer = (*rungs, Candidate(model.curve(default, now_s), model.curve(behind, now_s), 2.0))  # all are needed
    lengths = Lengths()
    for nth in range(3000):
        words = round(250 * random.lognormvariate(0.0, 0.6))
        lengths.ended("gpt", "key", words, False, nth * 0.5)
        for tier in ("flex", "default"):
            lengths.took("openai", "gpt", tier, words, words / 60 * random.lognormvariate(0.0, 0.25), nth * 0.5)
    tiers = [lengths.pace("openai", "gpt", tier, now_s) for tier in ("flex", "default")]
    length = lengths.length("gpt", "key", now_s)
    prior = prior_of("flex")
    rest = finish.Rest(40.0, tuple([Generation(length, pace) for pace in tiers]))
    way = finish.decide(rungs, rest.generations, 40.0, 40.0, 0.99).decision
    work = {
        "observation": lambda: model.begin(flex, now_s).end("started", now_s + 8.0),
        "curve, built": lambda: estimate(counts, prior, 8.0, now_s),
        "curve, looked up": lambda: model.curve(flex, now_s),
        "plan": lambda: decide(rungs, 10.0, 0.99),
        "plan, three steps": lambda: decide(longer, 2.0, 0.999),
        "length": lambda: lengths.ended("gpt", "key", 300, False, now_s),
        "pace": lambda: lengths.took("openai", "gpt", "flex", 300, 5.0, now_s),
        "mean length": lambda: lengths.mean_tokens("gpt", "key", 300.0),
        "generation, made": lambda: Generation(length, tiers[0]).within(0.005),
        "plan of the end": lambda: finish.decide(rungs, rest.generations, 40.0, 40.0, 0.99),
        "chance of the end": lambda: finish.chance(way, rungs, rest, 40.0),
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
            access = stage.gateway.doorkeeper.access(stage.key)
            lengths, (provider,) = engine.answers.known, stage.directory.providers("org_test")
            for by in log_normal_times(1.0, 0.5, 600):
                lengths.ended(MODEL, stage.key.key_id, round(by * 250), False, trio.current_time())
                for tier in ("flex", "default"):
                    lengths.took(provider.provider_id, MODEL, tier, 250, 4.0 * by, trio.current_time())

            async def asked(**fields: object) -> Work:
                call, _ = stage.prepare({"stream": True, **fields})
                work = Work(call)
                work.admitted = await admit(
                    call, openai_chat, stage.gateway.wishes, access, stage.settings, stage.gateway.bodies
                )
                return work

            def plan(work: Work) -> None:
                planner.plan(work)
                stage.gateway.slots.give_back(work.call.key.organisation_id)

            def plan_anew(work: Work) -> None:
                engine._decided.clear()
                plan(work)

            direct, start, end = await asked(), await asked(start_within="10s"), await asked(finish_within="40s")
            start.plan = planner.plan(start)
            stage.gateway.slots.give_back(start.call.key.organisation_id)
            arrived_s, launch_s = start.call.arrived_s, start.plan.rungs[1].launch_s or 0.0
            jobs: dict[str, Callable[[], object]] = {
                "request: no race": lambda: planner.plan(direct),
                "request: race": lambda: plan(start),
                "request: race, anew": lambda: plan_anew(start),
                "request: look": lambda: engine.again(start, 1, arrived_s + launch_s, arrived_s),
                "request: end": lambda: plan(end),
                "request: end, anew": lambda: plan_anew(end),
            }
            for name, job in jobs.items():
                job()
                found[name] = min(repeat(job, number=times, repeat=ROUNDS)) / times * 1e6
            nursery.cancel_scope.cancel()

    trio.run(measure, clock=MockClock())
    return found


if __name__ == "__main__":
    for name, cost in (figures() | on_the_way()).items():
        print(f"{name:<20} {cost:8.1f} µs")
