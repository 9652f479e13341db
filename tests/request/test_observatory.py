"""Attempts that outlive their request, on virtual time: seen to their start or the deadline, closed, recorded once."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing
from trio.testing import MockClock

from appliance.request import observatory
from appliance.request.call import Call
from appliance.request.work import Work
from tests.request.stage import (
    SILENCE,
    Client,
    Stage,
    Step,
    at,
    chunk,
    head,
    leaves,
    refuses,
    role,
    starts,
)
from tests.request.test_engine import counted

Make = Callable[..., Stage]


@pytest.fixture
def lingering(stage: Make) -> Make:
    """A stage whose flex rung may be left running: default is launched at 5 s and starts at 6."""

    def make(flex: Any, default: Any = None, **more: Any) -> Stage:
        made = stage(flex=flex, default=starts(1.0, "default") if default is None else default, **more)
        made.let_linger(0)
        return made

    return make


async def over(stage: Stage, at_s: float) -> None:
    """What is so at that time."""
    await trio.sleep_until(at_s)
    await trio.testing.wait_all_tasks_blocked()
    stage.check()


async def test_a_loser_is_seen_to_its_start_and_closed_then(clock: MockClock, lingering: Make) -> None:
    s = lingering(starts(8.0, "flex", ends_s=60.0))
    client = await s.race()
    assert client.headers["x-startline-race"].startswith("flex@0.000 detached@6.000, default@5.000 won@6.000")
    assert s.request.reason == "flex_deadline" and s.observed == []
    settled = s.attempts[0]
    assert (settled.outcome, settled.end_s, settled.to_start_s, settled.cancel_cause) == ("detached", 6.0, None, None)
    assert settled.runs_on and settled.cost_state == "estimated"
    await over(s, 8.0)
    (seen,) = s.observed
    assert (seen.organisation_id, seen.key_id) == ("org_test", "key_key")
    late = seen.attempt
    assert (late.outcome, late.to_start_s, late.end_s, late.cancel_cause) == ("detached", 8.0, 8.0, "lost_race")
    assert s.provider.asked[0].gone_s == 8.0
    assert (late.ordinal, late.tier_served, late.status, late.tokens.input) == (1, "flex", 200, 100)
    assert late.cost_state == "estimated" and late.cost_nanos is not None and settled.cost_nanos is not None
    assert late.cost_nanos >= settled.cost_nanos


async def test_a_loser_that_stays_silent_is_closed_at_the_deadline(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE)
    await s.race()
    await over(s, 9.9)
    assert s.observed == []
    await over(s, 10.0)
    late = s.observed[0].attempt
    assert (late.outcome, late.to_start_s, late.end_s, late.cancel_cause) == ("detached", None, 10.0, "too_slow")
    assert s.provider.asked[0].gone_s == 10.0


async def test_it_never_runs_beyond_the_time_to_give_up(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE, settings={"first_content_timeout_s": 7.0})
    await s.race()
    await over(s, 7.0)
    assert s.observed[0].attempt.end_s == 7.0


async def test_after_the_deadline_nothing_is_left_running(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE, starts(6.0, "default"))
    await s.race()
    assert s.story()[0] == ("flex", 0.0, "lost", 11.0)


async def test_what_it_came_to_before_its_request_settled_is_in_the_requests_records(
    clock: MockClock, lingering: Make
) -> None:
    s = lingering(starts(8.0, "flex", ends_s=60.0), starts(1.0, "default", ends_s=20.0))
    client = await s.race()
    assert client.text == "Hello" and s.observed == []
    one = s.attempts[0]
    assert (one.outcome, one.to_start_s, one.end_s, one.cancel_cause) == ("detached", 8.0, 8.0, "lost_race")
    assert not one.runs_on
    assert s.provider.asked[0].gone_s == 8.0


LATE: dict[str, tuple[list[Step], str, str]] = {
    "refused": (refuses(8.0, 429, "resource_unavailable"), "refused", "provider_refused"),
    "failed": (refuses(8.0, 500, "server_error"), "failed", "provider_error"),
    "cut off": ([(0.0, head() + chunk(role("flex"))), (8.0, "close")], "failed", "provider_cut_off"),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("ends_s", [None, 20.0])
async def test_a_loss_that_comes_later_is_one(
    clock: MockClock, lingering: Make, name: str, ends_s: float | None
) -> None:
    script, outcome, code = LATE[name]
    s = lingering(script, starts(1.0, "default", ends_s=ends_s))
    await s.race()
    await over(s, 21.0)
    late = s.attempts[0] if ends_s is not None else s.observed[0].attempt
    assert (late.outcome, late.error_code, late.end_s, late.cancel_cause) == (outcome, code, 8.0, None)
    assert late.cost_state == ("estimated" if name == "cut off" else "not_charged")
    assert len(s.gateway.breakers.suspects) == 1, "the breakers hear of it as of any other"


async def test_a_stop_closes_and_records_it(clock: MockClock, stage: Make) -> None:
    async with trio.open_nursery() as nursery:
        s = Stage(nursery, {"flex": SILENCE, "default": starts(1.0, "default")})
        s.let_linger(0)
        await s.race()
        await trio.sleep_until(7.0)
        nursery.cancel_scope.cancel()
    late = s.observed[0].attempt
    assert (late.outcome, late.end_s, late.cancel_cause) == ("detached", 7.0, "shutdown")
    assert s.provider.asked[0].ours.closed and not s.gateway.observatory.running


async def test_a_revoked_key_ends_what_runs_for_it(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE)
    s.directory.on_change(s.gateway.revoked)
    await s.race()
    await trio.sleep_until(7.0)
    s.directory.revoke("key")
    await over(s, 7.5)
    late = s.observed[0].attempt
    assert (late.outcome, late.end_s, late.cancel_cause) == ("detached", 7.0, "revoked")
    assert s.provider.asked[0].gone_s == 7.0


@pytest.mark.parametrize(("flex", "default"), [(SILENCE, SILENCE), (starts(8.0, "flex"), SILENCE)])
async def test_a_client_that_leaves_before_the_race_is_won_leaves_nothing_running(
    clock: MockClock, lingering: Make, flex: list[Step], default: list[Step]
) -> None:
    s = lingering(flex, default)
    await s.race(leaves(7.0))
    assert [(one.outcome, one.end_s) for one in s.attempts] == [("client_gone", 7.0), ("client_gone", 7.0)]
    assert all(asked.gone_s == 7.0 for asked in s.provider.asked) and not s.gateway.observatory.running


async def test_a_client_that_leaves_later_ends_no_observation(clock: MockClock, lingering: Make) -> None:
    s = lingering(starts(8.0, "flex", ends_s=60.0), starts(1.0, "default", ends_s=60.0))
    await s.race(leaves(7.0))
    assert [(one.outcome, one.end_s) for one in s.attempts] == [("detached", 7.0), ("client_gone", 7.0)]
    await over(s, 8.0)
    assert s.observed[0].attempt.to_start_s == 8.0


async def test_a_revocation_while_it_races_leaves_nothing_running(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE, SILENCE)
    s.directory.on_change(s.gateway.revoked)
    client = await s.race(at(6.5, lambda *_: s.directory.revoke("key")))
    assert client.status == 401 and not s.gateway.observatory.running
    assert [(one.outcome, one.cancel_cause) for one in s.attempts] == [("cancelled", "revoked")] * 2


async def test_it_wins_as_any_other(clock: MockClock, lingering: Make) -> None:
    s = lingering(starts(7.0, "flex", ends_s=30.0), starts(4.0, "default"))
    client = await s.race()
    assert (client.text, s.request.reason) == ("Hello", "flex_won_late")
    assert s.story() == [("flex", 0.0, "won", 30.0), ("default", 5.0, "lost", 7.0)]
    assert client.open_when_begun == ["flex"]


async def test_it_is_lost_as_any_other(clock: MockClock, lingering: Make) -> None:
    s = lingering(refuses(2.0, 429, "resource_unavailable"))
    await s.race()
    assert s.story() == [("flex", 0.0, "refused", 2.0), ("default", 2.0, "won", 3.0)]
    assert s.observed == []


@pytest.mark.parametrize("flex", [starts(6.0, "flex"), refuses(6.0, 500, "server_error")])
async def test_things_of_the_same_instant(clock: MockClock, lingering: Make, flex: list[Step]) -> None:
    s = lingering(flex, starts(1.0, "default", ends_s=2.0))
    await s.race()
    won = s.request.tier_served
    assert [one.outcome for one in s.attempts] == (["won", "lost"] if won == "flex" else ["failed", "won"])
    await over(s, 11.0)
    assert s.observed == []


async def test_what_is_not_sent_yet_is_closed_since_it_holds_the_prompt(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE)
    s.provider.dials = [60.0]
    await s.race()
    assert s.story() == [("flex", 0.0, "lost", 6.0), ("default", 5.0, "won", 6.0)]
    assert not s.gateway.observatory.running


async def test_where_there_is_no_room_losers_are_cut_off(
    clock: MockClock, lingering: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observatory, "MOST_OBSERVED", 0)
    s = lingering(starts(8.0, "flex"))
    await s.race()
    assert s.story()[0] == ("flex", 0.0, "lost", 6.0)


async def test_its_record_follows_that_of_its_request_where_that_must_be_durable(
    clock: MockClock, lingering: Make
) -> None:
    s = lingering(starts(8.0, "flex", ends_s=60.0), settings={"durability": "strict"})
    client = await s.race()
    assert client.ended and s.ledger.barriers == 1
    await over(s, 8.0)
    assert [one.attempt.to_start_s for one in s.observed] == [8.0]


async def test_many_leave_nothing_behind(clock: MockClock, lingering: Make) -> None:
    s = lingering(starts(8.0, "flex", ends_s=60.0))
    async with trio.open_nursery() as nursery:
        for number in range(50):
            call, _ = s.prepare({"stream": True, "start_within": "10s"})
            call.request_id = f"req_{number}"
            nursery.start_soon(s.run, call)
    assert len(s.gateway.observatory.running) == 50
    await over(s, 8.0)
    assert not s.gateway.observatory.running and len(s.observed) == 50
    nursery_ = s.gateway.observatory._nursery
    assert nursery_ is not None and not nursery_.child_tasks
    assert counted(s, "flex") == {"started": 1}, "of one bucket, and none is taken for flying still"


async def test_neither_the_prompt_nor_the_request_is_held(clock: MockClock, lingering: Make) -> None:
    s = lingering(SILENCE)
    canary = "a prompt that nobody needs any more"
    await s.race(messages=[{"role": "user", "content": canary}])
    nursery = s.gateway.observatory._nursery
    assert nursery is not None
    (task,) = nursery.child_tasks
    held: list[Any] = []
    coroutine: Any = task.coro
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        held += frame.f_locals.values()
        coroutine = coroutine.cr_await
    (one,) = s.gateway.observatory.running
    held += [getattr(one.attempt, name, None) for name in one.attempt.__slots__]
    held += [getattr(one.attempt._exchange, name, None) for name in one.attempt._exchange.__slots__]
    held += [getattr(one, name, None) for name in one.__slots__]
    assert not any(isinstance(value, bytes) and canary.encode() in value for value in held)
    assert not any(isinstance(value, Work | Call | Client) for value in held)
    for value in held:
        for cell in getattr(value, "__closure__", None) or ():
            assert not isinstance(cell.cell_contents, Work | Call | Client)


@pytest.mark.parametrize("ending", ["let go", "wins", "leaves", "a bug"])
async def test_no_cycle_waits_for_the_collector(clock: MockClock, lingering: Make, ending: str) -> None:
    s = lingering(starts(7.0, "flex") if ending == "wins" else SILENCE, starts(4.0, "default"))

    def defect(*_: Any) -> None:
        raise RuntimeError

    if ending == "a bug":
        s.gateway.directory.secret = defect  # type: ignore[assignment, method-assign]
    gc.collect()
    gc.disable()
    try:
        with structlog.testing.capture_logs():
            await s.race(leaves(6.0) if ending == "leaves" else None)
        await trio.testing.wait_all_tasks_blocked()
        left = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, Work)]
    finally:
        gc.enable()
    assert left == []


async def test_a_stale_connection_is_not_replaced_once_the_prompt_is_forgotten(
    clock: MockClock, lingering: Make
) -> None:
    """Sent anew it would be without its body: it has failed instead."""
    s = lingering([starts(0.125, "flex"), [(0.875, "close")]], starts(0.25, "default"))
    await s.race(start_within="1s")
    assert s.pool.idle_count() >= 1
    await s.race(start_within="1s")
    await over(s, 2.0)
    late = s.observed[0].attempt
    assert (late.outcome, late.error_code, late.retries) == ("failed", "provider_cut_off", 0)
    assert [asked.tier for asked in s.provider.asked] == ["flex", "flex", "default"]


async def test_a_bug_of_ours_is_told_and_takes_nobody_with_it(
    clock: MockClock, lingering: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = lingering(starts(8.0, "flex"))
    await s.race()
    (one,) = s.gateway.observatory.running

    def broken(*_: object) -> bytes:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(type(one.attempt.reader), "feed", broken)
        await over(s, 8.0)
    (line,) = logs
    assert (line["event"], line["code"], line["exception"]) == ("observation_failed", "internal_error", "RuntimeError")
    assert line["request_id"] == s.request.request_id and "defect" not in str(line)
    assert s.observed[0].attempt.outcome == "detached"
    assert (await s.call(stream=True)).text == "Hello"


PARTS = {"breakers.ended": 1, "engine.landed": 1, "ledger.observe": 0, "observatory._on_observed": 1,
         "observatory._prices": 0}  # fmt: skip


@pytest.mark.parametrize(("part", "recorded"), PARTS.items())
async def test_a_bug_while_an_attempt_is_closed_is_told_and_takes_nobody_with_it(
    clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch, part: str, recorded: int
) -> None:
    s = stage(flex=starts(8.0, "flex", ends_s=60.0), default=starts(1.0, "default"), explore=True)
    monkeypatch.setattr(s, "check", lambda: None)  # a record may be missing, as it should where writing it fails
    await s.race()
    assert len(s.gateway.observatory.running) == 1, "paid for from the purse"

    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    *way, name = part.split(".")
    owner = getattr(s.gateway, *way)
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(owner, name, broken)
        await trio.sleep_until(8.0)
        await trio.testing.wait_all_tasks_blocked()
    assert {(line["event"], line["code"]) for line in logs} == {("observation_failed", "internal_error")}
    assert "defect" not in str(logs) and len(s.ledger.observed) == recorded, "a step takes no other with it"
    observatory_ = s.gateway.observatory
    assert s.provider.asked[0].gone_s == 8.0 and not observatory_.running and observatory_.open
    levels = s.gateway.engine.model._levels.values()
    assert not any(level.flights for level in levels), "and it is not taken for flying for ever"
    (purse,) = s.gateway.engine.purses.keep()
    assert purse.used > 0, "what it cost is not given back"
    assert (await s.call(stream=True)).text == "Hello"
    await s.race()
    assert len(observatory_.running) == 1, "others are observed as before"
    await trio.sleep(10.0)
    assert len(s.ledger.observed) == recorded + 1


async def test_a_bug_while_it_races_is_the_requests(clock: MockClock, lingering: Make) -> None:
    s = lingering(starts(3.0, "flex"))

    def defect(*_: Any) -> None:
        raise RuntimeError("a defect")

    s.gateway.directory.secret = defect  # type: ignore[assignment, method-assign]
    with structlog.testing.capture_logs():
        client = await s.race()
    assert client.error["code"] == "internal_error" and not s.gateway.observatory.running
