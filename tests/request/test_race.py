"""Races on virtual time: who is asked when, who wins, and that every loser is closed before the client hears a byte."""

import gc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from appliance.domain.errors import ApplianceFault
from appliance.request.work import Work
from appliance.wire import openai_chat
from appliance.wire.dialect import Asked
from tests.request.stage import (
    DONE,
    END,
    SILENCE,
    Refusal,
    Stage,
    Step,
    chunk,
    delta,
    head,
    leaves,
    refuses,
    role,
    starts,
)

Make = Callable[..., Stage]

ERROR = b'data: {"error":{"message":"words","type":"server_error","code":"%b"}}\n\n'


def error_in_stream(at_s: float, code: bytes) -> list[Step]:
    """A 200 whose stream is an error."""
    return [(0.0, head() + chunk(role("flex"))), (at_s, chunk(ERROR % code) + END)]


FLEX_RATES, DEFAULT_RATES = (1250, 7500), (2500, 15000)  # nanodollars for a token, of MODEL in the price list
FLEX_COST = 100 * 1250 + 10 * 7500
DEFAULT_COST = 2 * FLEX_COST


class Scene(msgspec.Struct, frozen=True):
    """A race with a window of 10 s and what must come of it."""

    flex: Any
    default: Any
    began_s: float
    winner: str
    reason: str
    story: list[tuple[str, float, str, float]]
    met: bool
    causes: list[str | None] = []


