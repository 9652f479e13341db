"""Races under any interleaving: whatever providers, client and operator do, and when, the promises hold.

Times are quarters of a second, so that things often happen in the same instant.
"""

from itertools import pairwise
from typing import Any

import trio
import trio.testing
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from appliance.policy.looks import SLACK_S
from tests.request.stage import (
    DONE,
    END,
    SILENCE,
    Refusal,
    Stage,
    Step,
    at,
    chunk,
    delta,
    head,
    leaves,
    refuses,
    role,
    starts,
)

QUARTERS = st.integers(0, 56).map(lambda quarters: quarters / 4)
WINDOW_S = 10.0
TIERS = ("flex", "default", "priority")
LESSONS = st.tuples(QUARTERS.map(lambda at_s: at_s or 0.25), st.sampled_from(TIERS), st.sampled_from([0.1, 4.0, 60.0]))
"""When it is suddenly learned that a tier starts after so many seconds."""
ERROR = b'data: {"error":{"message":"words","code":"%b"}}\n\n'


@st.composite
def script(draw: st.DrawFn, tier: str) -> list[Step]:
    """What one tier does with a request."""
    kind = draw(
        st.sampled_from(["starts", "refuses", "fails", "rejects", "silent", "error", "cut", "late cut", "empty"])
    )
    when_s = draw(QUARTERS)
    then_s = when_s + draw(QUARTERS)
    opening: Step = (0.0, head() + chunk(role(tier)))
    word: Step = (when_s, chunk(delta(tier, {"content": "Hello"})))
    scripts: dict[str, list[Step]] = {
        "starts": starts(when_s, tier, ends_s=then_s),
        "refuses": refuses(when_s, 429, "resource_unavailable"),
        "fails": refuses(when_s, 500, "server_error"),
        "rejects": refuses(when_s, 400, "invalid_value"),
        "silent": SILENCE,
        "error": [opening, (when_s, chunk(ERROR % b"server_error") + END)],
        "cut": [(when_s, "close")],
        "late cut": [opening, word, (then_s, "close")],
        "empty": [(when_s, head() + chunk(delta(tier, {}, "stop")) + chunk(DONE) + END)],
    }
    return scripts[kind]


@st.composite
def plays(draw: st.DrawFn) -> dict[str, Any]:
    """A whole play."""
    dial = st.one_of(st.just(0.0), QUARTERS, st.builds(Refusal, QUARTERS, st.just(ConnectionRefusedError(111, "no"))))
    return {
        "scripts": {tier: draw(script(tier)) for tier in TIERS},
        "dials": draw(st.lists(dial, max_size=3)),
        "priority": draw(st.booleans()),
        "stream": draw(st.booleans()),
        "ending": draw(st.sampled_from(["none", "none", "none", "leaves", "revoked", "stop"])),
        "ends_s": draw(QUARTERS),
        "slow": draw(st.booleans()),
        "quick_s": draw(QUARTERS),
        "strict": draw(st.booleans()),
        "linger": draw(st.frozensets(st.integers(0, 2))),
        "learns": draw(st.one_of(st.none(), st.none(), LESSONS)),
    }


async def perform(play: dict[str, Any]) -> None:
    async with trio.open_nursery() as nursery:
        stage = Stage(
            nursery,
            play["scripts"],
            key={"priority": play["priority"]},
            settings=({} if play["learns"] is None else {"reserve_s": {}})
            | {
                "durability": "strict" if play["strict"] else "batched",
                "first_content_timeout_s": 30.0,
                "keep_alive_comment_s": 6.0,
                "idle_timeout_s": 9.0,
            },
        )
        stage.provider.dials = list(play["dials"])
        stage.directory.on_change(stage.gateway.revoked)
        stage.let_linger(*play["linger"])
        if play["learns"] is not None:
            stage.teach_usual()
        call, client = stage.prepare({"stream": play["stream"], "start_within": "10s"})
        ends = {
            "leaves": leaves(play["ends_s"]),
            "revoked": at(play["ends_s"], lambda *_: stage.directory.revoke("key")),
        }
        with trio.CancelScope() as stop:
            if play["ending"] == "stop":
                stop.deadline = play["ends_s"]
            async with trio.open_nursery() as beside:
                if play["ending"] in ends:
                    beside.start_soon(ends[play["ending"]], call, client)
                if play["slow"]:
                    client.slow()
                    beside.start_soon(at(play["quick_s"], lambda _, client: client.quick()), call, client)
                if play["learns"] is not None:
                    when_s, tier, starts_s = play["learns"]
                    beside.start_soon(at(when_s, lambda *_: teach(stage, tier, starts_s)), call, client)
                await stage.run(call)
                beside.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        stage.check()
        await trio.sleep_until(WINDOW_S)
        await trio.testing.wait_all_tasks_blocked()
        assert not stage.gateway.observatory.running, "nothing is left running beyond the window"
        lingering = {TIERS[place] for place in play["linger"]}
        examine(stage, client, play["ending"], slow=play["slow"], lingering=lingering, learns=play["learns"])
        nursery.cancel_scope.cancel()


