"""Things that mislead a policy that learns from its own races: each is met, and neither plan nor belief is misled."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from appliance.domain.record import Forecast
from appliance.policy.latency import Series
from appliance.policy.survival import Curve
from tests.request.stage import (
    MODEL,
    SILENCE,
    Stage,
    Step,
    chunk,
    head,
    leaves,
    log_normal_times,
    refuses,
    role,
    starts,
)

Make = Callable[..., Stage]


def believed(s: Stage, tier: str, *, behind: bool = False) -> Curve:
    """What the engine expects of a tier now."""
    (provider,) = s.directory.providers("org_test")
    model, now_s = s.gateway.engine.model, trio.current_time()
    for level in model._levels.values():
        level._curve = None  # none is too new to be made again
    return model.curve(Series(provider.provider_id, MODEL, tier, 0, behind), now_s)


def forecast(s: Stage) -> Forecast:
    """That of the last request."""
    told = s.settled[-1].request.forecast
    assert told is not None
    return told


def flights(s: Stage) -> int:
    """Attempts that the engine believes to be on their way."""
    return sum(len(level.flights) for level in s.gateway.engine.model._levels.values())


def hello_and_silence(at_s: float) -> list[Step]:
    """A 200 with a role, and then nothing."""
    return [(at_s, head() + chunk(role("flex")))]


async def test_an_error_that_is_first_wins_nothing_and_is_no_quick_start(clock: MockClock, learned: Make) -> None:
    s = learned(flex=starts(9.0, "flex"), default=refuses(0.01, 500, "server_error"))
    before = believed(s, "default", behind=True)
    client = await s.race()
    assert (client.began_s, client.headers["x-startline-reason"]) == (9.0, "flex_won_late")
    after = believed(s, "default", behind=True)
    assert after.started_at(0.02) <= before.started_at(0.02) and after.lost_at(0.02) > 1000.0 * before.lost_at(0.02)


async def test_a_200_and_silence_is_raced_as_silence_and_censored(clock: MockClock, learned: Make) -> None:
    s = learned(flex=hello_and_silence(0.1), default=starts(1.0, "default"))
    late = believed(s, "flex").late_at(1.0)
    client = await s.race()
    launch_s = forecast(s).launch_s
    assert launch_s is not None and 6.0 < launch_s < 7.0
    assert client.headers["x-startline-reason"] == "flex_deadline" and client.began_s is not None
    assert client.began_s == pytest.approx(launch_s + 1.0, abs=0.05)
    assert believed(s, "flex").late_at(1.0) >= late, "the head was no start"


async def test_headers_that_come_early_do_not_make_a_tier_quick(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=starts(4.5, "flex"), default=SILENCE, settings={"reserve_s": {"default": 5.0}})
    for _ in range(30):
        await s.race()  # the head comes at once each time
    curve = believed(s, "flex")
    assert curve.late_at(4.0) > 0.95 and curve.late_at(5.0) < 0.3


async def test_winners_alone_do_not_teach_that_losers_would_have_been_quick(clock: MockClock, learned: Make) -> None:
    every_other = [starts(2.0, "flex"), SILENCE] * 40
    s = learned(
        usual=False,
        flex=every_other,
        default=starts(1.0, "default"),
        settings={"reserve_s": {"default": 5.0}},
    )
    for _ in range(80):
        await s.race()
    curve = believed(s, "flex")
    assert curve.late_at(2.5) == pytest.approx(0.5, abs=0.08), "winners alone would say that all start within 2 s"
    assert curve.late_at(8.0) > 0.3, "losers that were cut off at 6 s did not start then"
    assert curve.started_at(6.5) - curve.started_at(5.5) < 0.05


async def test_default_behind_a_silent_flex_is_judged_by_its_like(clock: MockClock, learned: Make) -> None:
    s = learned(usual=False, flex=SILENCE, default=starts(1.0, "default"))
    s.teach("flex", log_normal_times(8.0, 1.1))
    s.teach("default", log_normal_times(0.3, 0.3))  # alone it is quick
    s.teach("default", log_normal_times(1.8, 0.5), behind=True)
    await s.race()
    launch_s = forecast(s).launch_s
    assert launch_s is not None and launch_s < 5.8


@pytest.mark.parametrize("starts_s", [2.0, None])
async def test_a_launch_at_exactly_the_deadline(clock: MockClock, learned: Make, starts_s: float | None) -> None:
    flex = SILENCE if starts_s is None else starts(starts_s, "flex")
    s = learned(usual=False, flex=flex, default=starts(0.5, "default"), provider={"abort_billing": "full"})
    s.teach("flex", log_normal_times(0.8, 0.3))
    s.teach("default", log_normal_times(1.2, 0.5), behind=True)
    s.teach("default", log_normal_times(1.2, 0.5))
    client = await s.race(start_within="2s")
    assert (forecast(s).why, forecast(s).launch_s) == ("cheap_alone", 2.0)
    if starts_s is None:
        assert [one[1] for one in s.story()] == [0.0, 2.0]
        assert (client.began_s, client.headers["x-startline-deadline-met"]) == (2.5, "false")
    else:  # the launch and the start meet; the cheaper one wins, and is in time
        assert [one[::2] for one in s.story()] == [("flex", "won"), ("default", "lost")]
        assert (client.began_s, client.headers["x-startline-deadline-met"]) == (2.0, "true")


async def test_two_first_contents_in_one_tick(clock: MockClock, learned: Make) -> None:
    s = learned(flex=starts(7.5, "flex"), default=SILENCE, settings={"reserve_s": {"default": 5.0}})
    s.provider._scripts["default"] = [starts(2.5, "default", ends_s=60.0)]
    client = await s.race()
    assert (client.began_s, client.headers["x-startline-reason"]) == (7.5, "flex_won_late")
    assert [(one[0], one[2]) for one in s.story()] == [("flex", "won"), ("default", "lost")]
    assert flights(s) == 0 and client.text == "Hello"


async def test_a_client_that_leaves_between_plan_and_launch(clock: MockClock, learned: Make) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"), explore=True)
    before = believed(s, "flex")
    await s.race(leaves(3.0))
    assert [asked.tier for asked in s.provider.asked] == ["flex"]
    assert s.gateway.engine.hedges.launched == 0 and flights(s) == 0
    assert s.request.deadline_met is None, "the caller ended it"
    (purse,) = s.gateway.engine.purses.keep()
    assert (purse.holds, purse.used) == (purse.most, 0.0), "a look that was not made is not paid"
    after = believed(s, "flex")
    assert after.number > before.number, "it was silent for 3 s: that is known"
    assert after.lost_at(4.0) < before.lost_at(4.0) + 1e-4, "it was cut off, not lost"
    assert after.started_at(4.0) == pytest.approx(before.started_at(4.0), abs=5e-4), "nor did it start"


async def test_when_both_tiers_are_silent_nothing_is_learned_to_be_quick(clock: MockClock, learned: Make) -> None:
    s = learned(
        flex=SILENCE,
        default=SILENCE,
        settings={"reserve_s": {}, "first_content_timeout_s": 60.0, "breaker_failures": 0},
    )
    before = believed(s, "default", behind=True).late_at(5.0)
    for _ in range(20):
        await s.race()
    assert flights(s) == 0
    assert believed(s, "default", behind=True).late_at(5.0) > before
    assert {one.request.deadline_met for one in s.settled} == {False}