SCENES = {
    "flex wins": Scene(
        starts(3.0, "flex"), SILENCE, 3.0, "flex", "flex_won", [("flex", 0.0, "won", 3.0)], True
    ),
    "flex wins late": Scene(
        starts(7.0, "flex"), starts(3.0, "default"), 7.0, "flex", "flex_won_late",
        [("flex", 0.0, "won", 7.0), ("default", 5.0, "lost", 7.0)], True, [None, "lost_race"],
    ),
    "deadline": Scene(
        SILENCE, starts(1.5, "default"), 6.5, "default", "flex_deadline",
        [("flex", 0.0, "lost", 6.5), ("default", 5.0, "won", 6.5)], True, ["lost_race", None],
    ),
    "a role is no start": Scene(
        [(0.5, head() + chunk(role("flex")))], starts(1.0, "default"), 6.0, "default", "flex_deadline",
        [("flex", 0.0, "lost", 6.0), ("default", 5.0, "won", 6.0)], True, ["lost_race", None],
    ),
    "a tie goes to the cheaper": Scene(
        starts(8.0, "flex"), starts(3.0, "default", ends_s=60.0), 8.0, "flex", "flex_won_late",
        [("flex", 0.0, "won", 8.0), ("default", 5.0, "lost", 8.0)], True, [None, "lost_race"],
    ),
    "a start just before the launch": Scene(
        starts(4.875, "flex"), SILENCE, 4.875, "flex", "flex_won", [("flex", 0.0, "won", 4.875)], True
    ),
    "the deadline passes and ends nothing": Scene(
        starts(14.0, "flex"), starts(30.0, "default"), 14.0, "flex", "flex_won_late",
        [("flex", 0.0, "won", 14.0), ("default", 5.0, "lost", 14.0)], False, [None, "lost_race"],
    ),
    "no capacity 429": Scene(
        refuses(0.25, 429, "resource_unavailable"), starts(1.0, "default"), 1.25, "default", "flex_capacity",
        [("flex", 0.0, "refused", 0.25), ("default", 0.25, "won", 1.25)], True,
    ),
    "no capacity 503": Scene(
        refuses(0.25, 503, "overloaded"), starts(1.0, "default"), 1.25, "default", "flex_capacity",
        [("flex", 0.0, "refused", 0.25), ("default", 0.25, "won", 1.25)], True,
    ),
    "quota 429 is no lack of capacity": Scene(
        refuses(0.25, 429, "insufficient_quota"), starts(1.0, "default"), 1.25, "default", "flex_upstream_error",
        [("flex", 0.0, "failed", 0.25), ("default", 0.25, "won", 1.25)], True,
    ),
    "an error 500": Scene(
        refuses(0.25, 500, "server_error"), starts(1.0, "default"), 1.25, "default", "flex_upstream_error",
        [("flex", 0.0, "failed", 0.25), ("default", 0.25, "won", 1.25)], True,
    ),
    "a refusal after the deadline's launch launches nothing more": Scene(
        refuses(6.0, 429, "resource_unavailable"), starts(3.0, "default"), 8.0, "default", "flex_deadline",
        [("flex", 0.0, "refused", 6.0), ("default", 5.0, "won", 8.0)], True,
    ),
    "an error in a 200": Scene(
        error_in_stream(0.5, b"server_error"), starts(1.0, "default"), 1.5, "default", "flex_upstream_error",
        [("flex", 0.0, "failed", 0.5), ("default", 0.5, "won", 1.5)], True,
    ),
    "no capacity in a 200": Scene(
        error_in_stream(0.5, b"resource_unavailable"), starts(1.0, "default"), 1.5, "default", "flex_capacity",
        [("flex", 0.0, "refused", 0.5), ("default", 0.5, "won", 1.5)], True,
    ),
    "the stream ends before its start": Scene(
        [(0.0, head() + chunk(role("flex"))), (0.5, END)], starts(1.0, "default"), 1.5, "default", "flex_not_started",
        [("flex", 0.0, "failed", 0.5), ("default", 0.5, "won", 1.5)], True,
    ),
    "the connection breaks before the start": Scene(
        [(0.0, head() + chunk(role("flex"))), (0.5, "close")], starts(1.0, "default"), 1.5, "default",
        "flex_not_started", [("flex", 0.0, "failed", 0.5), ("default", 0.5, "won", 1.5)], True,
    ),
    "no answer at all, cut": Scene(
        [(0.5, "close")], starts(1.0, "default"), 1.5, "default", "flex_not_started",
        [("flex", 0.0, "failed", 0.5), ("default", 0.5, "won", 1.5)], True,
    ),
    "a page instead of a stream": Scene(
        [(0.5, head(200, "text/html", length=6) + b"<html>")], starts(1.0, "default"), 1.5, "default",
        "flex_upstream_error", [("flex", 0.0, "failed", 0.5), ("default", 0.5, "won", 1.5)], True,
    ),
    "rejected while default runs: default may prove it wrong": Scene(
        refuses(6.0, 400, "invalid_value"), starts(3.0, "default"), 8.0, "default", "flex_deadline",
        [("flex", 0.0, "failed", 6.0), ("default", 5.0, "won", 8.0)], True,
    ),
    "default fails, flex goes on": Scene(
        starts(18.0, "flex"), refuses(1.0, 500, "server_error"), 18.0, "flex", "flex_won_late",
        [("flex", 0.0, "won", 18.0), ("default", 5.0, "failed", 6.0)], False,
    ),
    "an empty answer is an answer": Scene(
        [(0.0, head() + chunk(role("flex"))), (2.0, chunk(delta("flex", {}, "stop")) + chunk(DONE) + END)], SILENCE,
        2.0, "flex", "flex_won", [("flex", 0.0, "won", 2.0)], True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_a_race(clock: MockClock, stage: Make, scene: Scene) -> None:
    s = stage(flex=scene.flex, default=scene.default)
    client = await s.race()
    facts = client.headers
    assert (client.status, client.began_s, facts["x-startline-tier"], facts["x-startline-reason"]) == (
        200, scene.began_s, scene.winner, scene.reason,
    )  # fmt: skip
    assert s.story() == scene.story
    assert [one.cancel_cause for one in s.attempts] == (scene.causes or [None] * len(scene.story))
    assert facts["x-startline-deadline-met"] == ("true" if scene.met else "false")
    assert (s.request.deadline_met, s.request.reason, s.request.to_start_s) == (scene.met, scene.reason, scene.began_s)
    assert client.open_when_begun in ([scene.winner], []), "each loser's socket is closed before the first byte"
    assert [(asked.tier, asked.at_s) for asked in s.provider.asked] == [(one[0], one[1]) for one in scene.story]
    for asked, (tier, _, outcome, end_s) in zip(s.provider.asked, scene.story, strict=True):
        assert (asked.tier, asked.gone_s) == (tier, end_s if outcome == "lost" else None)
    if "stop" not in client.body.decode() or client.text:
        assert client.body.endswith(DONE)


async def test_costs_are_those_of_the_tier_served_and_of_every_attempt(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(3.0, "flex"), default=SILENCE)
    client = await s.race()
    assert (s.request.cost_nanos, s.request.cost_state, s.request.default_nanos) == (FLEX_COST, "known", DEFAULT_COST)
    assert client.text == "Hello"

    s.settled.clear()
    s.ledger.settled.clear()
    s.ledger.begun.clear()
    s.provider._scripts = {"flex": [SILENCE], "default": [starts(1.0, "default")]}
    await s.race()
    lost, won = s.attempts
    assert (won.cost_nanos, won.cost_state) == (DEFAULT_COST, "known")
    assert lost.cost_state == "estimated"
    assert lost.cost_nanos is not None and lost.tokens.output == 0
    assert (s.request.cost_nanos, s.request.cost_state) == (DEFAULT_COST + lost.cost_nanos, "estimated")


async def test_a_downgrade_is_told_and_charged_as_what_it_is(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(3.0, "default"), default=SILENCE)
    client = await s.race()
    assert client.headers["x-startline-tier"] == "default"
    assert (s.request.tier_sent, s.request.tier_served, s.request.cost_nanos) == ("flex", "default", DEFAULT_COST)


@pytest.mark.parametrize("errno", [ConnectionRefusedError(111, "Connection refused"), TimeoutError()])
async def test_a_connection_that_cannot_be_opened_starts_the_next_rung(
    clock: MockClock, stage: Make, errno: OSError
) -> None:
    s = stage(default=starts(1.0, "default"))
    s.provider.dials = [Refusal(0.5, errno)]
    client = await s.race()
    assert (client.began_s, client.headers["x-startline-reason"]) == (1.5, "flex_not_started")
    flex = s.attempts[0]
    assert (flex.outcome, flex.error_code, flex.cost_nanos, flex.cost_state) == (
        "failed", "provider_unreachable", 0, "not_charged",
    )  # fmt: skip


async def test_a_connection_that_hangs_is_given_up(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(0.25, "default"), settings={"connect_timeout_s": 2.0})
    s.provider.dials = [1e9]
    client = await s.race()
    assert (client.began_s, s.attempts[0].error_code) == (2.25, "provider_unreachable")


async def test_the_callers_fault_is_answered_as_it_is(clock: MockClock, stage: Make) -> None:
    s = stage(flex=refuses(0.25, 400, "invalid_value", "x-request-id: req_1", "set-cookie: a=b"))
    client = await s.race()
    assert (client.status, client.began_s, s.story()) == (400, 0.25, [("flex", 0.0, "failed", 0.25)])
    assert client.error["message"] == "words of the provider"
    assert client.headers["x-request-id"] == "req_1" and "set-cookie" not in client.headers
    assert (s.request.error_code, s.request.status, s.request.deadline_met) == ("provider_rejected", 400, None)
    assert (s.request.cost_nanos, s.request.cost_state) == (0, "not_charged")


async def test_when_all_fail_the_dearest_error_is_told_with_the_least_wait(clock: MockClock, stage: Make) -> None:
    s = stage(
        flex=refuses(0.25, 429, "resource_unavailable", "retry-after: 3"),
        default=refuses(0.5, 503, "overloaded", "retry-after: 30", "retry-after-ms: 30000"),
    )
    client = await s.race()
    assert (client.status, client.began_s, client.error["code"]) == (503, 0.75, "overloaded")
    assert client.headers["retry-after"] == "3" and "retry-after-ms" not in client.headers
    assert s.story() == [("flex", 0.0, "refused", 0.25), ("default", 0.25, "refused", 0.75)]
    assert s.request.reason is None


async def test_the_providers_own_wait_is_passed_as_it_came(clock: MockClock, stage: Make) -> None:
    s = stage(flex=refuses(0, 429, "x"), default=refuses(0, 429, "rate_limit", "retry-after-ms: 1500"))
    client = await s.race()
    assert client.headers["retry-after-ms"] == "1500" and "retry-after" not in client.headers


async def test_priority_starts_at_the_deadline_if_the_key_allows_it(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=SILENCE, priority=starts(1.0, "priority"), key={"priority": True})
    client = await s.race()
    assert (client.began_s, client.headers["x-startline-reason"]) == (11.0, "flex_deadline")
    assert s.story() == [
        ("flex", 0.0, "lost", 11.0), ("default", 5.0, "lost", 11.0), ("priority", 10.0, "won", 11.0),
    ]  # fmt: skip
    assert [asked.gone_s for asked in s.provider.asked] == [11.0, 11.0, None]


async def test_priority_starts_when_default_refuses(clock: MockClock, stage: Make) -> None:
    refused = refuses(0.5, 503, "overloaded")
    s = stage(flex=refused, default=refused, priority=starts(1.0, "priority"), key={"priority": True})
    client = await s.race()
    assert (client.began_s, client.headers["x-startline-reason"]) == (2.0, "flex_capacity")


async def test_without_leave_priority_is_never_asked(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(10.0, "default"), priority=SILENCE)
    client = await s.race()
    assert client.began_s == 15.0
    assert [asked.tier for asked in s.provider.asked] == ["flex", "default"]


async def test_it_gives_up_at_the_first_content_timeout(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=SILENCE, settings={"first_content_timeout_s": 60.0, "keep_alive_comment_s": 0.0})
    client = await s.race()
    assert (client.status, client.began_s, client.error["code"]) == (504, 60.0, "provider_too_slow")
    assert s.story() == [("flex", 0.0, "cancelled", 60.0), ("default", 5.0, "cancelled", 60.0)]
    assert [one.cancel_cause for one in s.attempts] == ["too_slow", "too_slow"]
    assert [asked.gone_s for asked in s.provider.asked] == [60.0, 60.0]


async def test_a_single_rung_is_given_up_too(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE, settings={"first_content_timeout_s": 60.0})
    client = await s.call(start_within="default")
    assert (client.status, client.began_s, client.error["code"]) == (504, 60.0, "provider_too_slow")
    assert s.story() == [("default", 0.0, "cancelled", 60.0)]
    assert s.attempts[0].cancel_cause == "too_slow"


async def test_the_next_rungs_connection_is_opened_a_second_before_its_launch(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(1.0, "default"))
    dialled: list[float] = []
    dial = s.pool._dial

    async def noted(*where: Any) -> Any:
        dialled.append(trio.current_time())
        return await dial(*where)

    s.pool._dial = noted
    await s.race()
    assert dialled == [0.0, 4.0]


async def test_a_connection_still_warming_when_the_race_ends_is_closed(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(4.5, "flex"))
    s.provider.dials = [0.0, 100.0]
    client = await s.race()
    assert client.began_s == 4.5
    assert len(s.provider.dialled) == 1


async def test_a_rung_whose_vault_is_locked_fails_with_that(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=SILENCE)
    s.directory.locked = True
    client = await s.race()
    assert (client.status, client.error["code"]) == (503, "vault_locked")
    assert s.provider.asked == []


# -- faults in the race itself -----------------------------------------------------------------------------------------


class Broken(Exception):
    """A bug."""


async def test_a_bug_in_an_attempt_is_answered_and_settled_like_any_fault(
    clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage(flex=SILENCE, default=starts(1.0, "default"))

    def secret(_: object) -> str:
        raise Broken

    monkeypatch.setattr(s.directory, "secret", secret)
    client = await s.race()
    assert (client.status, client.error["code"], s.request.status) == (500, "internal_error", 500)
    assert [one.outcome for one in s.attempts] == ["cancelled"]


async def test_a_bug_leaves_no_cycle_behind(clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    s = stage(flex=SILENCE, default=SILENCE)

    def secret(_: object) -> str:
        raise Broken

    monkeypatch.setattr(s.directory, "secret", secret)
    gc.collect()
    gc.disable()
    try:
        await s.race()
        left = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, Work | Broken)]
    finally:
        gc.enable()
    assert left == []


async def test_a_launch_that_fails_raises_its_fault_out_of_the_nursery(
    clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage(flex=SILENCE)

    def begin(_: object) -> None:
        raise ApplianceFault("store_unavailable")

    monkeypatch.setattr(s.ledger, "begin", begin)
    client = await s.race()
    assert (client.status, client.error["code"]) == (503, "store_unavailable")
    assert s.provider.asked == [] and s.provider.dialled == []


async def test_a_later_launch_that_fails_closes_what_runs(
    clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage(flex=SILENCE)
    upstream_body = openai_chat.upstream_body

    def fails_later(asked: Asked, *, tier: str | None, **facts: Any) -> bytes:
        if tier == "default":
            raise ApplianceFault("store_unavailable")
        return upstream_body(asked, tier=tier, **facts)

    monkeypatch.setattr(openai_chat, "upstream_body", fails_later)
    client = await s.race()
    assert (client.status, client.began_s, client.error["code"]) == (503, 5.0, "store_unavailable")
    assert [asked.gone_s for asked in s.provider.asked] == [5.0]


async def test_the_client_leaving_in_a_race_cancels_every_attempt(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=SILENCE)
    client = await s.race(leaves(7.0))
    assert not client.started
    assert s.story() == [("flex", 0.0, "client_gone", 7.0), ("default", 5.0, "client_gone", 7.0)]
    assert [asked.gone_s for asked in s.provider.asked] == [7.0, 7.0]
    assert [one.cancel_cause for one in s.attempts] == ["client_gone", "client_gone"]
    assert (s.request.status, s.request.client_gone, s.request.error_code) == (499, True, "client_gone")


async def test_a_stop_in_a_race_is_told_and_settled(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=SILENCE)
    call, client = s.prepare({"stream": True, "start_within": "10s"})
    with trio.move_on_after(7.0) as scope:
        await s.run(call)
    assert scope.cancelled_caught
    s.check()
    assert (client.status, client.error["code"]) == (503, "shutting_down")
    assert [one.cancel_cause for one in s.attempts] == ["shutdown", "shutdown"]
    assert s.story() == [("flex", 0.0, "cancelled", 7.0), ("default", 5.0, "cancelled", 7.0)]
