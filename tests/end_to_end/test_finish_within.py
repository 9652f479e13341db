"""A deadline on the last byte, over real sockets: the rung that can finish is asked, and what cannot be met is said."""

import trio

from appliance.simulator.world import Behaviour, Model, World
from tests.rig import MODEL, Answer, Rig, chat, request, running

SLOW = Behaviour(start=0.05, admission_s=0.0, tokens_per_s=20.0, output_tokens=40)
QUICK = Behaviour(start=0.05, admission_s=0.0, tokens_per_s=400.0, output_tokens=40)
LONG = Behaviour(start=0.05, admission_s=0.0, tokens_per_s=400.0, output_tokens=500)
OTHER = "gpt-5.4-mini"
WORLD = World(
    models={MODEL: Model(tiers={"flex": SLOW, "default": QUICK}), OTHER: Model(tiers={"flex": SLOW, "default": LONG})}
)
"""Forty tokens take flex 2 s and default a tenth of one; the other model's default takes more than a second."""


async def asked(rig: Rig, **fields: object) -> Answer:
    client = await rig.connect()
    await client.send(request(key=rig.token, body=chat(**fields)))  # type: ignore[arg-type]
    answer = await client.answer()
    await client.close()
    return answer


async def learn(rig: Rig) -> None:
    """Have a race, so that the model is watched; then both tiers are asked by name, some at a time."""
    await asked(rig, start_within="30s", max_completion_tokens=4)
    enough = trio.CapacityLimiter(40)

    async def ask(tier: str) -> None:
        async with enough:
            await asked(rig, start_within=tier, stream=True)

    async with trio.open_nursery() as nursery:
        for nth in range(150):
            nursery.start_soon(ask, "default" if nth % 5 else "flex")


async def test_the_rung_that_can_finish_in_time_is_asked_and_what_cannot_be_met_is_served_and_said() -> None:
    async with running(WORLD, reserve_s={}) as rig:
        await learn(rig)
        soon = await asked(rig, finish_within="1.5s", start_target=0.9)
        later = await asked(rig, finish_within="30s", start_target=0.9)
        never = await asked(rig, finish_within="1s", start_target=0.9, model=OTHER)
        told = [answer.header("x-startline-plan") or "" for answer in (soon, later, never)]
        assert [answer.header("x-startline-tier") for answer in (soon, later, never)] == ["default", "flex", "default"]
        assert [answer.header("x-startline-finish-met") for answer in (soon, later, never)] == ["true", "true", "false"]
        assert told[0].startswith("default at once; ") and "for 90 % to end within 1.5 s" in told[0]
        assert told[1].startswith("flex alone, safety launch ") and "for 90 % to end within 30 s" in told[1]
        assert told[2].startswith("infeasible: default at once; ")
        records = [one.request for one in rig.settled[-3:]]
        assert [(one.finish_s, one.finish_met) for one in records] == [(1.5, True), (30.0, True), (1.0, False)]
        assert all(one.deadline_met for one in records), "each began in time"
