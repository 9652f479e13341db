"""Playing a scene: what is told comes from the provider's side, and what is wrong is found."""

import pytest
import trio

from appliance.cli.race_watch import Scene, play
from appliance.cli.selftest import selftest_world
from appliance.cli.stage import Stage, staged

WON = Scene("flex wins", "gpt-5.4-nano", "flex_won", "flex", "5s")
DEADLINE = Scene("the deadline", "gpt-5.4-mini", "flex_deadline", "default", "1s", endpoint="responses")


async def played(stage: Stage, scene: Scene) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    told: list[tuple[float, str, str]] = []
    outcome = await play(stage, scene, lambda at_s, tier, text: told.append((at_s, tier, text)))
    assert [at_s for at_s, _, _ in told] == sorted(at_s for at_s, _, _ in told), "in order of time"
    return outcome.wrong, [(tier, text) for _, tier, text in told]


async def test_a_race_is_told_as_the_provider_saw_it() -> None:
    async with staged(selftest_world()) as stage:
        wrong, told = await played(stage, WON)
        assert wrong == ()
        assert told == [("flex", "asked"), ("flex", "begins to answer"), ("flex", "answer complete")]
        wrong, told = await played(stage, DEADLINE)
        assert wrong == ()
        assert told[:3] == [("flex", "asked"), ("default", "asked"), ("default", "begins to answer")]
        assert ("flex", "is closed: the provider sees the connection end") in told[3:]


@pytest.mark.parametrize(
    ("scene", "wanted"),
    [
        (Scene("", "gpt-5.4-nano", "flex_deadline", "flex", "5s"), "reason flex_won, not flex_deadline"),
        (Scene("", "gpt-5.4-nano", "flex_won", "default", "5s"), "served by flex, not default"),
        (Scene("", "no-such-model", "flex_won", "flex", "5s"), "status 404"),
        (Scene("", "gpt-5.4-nano", "flex_won", "flex", "soon"), "status 400"),
    ],
)
async def test_what_is_wrong_is_found(scene: Scene, wanted: str) -> None:
    async with staged(selftest_world()) as stage:
        assert (await played(stage, scene))[0] == (wanted,)


async def test_requests_of_others_meanwhile_are_not_taken_for_the_scene() -> None:
    async with staged(selftest_world()) as stage, trio.open_nursery() as nursery:

        async def somebody_else() -> None:
            while True:
                body = {"model": "gpt-5.4-nano", "messages": [{"role": "user", "content": "me too"}]}
                await stage.client.post("/v1/chat/completions", json=body)

        nursery.start_soon(somebody_else)
        wrong, told = await played(stage, WON)
        nursery.cancel_scope.cancel()
    assert wrong == ()
    assert told == [("flex", "asked"), ("flex", "begins to answer"), ("flex", "answer complete")]
