"""Models whose tiers fail together, in a gateway on virtual time: who is spared, who probes, and what is told."""

from collections.abc import Callable

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from appliance.policy.health import IDLE_S
from tests.request.stage import MODEL, SILENCE, Stage, Step, leaves, refuses, starts
from tests.request.test_answer_anthropic import CLAUDE, PROVIDER, streamed
from tests.request.test_explain import explain, rungs

Make = Callable[..., Stage]

FULL = refuses(0.25, 429, "resource_unavailable")
OVERLOADED = refuses(0.5, 503, "overloaded")
FAILS = refuses(0.5, 500, "server_error")
GOOD = starts(1.0, "default")
TWICE = {"breaker_failures": 2, "breaker_pause_s": 5.0}


def tiers(s: Stage) -> list[str | None]:
    """The tiers that the last request asked."""
    return [one.tier_sent for one in s.settled[-1].attempts]


def states(s: Stage) -> list[tuple[str, str, str]]:
    return [(one.model, one.tier, one.state) for one in s.gateway.breakers.shown(trio.current_time())]


async def lose(s: Stage, times: int = 2) -> None:
    """Races that end in an error."""
    for _ in range(times):
        assert (await s.race()).status >= 400


async def test_a_model_that_fails_on_both_tiers_is_asked_once_until_one_race_proves_it_well(
    clock: MockClock, stage: Make
) -> None:
    s = stage(flex=[FULL, FULL, FULL, starts(0.5, "flex")], default=OVERLOADED, settings=TWICE)
    with structlog.testing.capture_logs() as logs:
        await lose(s)
    assert [(one["event"], one["tier"], one["code"]) for one in logs] == [("breaker_opened", "races", "joint_failure")]
    assert states(s) == [(MODEL, "races", "open")]
    client = await s.race()
    assert (client.status, client.error["code"], tiers(s)) == (503, "overloaded", ["default"])
    told = s.settled[-1].request.forecast
    assert told is not None and (told.why, told.first, told.second, told.launch_s) == ("joint_failure", 1, None, None)
    s.provider._scripts["default"] = [GOOD]
    client = await s.race()
    assert client.headers["x-startline-reason"] == s.settled[-1].request.reason == "joint_failure"
    assert client.headers["x-startline-race"].startswith(
        "flex skipped, default@0.000 won@1.000; all tiers of the model"
    )
    assert client.headers["x-startline-plan"].startswith("joint failure: default at once; ")
    assert s.gateway.breakers.skipped == {("sim", "flex"): 2}
    assert states(s) == [(MODEL, "races", "open")], "what one tier does during the pause decides nothing"
    s.provider._scripts["default"] = [OVERLOADED]
    await trio.sleep(5.0)
    await lose(s, 1)  # the probe: ten seconds more
    assert tiers(s) == ["flex", "default"]
    await trio.sleep(8.0)
    await lose(s, 1)
    assert tiers(s) == ["default"]
    await trio.sleep(2.0)
    client = await s.race()
    assert (client.headers["x-startline-reason"], states(s)) == ("flex_won", [])


async def test_a_race_that_one_tier_wins_ends_the_row(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=[OVERLOADED, GOOD, OVERLOADED, GOOD, OVERLOADED, OVERLOADED], settings=TWICE)
    for _ in range(5):
        await s.race()
        assert states(s) == []
    await s.race()
    assert states(s) == [(MODEL, "races", "open")]


