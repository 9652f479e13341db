"""A deadline on the last byte: what answers teach, which rung is asked for it, and what is said of it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from appliance.policy.lengths import PACE_TOKENS, Lengths
from tests.request.stage import (
    MODEL,
    SILENCE,
    Stage,
    at,
    chunk,
    delta,
    head,
    leaves,
    log_normal_times,
    refuses,
    role,
    starts,
)

Make = Callable[..., Stage]


@pytest.fixture
def learning(clock: MockClock, stage: Make) -> Make:
    """A stage without fixed launches, whose losers cost nothing."""

    def make(**facts: Any) -> Stage:
        return stage(**({"settings": {"reserve_s": {}}, "provider": {"abort_billing": "free"}} | facts))

    return make


def known(s: Stage) -> Lengths:
    return s.gateway.engine.answers.known


def counted(s: Stage) -> dict[str, dict[str, list[float]]]:
    """Of the leaves of lengths and paces, by kind and tier: what was counted, in tokens, or tokens a second."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in known(s).keep(trio.current_time(), 0.0):
        if len(one.path) == 3 and one.path[0] == "length":
            for cause, buckets in (("ended", one.slow.started), ("cut", one.slow.censored)):
                found.setdefault("length", {})[cause] = [float(round(1.05**place)) for place, _ in buckets]
        elif len(one.path) == 4:
            paces = [PACE_TOKENS * 1000 / 1.05**place for place, _ in one.slow.started]
            found[one.path[2]] = {"pace": paces, "broken": [1.0 for _ in one.slow.lost]}
    return found


def teach(s: Stage, *, flex: float, default: float, tokens: int = 600, count: int = 600) -> None:
    """Let it have seen answers of so many tokens (about a sixth more or less) at so many tokens a second."""
    s.teach_usual()
    (provider,) = s.directory.providers("org_test")
    now_s, lengths = trio.current_time(), known(s)
    for by in log_normal_times(1.0, 0.15, count):
        length = round(tokens * by)
        lengths.ended(MODEL, s.key.key_id, length, False, now_s)
        for tier, a_second in (("flex", flex), ("default", default)):
            lengths.took(provider.provider_id, MODEL, tier, length, length / a_second, now_s)


# -- what is learned ---------------------------------------------------------------------------------------------------


