"""A new installation: the target is met first, then cost falls, and a restart forgets nothing."""

from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from appliance.app import Appliance, open_appliance
from appliance.policy.latency import Series
from appliance.settings import load
from appliance.simulator.world import Model, World
from tests.rig import CHAT, QUICK, chat, running
from tests.rig import MODEL as NAME

FLEX, DEFAULT = (msgspec.structs.replace(QUICK, start=start_s) for start_s in (0.02, 0.05))
MODEL = Model(tiers={"flex": FLEX, "default": DEFAULT})


async def ask(client: httpx.AsyncClient) -> tuple[str, int, str]:
    """The reason, how many attempts were made, and the plan."""
    answer = await client.post(CHAT, json=chat(start_within="3s", stream=True))
    assert answer.status_code == 200
    assert answer.headers["x-startline-deadline-met"] == "true"
    attempts = answer.headers["x-startline-race"].partition(";")[0].count("@") // 2
    return answer.headers["x-startline-reason"], attempts, answer.headers["x-startline-plan"]


def late(appliance: Appliance) -> float:
    """How likely flex is believed to be silent after a second."""
    directory = appliance.store.directory
    (organisation,) = directory.organisations()
    (provider,) = directory.providers(organisation.organisation_id)
    series = Series(provider.provider_id, NAME, "flex")
    return appliance.gateway.engine.model.curve(series, trio.current_time()).late_at(1.0)


async def test_cost_falls_as_more_is_known_and_what_is_known_survives_a_restart(tmp_path: Path) -> None:
    world = World(models={"*": MODEL})
    async with running(world, reserve_s={}, data_folder=tmp_path) as rig, rig.http() as client:
        reason, attempts, plan = await ask(client)
        assert attempts == 2, f"both at once, for all that is known: {plan}"
        for _ in range(150):
            reason, attempts, plan = await ask(client)
            if attempts == 1:
                break
        assert (reason, attempts) == ("flex_won", 1), plan
        for _ in range(5):
            assert (await ask(client))[:2] == ("flex_won", 1)
        believed = late(rig.appliance)
        assert believed < 0.1
    async with open_appliance(load(environment={}), tmp_path) as again:
        assert late(again) == pytest.approx(believed, abs=0.02)
