"""The engine in the way of a request: what it plans by what it has seen, what it counts, and what it does not."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from appliance.policy.exploration import ADVANCE
from appliance.policy.latency import IDLE_S
from tests.request.stage import (
    END,
    MODEL,
    SILENCE,
    Stage,
    chunk,
    head,
    leaves,
    log_normal_times,
    refuses,
    role,
    starts,
    whole,
)

Make = Callable[..., Stage]


def counted(s: Stage, tier: str, behind: bool = False, model: str = MODEL) -> dict[str, float]:
    """What was counted of a series: by cause, the number of attempts, and of those in flight."""
    (provider,) = s.directory.providers("org_test")
    path = (tier, provider.provider_id, model, "0", "behind" if behind else "alone")
    level = s.gateway.engine.model._levels.get(path)
    if level is None:
        return {}
    kept = level.slow.keep(0.0, 0.0)
    found = {cause: len(getattr(kept, cause)) for cause in ("started", "lost", "censored")}
    return {cause: number for cause, number in (found | {"flying": len(level.flights)}).items() if number}


# -- plans -------------------------------------------------------------------------------------------------------------


async def test_default_is_launched_as_late_as_the_target_allows(clock: MockClock, learned: Make) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"))
    client = await s.race()
    flex, default = s.story()
    assert flex[:2] == ("flex", 0.0) and default[0] == "default" and 6.3 < default[1] < 6.8
    told = s.request.forecast
    assert told is not None and told.why == "latest_launch" and told.launch_s is not None
    assert told.launch_s == default[1] and told.replans == (), "it was looked at, and stayed as it was"
    assert told.target == s.request.target == 0.99 <= told.chance_least <= told.chance
    assert told.samples == pytest.approx(600, rel=0.1)
    assert told.cost_nanos is not None and told.default_nanos is not None
    assert 0.7 < told.cost_nanos / told.default_nanos < 0.8
    assert client.headers["x-startline-reason"] == "flex_deadline"


async def test_a_cheap_rung_that_would_not_pay_is_skipped_and_the_start_is_seen(
    clock: MockClock, learned: Make
) -> None:
    s = learned(default=starts(1.0, "default", ends_s=3.0), provider={"abort_billing": "full"})
    client = await s.call(start_within="5s")  # not streamed to the client, and yet to us
    assert client.headers["x-startline-reason"] == s.request.reason == "flex_skipped"
    assert (s.story(), s.request.to_start_s) == ([("default", 0.0, "won", 3.0)], 1.0)
    assert client.json()["choices"][0]["message"]["content"] == "Hello"
    told = s.request.forecast
    assert told is not None and (told.why, told.first, told.second) == ("dear_alone", 1, None)


async def test_a_skipped_rung_is_asked_when_all_others_are_lost(clock: MockClock, learned: Make) -> None:
    s = learned(flex=starts(1.0, "flex"), default=refuses(0.5, 500, "server_error"), provider={"abort_billing": "full"})
    client = await s.race(start_within="5s")
    assert (client.began_s, client.headers["x-startline-reason"]) == (1.5, "chain_advanced")
    assert s.story() == [("default", 0.0, "failed", 0.5), ("flex", 0.5, "won", 1.5)]


async def test_when_the_skipped_rung_is_lost_too_the_dearest_error_is_told(clock: MockClock, learned: Make) -> None:
    s = learned(
        flex=refuses(0.5, 429, "resource_unavailable"),
        default=refuses(0.5, 500, "server_error"),
        provider={"abort_billing": "full"},
    )
    client = await s.race(start_within="5s")
    assert (client.status, client.began_s) == (500, 1.0)


async def test_a_retry_stays_with_the_tier_that_was_settled_on(clock: MockClock, learned: Make) -> None:
    s = learned(
        flex=refuses(0.5, 429, "resource_unavailable"),
        default=[refuses(0.5, 500, "server_error"), starts(1.0, "default")],
        provider={"abort_billing": "full"},
    )
    client = await s.race(start_within="5s", retry={"count": 1})
    assert [one[0] for one in s.story()] == ["default", "flex", "default"]
    assert (client.status, client.headers["x-startline-reason"]) == (200, "flex_skipped")


async def test_an_operators_reserve_is_kept_and_its_chance_told(clock: MockClock, learned: Make) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"), settings={"reserve_s": {"*/default": 3.0}})
    await s.race()
    assert s.story()[1][1] == 7.0
    told = s.request.forecast
    assert told is not None and (told.why, told.launch_s) == ("reserve", 7.0) and 0.97 < told.chance < 0.99


async def test_a_new_installation_meets_the_target_first(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=SILENCE, default=starts(1.0, "default"), provider={"abort_billing": "partial"})
    client = await s.race(start_within="30s")
    assert client.began_s == 1.0
    told = s.request.forecast
    assert told is not None and (told.why, told.samples) == ("both_at_once", 0.0)
    assert told.chance >= 0.99 > told.chance_least, "it is met as far as one can tell, which is not far"


async def test_what_a_request_costs_decides_and_keys_differ_in_the_length_of_their_answers(
    clock: MockClock, learned: Make
) -> None:
    s = learned(flex=starts(1.0, "flex"), default=SILENCE)
    for _ in range(2):
        await s.race()
    first, second = (one.request.forecast for one in s.settled)
    assert first is not None and second is not None
    assert (first.output_tokens, second.output_tokens) == (300, 10)
    assert second.default_nanos == second.input_tokens * 2500 + 10 * 15000


async def test_decisions_that_rest_on_curves_of_long_ago_are_not_held(clock: MockClock, learned: Make) -> None:
    s = learned(flex=starts(1.0, "flex"), default=SILENCE)
    for number in range(8):
        await s.race(start_within=f"{20 + number}s")
    assert len(s.gateway.engine._decided) == 8
    await trio.sleep(IDLE_S)
    await s.race(start_within="9s")
    assert len(s.gateway.engine._decided) == 1


# -- plans that change while they run ----------------------------------------------------------------------------------


async def test_a_tier_that_turned_slow_meanwhile_launches_default_at_the_next_look(
    clock: MockClock, learned: Make
) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"))

    async def worse(*_: object) -> None:
        await trio.sleep_until(3.0)
        s.teach("default", log_normal_times(4.0, 0.5, 300), behind=True)

    await s.race(worse)
    told = s.request.forecast
    assert told is not None and told.launch_s is not None and told.launch_s > 6.0
    ((looked_s, launch_s),) = told.replans
    assert launch_s <= looked_s == s.story()[1][1] == 3.75


async def test_a_tier_that_turned_quick_meanwhile_lets_it_wait(clock: MockClock, learned: Make) -> None:
    s = learned(flex=starts(7.5, "flex"), default=SILENCE)

    async def better(*_: object) -> None:
        await trio.sleep_until(3.0)
        s.teach("default", log_normal_times(0.1, 0.3, 3000), behind=True)

    await s.race(better)
    told = s.request.forecast
    assert told is not None and told.launch_s is not None and told.launch_s < 7.0
    assert s.story() == [("flex", 0.0, "won", 7.5)] and told.replans[0][0] == 3.75 and told.replans[0][1] > 7.5


async def test_a_launch_moves_there_and_back_as_belief_does(clock: MockClock, learned: Make) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"))

    async def changes(*_: object) -> None:
        await trio.sleep_until(1.3)
        s.teach("default", log_normal_times(2.0, 0.5, 60), behind=True)
        await trio.sleep_until(2.6)
        s.teach("default", log_normal_times(0.1, 0.3, 3000), behind=True)

    await s.race(changes)
    told = s.request.forecast
    assert told is not None and told.launch_s is not None
    (at_s, sooner_s), (then_s, later_s) = told.replans
    assert (at_s, then_s) == (2.5, 3.75) and sooner_s < told.launch_s - 0.5 < told.launch_s + 0.5 < later_s
    assert s.story()[1][1] == later_s


async def test_a_cheap_tier_that_collapsed_meanwhile_is_waited_for_as_long_as_the_target_allows(
    clock: MockClock, learned: Make
) -> None:
    """Losers are billed half, so flex would not be started now; what was started may still win."""
    s = learned(flex=SILENCE, default=starts(1.0, "default"), provider={"abort_billing": "partial"})

    async def collapses(*_: object) -> None:
        await trio.sleep_until(3.0)
        s.teach("flex", [60.0] * 600)

    await s.race(collapses, start_within="30s")
    told = s.request.forecast
    assert told is not None and told.launch_s is not None and told.why == "latest_launch"
    assert told.replans[0][0] == 3.75 and all(20.0 < launch_s < told.launch_s - 1.0 for _, launch_s in told.replans)
    assert s.story()[1][1] == told.replans[-1][1]
    await s.race(start_within="30s")
    assert s.settled[-1].request.reason == "flex_skipped"


@pytest.mark.parametrize(("refused_s", "more"), [(1.0, []), (8.0, ["priority"])])
async def test_after_a_late_refusal_priority_does_not_wait_for_the_deadline(
    clock: MockClock, learned: Make, refused_s: float, more: list[str]
) -> None:
    s = learned(
        usual=False,
        flex=refuses(refused_s, 429, "resource_unavailable"),
        default=starts(1.9, "default"),
        priority=starts(1.0, "priority"),
        key={"priority": True},
    )
    s.teach("flex", log_normal_times(8.0, 1.1))
    s.teach("default", log_normal_times(1.2, 0.5))
    s.teach("default", log_normal_times(0.4, 0.3), behind=True)  # so that it is not launched before
    s.teach("priority", log_normal_times(0.2, 0.3), behind=True)
    await s.race()
    story = s.story()
    assert [one[0] for one in story] == ["flex", "default", *more] and story[1][1] == refused_s
    told = s.request.forecast
    assert told is not None and len(told.replans) == 1
    assert not more or refused_s < story[2][1] == told.replans[0][1] < 9.9


# -- looks, and caps ---------------------------------------------------------------------------------------------------


async def test_a_skipped_rung_is_tried_beside_the_first_while_the_purse_lasts(clock: MockClock, learned: Make) -> None:
    s = learned(
        flex=starts(0.5, "flex"), default=starts(1.0, "default"), provider={"abort_billing": "full"}, explore=True
    )
    looks, dearest = 0, 0
    for _ in range(40):
        await s.race(start_within="5s", max_completion_tokens=10)
        record, told = s.settled[-1].request, s.settled[-1].request.forecast
        assert told is not None and told.default_nanos is not None
        dearest = max(dearest, told.default_nanos)
        if told.why == "explored":
            looks += 1
            assert [one.tier_sent for one in s.settled[-1].attempts] == ["flex", "default"]
            assert record.reason == "flex_won_late"
        else:
            assert record.reason == "flex_skipped"
    spent, used = s.gateway.engine.purses.spent_nanos()["org_test"]
    assert 5 <= looks <= 12 and used <= 0.01 * spent + ADVANCE * dearest


async def test_an_organisation_that_says_so_pays_for_no_looks(clock: MockClock, learned: Make) -> None:
    s = learned(default=starts(1.0, "default"), provider={"abort_billing": "full"}, explore=False)
    for _ in range(3):
        await s.race(start_within="5s")
    assert [one.request.reason for one in s.settled] == ["flex_skipped"] * 3


async def test_a_look_that_finds_no_slot_is_not_paid(clock: MockClock, learned: Make) -> None:
    s = learned(default=starts(1.0, "default"), provider={"abort_billing": "full"}, explore=True, race_slots=0)
    for _ in range(30):
        await s.race(start_within="5s")
    assert {one.request.reason for one in s.settled} == {"flex_slots_full"}
    assert s.gateway.engine.purses.spent_nanos()["org_test"][1] == 0.0


async def test_a_new_installation_shows_races(clock: MockClock, learned: Make) -> None:
    s = learned(
        usual=False,
        flex=starts(0.5, "flex"),
        default=starts(1.0, "default"),
        provider={"abort_billing": "partial"},
        explore=True,
    )
    client = await s.race(start_within="30s")
    assert [one.tier_sent for one in s.attempts] == ["flex", "default"]
    assert client.headers["x-startline-reason"] == "flex_won_late"


async def test_while_launches_are_used_up_default_serves_at_once(clock: MockClock, learned: Make) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"), settings={"reserve_s": {}, "hedges_per_key_per_s": 0.05})
    for _ in range(2):
        await s.race()
    assert [one.request.reason for one in s.settled] == ["flex_deadline", "hedges_capped"]
    told = s.settled[-1].request.forecast
    assert told is not None and (told.why, told.first, told.second) == ("hedges_capped", 1, None)
    assert (s.gateway.engine.hedges.launched, s.gateway.engine.hedges.capped) == (1, 1)
    await trio.sleep(20.0)
    await s.race()
    assert s.settled[-1].request.reason == "flex_deadline"


# -- what is counted ---------------------------------------------------------------------------------------------------


async def test_starts_losers_and_refusals_are_counted_each_as_what_they_are(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=starts(1.0, "flex"), default=SILENCE, settings={"reserve_s": {"default": 5.0}})
    await s.race()
    assert (counted(s, "flex"), counted(s, "default")) == ({"started": 1}, {})
    s.provider._scripts = {"flex": [starts(7.0, "flex")], "default": [SILENCE]}
    await s.race()
    assert (counted(s, "flex"), counted(s, "default", behind=True)) == ({"started": 2}, {"censored": 1})
    s.provider._scripts = {"flex": [refuses(1.0, 429, "resource_unavailable")], "default": [starts(1.0, "default")]}
    await s.race()
    assert counted(s, "flex") == {"started": 2, "lost": 1}
    assert counted(s, "default") == {"started": 1}, "launched on a loss it is behind nobody"


async def test_a_callers_fault_says_nothing_of_the_provider(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=refuses(1.0, 400, "invalid_value"), settings={"reserve_s": {"default": 5.0}})
    await s.race()
    assert counted(s, "flex") == {}


async def test_a_client_that_leaves_censors_and_a_stop_says_nothing(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=SILENCE, default=SILENCE, settings={"reserve_s": {"default": 5.0}})
    await s.race(leaves(7.0))
    assert (counted(s, "flex"), counted(s, "default", behind=True)) == ({"censored": 1}, {"censored": 1})


async def test_in_flight_it_is_counted_and_after_the_race_no_more(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=SILENCE, default=starts(1.0, "default", ends_s=60.0))
    seen: list[dict[str, float]] = []

    async def look(*_: object) -> None:
        for at_s in (0.5, 3.0):
            await trio.sleep_until(at_s)
            seen.append(counted(s, "flex"))

    s.gateway.engine._reserves.by_rung["default"] = 9.0
    await s.race(look)
    assert seen == [{"flying": 1}, {"flying": 1}] and counted(s, "flex") == {"censored": 1}


async def test_direct_attempts_are_counted_once_their_model_is_raced_and_only_streams(
    clock: MockClock, learned: Make
) -> None:
    s = learned(usual=False, flex=starts(1.0, "flex"), default=starts(2.0, "default"))
    await s.call(stream=True)
    assert s.gateway.engine.watched == {} and counted(s, "default") == {}
    s.gateway.engine._reserves.by_rung["default"] = 5.0
    await s.race()
    await s.call(stream=True)
    assert counted(s, "default") == {"started": 1}
    s.provider._scripts = {"default": [whole(3.0, {"id": "x", "object": "chat.completion", "choices": []})]}
    await s.call()
    assert counted(s, "default") == {"started": 1}, "a whole answer does not tell when it started"


async def test_models_that_nobody_lists_share_one_series(clock: MockClock, learned: Make) -> None:
    s = learned(
        usual=False, flex=starts(1.0, "flex"), provider={"models": None}, settings={"reserve_s": {"default": 5}}
    )
    await s.race(model="made-up by a stranger")
    assert counted(s, "flex", model="") == {"started": 1}
    assert all(path[2:3] != ("made-up by a stranger",) for path in s.gateway.engine.model._levels)


async def test_headers_and_roles_are_no_start(clock: MockClock, learned: Make) -> None:
    said = [(0.5, head() + chunk(role("flex"))), (5.5, END)]  # a 200 that then ends with nothing said
    s = learned(usual=False, flex=said, default=starts(1.0, "default"), settings={"reserve_s": {"default": 5.0}})
    await s.race()
    assert (counted(s, "flex"), counted(s, "default", behind=True)) == ({"lost": 1}, {"started": 1})