async def test_a_revoked_keys_lengths_are_forgotten_and_no_others(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex"), default=SILENCE)
    s.directory.on_change(s.gateway.revoked)
    known(s).ended(MODEL, "another key", 300, False, trio.current_time())
    await s.race(start_within="60s")
    assert len(counted(s)["length"]["ended"]) == 1
    before = len(known(s))
    s.directory.revoke("key")
    assert len(known(s)) == before - 1
    assert [one.path[2] for one in known(s).keep(0.0, 0.0) if one.path[0] == "length" and len(one.path) == 3] == [
        "another key"
    ]


async def test_length_and_pace_of_an_answer_are_learned(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", ends_s=11.0, tokens=200), default=SILENCE)
    await s.race(start_within="60s")
    assert counted(s)["length"] == {"ended": [pytest.approx(200, rel=0.05)], "cut": []}
    assert counted(s)["flex"] == {"pace": [pytest.approx(20, rel=0.05)], "broken": []}
    assert "default" not in counted(s)


async def test_what_is_never_raced_teaches_nothing(clock: MockClock, learning: Make) -> None:
    s = learning(default=starts(1.0, "default", ends_s=11.0, tokens=200), flex=starts(1.0, "flex", tokens=200))
    await s.call(stream=True)
    await s.call(stream=True, start_within="flex")
    assert len(known(s)) == 0


async def test_an_answer_that_its_limit_cut_is_known_to_be_longer(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", tokens=64), default=SILENCE)
    await s.race(start_within="60s", max_completion_tokens=64)
    assert counted(s)["length"] == {"ended": [], "cut": [pytest.approx(64, rel=0.05)]}


async def test_so_is_one_whose_client_left(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", ends_s=30.0), default=SILENCE)
    await s.race(leaves(3.0), start_within="60s", finish_within="90s")
    assert counted(s)["length"] == {"ended": [], "cut": [1]}
    assert counted(s)["flex"] == {"pace": [], "broken": []}, "its pace was not seen, and the provider kept its word"
    assert s.request.finish_met is None


async def test_chunks_that_only_keep_a_broken_answer_open_are_not_its_tokens(clock: MockClock, learning: Make) -> None:
    words = [(1.0 + nth / 10, chunk(delta("flex", {"content": "four"}))) for nth in range(20)]
    pings = [(3.0 + nth / 10, chunk(delta("flex", {"content": ""})) + b": ping\n\n") for nth in range(200)]
    s = learning(flex=[(0.0, head() + chunk(role("flex"))), *words, *pings, (30.0, "close")], default=SILENCE)
    await s.race(start_within="60s")
    assert counted(s)["length"] == {"ended": [], "cut": [pytest.approx(20, rel=0.05)]}
    assert counted(s)["flex"]["broken"] == [1.0]


async def test_what_the_provider_broke_off_never_ends(clock: MockClock, learning: Make) -> None:
    cut = [(0.0, head() + chunk(role("flex"))), (1.0, chunk(delta("flex", {"content": "Hel"}))), (2.0, "close")]
    s = learning(flex=cut, default=SILENCE)
    await s.race(start_within="60s", finish_within="90s")
    assert counted(s)["flex"] == {"pace": [], "broken": [1.0]}
    assert (s.request.deadline_met, s.request.finish_met) == (True, False)


async def test_a_client_that_is_slow_does_not_make_the_provider_slow(clock: MockClock, learning: Make) -> None:
    steps = [
        (0.0, head() + chunk(role("flex"))),
        *[(1.0 + nth, chunk(delta("flex", {"content": "word "}))) for nth in range(3)],
        *starts(4.0, "flex", tokens=200)[2:],
    ]
    s = learning(flex=steps, default=SILENCE)

    async def slow(call: Any, client: Any) -> None:
        await trio.sleep(1.5)
        client.slow()
        await trio.sleep(20.0)
        client.quick()

    await s.race(slow, start_within="60s")
    assert s.request.total_s > 20.0
    assert "flex" not in counted(s)
    assert len(counted(s)["length"]["ended"]) == 1


async def test_what_a_key_was_answered_tells_what_the_next_answer_will_cost(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", tokens=120), default=SILENCE)
    for limit in (None, None, 50):
        await s.race(max_completion_tokens=limit)
    told = [one.request.forecast for one in s.settled]
    assert [one.output_tokens for one in told if one is not None] == [300, pytest.approx(120, rel=0.05), 50]


# -- who is asked ------------------------------------------------------------------------------------------------------


async def test_the_rung_that_can_finish_is_asked_at_once_where_the_cheap_one_cannot(
    clock: MockClock, learning: Make
) -> None:
    s = learning(default=starts(1.0, "default", ends_s=8.0, tokens=600))
    teach(s, flex=10.0, default=100.0)  # 60 s against 6
    client = await s.call(stream=True, finish_within="30s")
    assert (s.story(), s.request.reason) == ([("default", 0.0, "won", 8.0)], "flex_skipped")
    told = s.request.forecast
    assert told is not None and told.why == "dear_alone" and told.chance >= told.chance_least >= 0.99
    assert (s.request.finish_s, s.request.finish_met, s.request.window_s) == (30.0, True, 30.0)
    assert "x-startline-finish-met" not in client.headers, "nobody knew it then"


async def test_with_time_enough_the_cheap_rung_is_asked_and_default_in_time_to_finish(
    clock: MockClock, learning: Make
) -> None:
    s = learning(flex=SILENCE, default=starts(1.0, "default", ends_s=7.0, tokens=600))
    teach(s, flex=40.0, default=100.0)  # 15 s against 6
    await s.call(stream=True, finish_within="60s")
    flex, default = s.story()
    assert flex[:2] == ("flex", 0.0)
    assert 20.0 < default[1] < 40.0, "either could still end by 60 s"
    assert s.request.finish_met is True


async def test_a_start_and_an_end_are_both_kept(clock: MockClock, learning: Make) -> None:
    s = learning(flex=SILENCE, default=starts(1.0, "default", ends_s=7.0, tokens=600))
    teach(s, flex=100.0, default=100.0)
    await s.race(start_within="10s", finish_within="300s")
    launch_s = s.story()[1][1]
    assert 6.3 < launch_s < 6.8, "as without the end, which is far"
    await s.race(start_within="10s", finish_within="14s")
    second = [one for one in s.settled[1].attempts if one.tier_sent == "default"]
    assert second[0].start_s < launch_s - 1.0


async def test_limits_of_the_answer_are_limits_of_its_time(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex"), default=starts(1.0, "default"))
    teach(s, flex=30.0, default=60.0)  # 20 s against 10
    for limit in (None, 60):
        await s.call(stream=True, finish_within="9s", max_completion_tokens=limit)
    whole, capped = (one.request.forecast for one in s.settled)
    assert whole is not None and capped is not None
    assert (whole.why, capped.why != "infeasible") == ("infeasible", True)


async def test_what_cannot_be_met_is_served_by_the_rung_that_is_done_first_and_said(
    clock: MockClock, learning: Make
) -> None:
    s = learning(flex=SILENCE, default=starts(1.0, "default", ends_s=11.0, tokens=600))
    teach(s, flex=10.0, default=60.0)
    client = await s.call(finish_within="5s")
    assert (client.status, client.headers["x-startline-finish-met"]) == (200, "false")
    assert s.story() == [("default", 0.0, "won", 11.0)]
    line = client.headers["x-startline-plan"]
    assert line.startswith("infeasible: default at once; ") and line.endswith(
        " for 99 % to end within 5 s; 1.00 of default"
    )
    told = s.request.forecast
    assert told is not None and (told.why, told.chance_least) == ("infeasible", 0.0) and told.chance < 0.01
    assert (s.request.deadline_met, s.request.finish_met) == (True, False), "it began in time"


async def test_answers_that_get_longer_move_the_plan(clock: MockClock, learning: Make) -> None:
    s = learning(flex=SILENCE, default=starts(1.0, "default", ends_s=2.0, tokens=600))
    launches = []
    for tokens in (100, 1200):
        teach(s, flex=60.0, default=60.0, tokens=tokens)
        await trio.sleep(120.0)
        await s.call(stream=True, finish_within="60s")
        launches.append(s.settled[-1].attempts[-1].start_s)
    assert launches[0] > launches[1] + 10.0


async def test_a_decision_by_the_end_holds_until_what_it_follows_from_moves(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", ends_s=5.0), default=SILENCE)
    teach(s, flex=60.0, default=60.0)
    decided = s.gateway.engine._decided
    for limit in (2000, 2010, 2020):
        await s.call(stream=True, finish_within="60s", max_completion_tokens=limit)
    assert len(decided) == 1, "limits that come to the same"
    ((_, before),) = decided.values()
    teach(s, flex=20.0, default=60.0)
    await trio.sleep(120.0)
    await s.call(stream=True, finish_within="60s", max_completion_tokens=2000)
    _, after = list(decided.values())[-1]
    assert after is not before
    assert after.start_s < before.start_s - 5.0


# -- what is said ------------------------------------------------------------------------------------------------------


async def test_a_stream_says_beside_its_cost_whether_it_ended_in_time(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", ends_s=20.0), default=starts(1.0, "default", ends_s=20.0))
    for finish_within, met in (("30s", True), ("15s", False), (None, None)):
        fields: dict[str, Any] = {} if finish_within is None else {"finish_within": finish_within}
        client = await s.race(include_cost=True, start_within="12s", **fields)
        (cost,) = [line for line in client.body.split(b"\n") if b"cost_usd" in line]
        told = msgspec.json.decode(cost.removeprefix(b"data: "))
        (facts,) = [value for value in told.values() if isinstance(value, dict) and "cost_usd" in value]
        assert facts.get("finish_met") is met
        assert s.settled[-1].request.finish_met is met


async def test_a_failure_misses_the_end_unless_it_is_the_callers(clock: MockClock, learning: Make) -> None:
    s = learning(flex=refuses(0.5, 500, "server_error"), default=refuses(0.5, 500, "server_error"))
    await s.race(finish_within="20s")
    assert s.settled[-1].request.finish_met is False
    s.provider._scripts = {"flex": [refuses(0.5, 400, "bad")], "default": [refuses(0.5, 400, "bad")]}
    await s.race(finish_within="20s")
    assert s.settled[-1].request.finish_met is None


async def test_a_client_that_waited_in_vain_to_the_end_was_missed(clock: MockClock, learning: Make) -> None:
    s = learning(flex=starts(1.0, "flex", ends_s=60.0), default=SILENCE)
    await s.race(at(16.0, lambda call, client: call.leave("client_gone")), start_within="10s", finish_within="15s")
    assert s.request.finish_met is False