async def test_one_race_at_a_time_is_the_probe_and_one_that_says_nothing_makes_room(
    clock: MockClock, stage: Make
) -> None:
    s = stage(flex=[FULL, FULL, SILENCE, FULL], default=[OVERLOADED, OVERLOADED, GOOD], settings=TWICE)
    await lose(s)
    await trio.sleep(5.0)

    async def meanwhile(*_: object) -> None:
        await trio.sleep(1.0)
        other, client = s.prepare({"stream": True, "start_within": "10s"})
        other.request_id = "req_other"
        await s.run(other)
        assert client.headers["x-startline-reason"] == "joint_failure"

    call, client = s.prepare({"stream": True, "start_within": "10s"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meanwhile)
        nursery.start_soon(leaves(3.0), call, client)
        await s.run(call)
    assert states(s) == [(MODEL, "races", "half_open")]
    client = await s.race()
    assert (client.headers["x-startline-reason"], states(s)) == ("flex_capacity", [])


async def test_a_probe_that_finds_no_slot_makes_room(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=OVERLOADED, settings=TWICE, race_slots=1)
    await lose(s)
    await trio.sleep(5.0)
    assert s.gateway.slots.take("org_test", 1)
    await s.run(s.prepare({"stream": True, "start_within": "10s"})[0])
    s.gateway.slots.give_back("org_test")
    assert (tiers(s), states(s)) == (["default"], [(MODEL, "races", "half_open")])
    await lose(s, 1)
    assert (tiers(s), states(s)) == (["flex", "default"], [(MODEL, "races", "open")])


@pytest.mark.parametrize(
    ("flex", "default"),
    [
        (FULL, refuses(0.5, 429, "insufficient_quota")),
        (FULL, refuses(0.5, 401, "invalid_api_key")),
        (refuses(0.5, 400, "invalid_request"), GOOD),
        (FULL, refuses(0.5, 422, "invalid_request")),
    ],
)
async def test_what_is_no_failure_of_the_model_pauses_nothing(
    clock: MockClock, stage: Make, flex: list[Step], default: list[Step]
) -> None:
    s = stage(flex=flex, default=default, settings=TWICE)
    await lose(s, 4)
    assert states(s) == [] and tiers(s)[0] == "flex"


async def test_silence_until_the_end_counts_and_clients_that_leave_do_not(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=SILENCE, settings=TWICE | {"first_content_timeout_s": 30.0, "keep_alive_comment_s": 0})
    for _ in range(3):
        await s.race(leaves(25.0))
    assert s.gateway.breakers.races.suspects == {}
    await lose(s)
    assert (MODEL, "races", "open") in states(s)


async def test_rows_are_not_made_of_losses_far_apart_and_rest_is_forgotten(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=OVERLOADED, settings=TWICE)
    for _ in range(3):
        await lose(s, 1)
        assert len(s.gateway.breakers.races.suspects) == 1
        await trio.sleep(90.0)
    assert s.gateway.breakers.races.suspects == {}
    await lose(s)
    await trio.sleep(IDLE_S + 10.0)
    assert states(s) == []


async def test_a_provider_that_was_changed_begins_anew_and_zero_failures_switch_it_off(
    clock: MockClock, stage: Make
) -> None:
    s = stage(flex=FULL, default=OVERLOADED, settings=TWICE)
    await lose(s)
    (provider,) = s.directory.providers("org_test")
    s.gateway.breakers.forget(provider.provider_id)
    await lose(s, 1)
    assert tiers(s) == ["flex", "default"]
    never = stage(flex=FULL, default=OVERLOADED, settings={"breaker_failures": 0})
    await lose(never, 8)
    assert tiers(never) == ["flex", "default"] and states(never) == []


@pytest.mark.parametrize(
    ("flex", "default"),
    [([FULL, FULL, starts(3.0, "flex")], OVERLOADED), ([FAILS, FAILS, starts(3.0, "flex")], GOOD)],
)
async def test_a_probe_whose_provider_is_changed_meanwhile_is_not_kept(
    clock: MockClock, stage: Make, flex: list[list[Step]], default: list[Step]
) -> None:
    s = stage(flex=flex, default=default, settings=TWICE)
    for _ in range(2):
        await s.race()
    await trio.sleep(5.0)
    breakers = s.gateway.breakers

    async def change() -> None:
        await trio.sleep(1.0)
        assert len(breakers.races._probes) + len(breakers._probes) == 1
        breakers.forget(s.directory.providers("org_test")[0].provider_id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change)
        await s.race()
    assert tiers(s) == ["flex"] and not breakers.races._probes and not breakers._probes


async def test_breakers_of_both_tiers_answer_before_it(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FAILS, default=FAILS, settings=TWICE)
    await lose(s)
    assert [tier for _, tier, _ in states(s)] == ["flex", "default", "races"]
    client = await s.race()
    assert (client.status, client.error["code"], client.began_s) == (503, "breaker_open", trio.current_time())
    assert s.settled[-1].attempts == ()


async def test_a_ladder_goes_on_with_what_another_provider_has(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=OVERLOADED, scripts={"standard_only": streamed(at_s=1.0)}, settings=TWICE)
    s.directory.with_provider("claude", "sk-ant", **(PROVIDER | {"base_url": "http://claude.test/v1"}))
    await lose(s)
    ladder = [f"sim/{MODEL}:flex", f"sim/{MODEL}", f"claude/{CLAUDE}"]
    client = await s.race(ladder=ladder, start_within="10s")
    assert client.status == 200 and tiers(s) == ["default", "standard_only"]
    assert client.headers["x-startline-reason"] == "flex_capacity"
    assert client.headers["x-startline-race"].startswith("sim flex skipped, ")


async def test_a_ladder_without_a_slot_asks_each_rung_that_is_left_once(clock: MockClock, stage: Make) -> None:
    s = stage(
        flex=FULL,
        default=OVERLOADED,
        scripts={"standard_only": refuses(0.5, 529, "overloaded_error")},
        settings=TWICE,
        race_slots=1,
    )
    s.directory.with_provider("claude", "sk-ant", **(PROVIDER | {"base_url": "http://claude.test/v1"}))
    await lose(s)
    assert s.gateway.slots.take("org_test", 1)
    ladder = [f"sim/{MODEL}:flex", f"sim/{MODEL}", f"claude/{CLAUDE}"]
    call, client = s.prepare({"stream": True, "start_within": "10s", "ladder": ladder})
    await s.run(call)
    s.gateway.slots.give_back("org_test")
    assert tiers(s) == ["standard_only", "default"]
    assert client.headers["x-startline-race"].startswith("sim flex skipped, claude standard_only@0.000")


async def test_models_that_the_provider_does_not_list_do_not_fail_together(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=OVERLOADED, settings=TWICE, provider={"models": None})
    for _ in range(3):
        await s.race(ladder=[f"sim/{MODEL}:flex", "sim/gpt-5.4-mini"], start_within="10s")
        assert tiers(s) == ["flex", "default"]
    await lose(s, 1)
    assert tiers(s) == ["flex", "default"] and states(s) == []


async def test_it_is_explained_and_asking_is_no_probe(clock: MockClock, stage: Make) -> None:
    s = stage(flex=FULL, default=OVERLOADED, settings=TWICE)
    await lose(s)
    told = await explain(s, start_within="10s")
    assert (told["reason"], told["plan"]["word"], told["raced"]) == ("joint_failure", "joint_failure", False)
    assert rungs(told) == [("default", 0.0, "at_once"), ("flex", None, "breaker_open")]
    assert 0 < told["rungs"][1]["asked_again_in_s"] <= 5
    assert not any(way["chosen"] for way in told["considered"])
    await trio.sleep(5.0)
    assert (await explain(s, start_within="10s"))["raced"]
    await lose(s, 1)
    assert tiers(s) == ["flex", "default"]