def teach(stage: Stage, tier: str, starts_s: float) -> None:
    """Suddenly a tier is believed to be so quick, or so slow."""
    stage.teach(tier, [starts_s] * 300, behind=tier != "flex")


def launches_by_time(stage: Stage, learns: Any) -> set[float]:
    """When the dearer rungs may be launched by time: as planned, or at a look, once something was learned."""
    if learns is None:
        return {5.0}
    told = stage.request.forecast
    assert told is not None and told.launch_s is not None and told.why == "latest_launch"
    moves = [*told.replans]
    event(f"moved: {len(moves)}")
    assert all(before < at_s for (before, _), (at_s, _) in pairwise([(0.0, 0.0), *moves]))
    planned = told.launch_s
    for at_s, launch_s in moves:
        assert abs(launch_s - planned) > SLACK_S and at_s <= WINDOW_S
        planned = launch_s
    return {told.launch_s, WINDOW_S, *(max(move) for move in moves)}


def examine(stage: Stage, client: Any, ending: str, *, slow: bool, lingering: set[str], learns: Any) -> None:
    stage.check()
    flying = [level.flights for level in stage.gateway.engine.model._levels.values()]
    assert not any(flying), "each attempt is counted, or forgotten"
    request, attempts = stage.request, stage.attempts
    event(f"{ending}: {request.reason or request.error_code}")
    outcomes = [one.outcome for one in attempts]
    event(f"left running: {sorted(one.attempt.cancel_cause or one.attempt.outcome for one in stage.observed)}")
    if client.began_s is not None and not client.comments_s:
        assert set(client.open_when_begun) <= {request.tier_sent} | lingering, "losers are closed before the first byte"
    for asked in stage.provider.asked:
        assert asked.answered or asked.gone_s is not None or asked.ours.closed, "nobody is left waiting"
    assert outcomes.count("won") <= 1 and "interrupted" not in outcomes
    tiers = [one.tier_sent for one in attempts]
    sooner = learns is not None and tiers == ["flex", "priority", "default"][: len(tiers)]
    assert sooner or tiers == list(TIERS[: len(tiers)]), "from cheap to dear, but for what was learned"
    for before, after in pairwise(attempts):
        assert before.start_s <= after.start_s
    if request.to_start_s is not None:
        assert all(one.start_s <= request.to_start_s for one in attempts), "no start after the commit"
        losers = [one for one in attempts if one.tier_sent not in {request.tier_sent} | lingering]
        assert all(one.end_s <= WINDOW_S for one in attempts if one.outcome == "detached" and not one.runs_on)
        assert all(one.end_s <= request.to_start_s for one in losers)
        assert request.deadline_met is (request.to_start_s <= 10.0)
    if len(attempts) > 1:
        lost_s = [one.end_s for one in attempts[:1] if one.outcome in ("refused", "failed")]
        by_time = launches_by_time(stage, learns)
        assert attempts[1].start_s in (*by_time, *lost_s), "default starts in time, or when flex is lost"
    assert all(one.end_s >= one.start_s for one in attempts)
    assert request.status == (client.status or 499), "the status is what was handed over, 499 if nothing was"
    assert request.sent_bytes <= client.sent_bytes
    whole = client.ended and request.error_code is None
    if ending == "none" and not (slow and request.error_code == "provider_too_slow"):
        assert client.ended, "whoever stays and takes its answer is answered"
    if whole:
        assert client.status == 200
        assert client.body.endswith(DONE) if request.streamed else "choices" in client.json()
    elif client.ended:
        assert DONE not in client.body, "no clean end for a broken answer"
        assert client.error["code"]
    assert request.client_gone is False or ending == "leaves"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(play=plays())
def test_the_promises_hold(play: dict[str, Any]) -> None:
    trio.run(perform, play, clock=trio.testing.MockClock(autojump_threshold=0))
