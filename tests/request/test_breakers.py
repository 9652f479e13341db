"""Breakers in a gateway on virtual time: who is spared, who probes, what the caller, the record and the metrics say."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from appliance.domain.catalog import Rung
from appliance.policy.health import IDLE_S
from tests.request.stage import (
    SILENCE,
    Client,
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
    whole,
)

Make = Callable[..., Stage]

FAILS = refuses(0.0, 500, "server_error")
GOOD = starts(0.0, "default")
CUT: list[Step] = [(0.0, head() + chunk(role("flex")) + chunk(delta("flex", {"content": "a"}))), (0.0, "close")]
TWICE = {"breaker_failures": 2, "breaker_pause_s": 5.0}


def states(made: Stage) -> list[tuple[str, str, str]]:
    return [(one.model, one.tier, one.state) for one in made.gateway.breakers.shown(trio.current_time())]


async def ask(made: Stage, **fields: Any) -> Client:
    """One call, the records of those before it left aside."""
    made.settled.clear()
    made.ledger.settled.clear()
    made.ledger.begun.clear()
    return await made.call(**{"stream": True} | fields)


async def test_an_open_breaker_is_told_at_once_and_closes_by_a_probe(clock: MockClock, stage: Make) -> None:
    made = stage(default=[FAILS, FAILS, FAILS, GOOD], settings=TWICE)
    for _ in range(2):
        assert (await ask(made)).status == 500
    assert states(made) == [("gpt-5.4", "default", "open")]
    client = await ask(made)
    assert (client.status, client.headers["retry-after"]) == (503, "5")
    assert client.error["code"] == "breaker_open" and client.error["type"] == "server_error"
    block = client.error["startline"]
    assert (block["origin"], block["provider"], block["retryable"]) == ("startline", "sim", True)
    assert client.headers["x-startline-race"] == "default skipped"
    assert (made.request.error_code, made.request.provider, made.request.status) == ("breaker_open", "sim", 503)
    assert made.attempts == () and len(made.provider.asked) == 2
    await trio.sleep(5)
    assert (await ask(made)).status == 500  # the probe fails: ten seconds more
    await trio.sleep(9)
    assert (await ask(made)).error["code"] == "breaker_open"
    await trio.sleep(1)
    assert (await ask(made)).text == "Hello"
    assert states(made) == [] and made.gateway.breakers.counts(trio.current_time()) == {}
    assert made.gateway.breakers.skipped == {("sim", "default"): 2}


async def test_a_race_goes_round_an_open_cheap_rung(clock: MockClock, stage: Make) -> None:
    made = stage(flex=FAILS, default=GOOD, settings=TWICE)
    for _ in range(2):
        assert (await ask(made, start_within="10s")).headers["x-startline-reason"] == "flex_upstream_error"
    client = await ask(made, start_within="10s")
    assert client.headers["x-startline-reason"] == "flex_breaker_open" == made.request.reason
    assert client.headers["x-startline-race"].startswith("flex skipped, default@0.000 won@0.000; ")
    assert client.headers["x-startline-deadline-met"] == "true" and client.text == "Hello"
    assert made.request.window_s == 10.0
    assert (await ask(made, service_tier="flex")).error["code"] == "breaker_open"


async def test_a_race_goes_on_without_an_open_dear_rung(clock: MockClock, stage: Make) -> None:
    made = stage(flex=starts(8.0, "flex"), default=FAILS, priority=starts(0.0, "priority"), settings=TWICE)
    for _ in range(2):
        await ask(made)
    client = await ask(made, start_within="10s")
    assert (client.headers["x-startline-reason"], client.began_s) == ("flex_won", 8.0)
    assert client.headers["x-startline-race"].startswith("default skipped, flex@0.000 won@8.000; ")
    assert len(made.provider.asked) == 3


async def test_priority_takes_the_place_of_an_open_default(clock: MockClock, stage: Make) -> None:
    made = stage(flex=SILENCE, default=FAILS, priority=starts(0.0, "priority"), settings=TWICE, key={"priority": True})
    for _ in range(2):
        await ask(made)
    client = await ask(made, start_within="10s")
    happened = "default skipped, flex@0.000 lost@5.000, priority@5.000 won@5.000; "
    assert client.headers["x-startline-race"].startswith(happened)


async def test_what_cannot_be_raced_is_refused_if_default_is_open(clock: MockClock, stage: Make) -> None:
    made = stage(flex=GOOD, default=FAILS, settings=TWICE)
    for _ in range(2):
        await ask(made)
    client = await ask(made, start_within="10s", store=True, stream=False)
    assert client.error["code"] == "breaker_open"


async def test_all_rungs_open_names_the_least_wait(clock: MockClock, stage: Make) -> None:
    made = stage(flex=FAILS, default=FAILS, settings=TWICE)
    await ask(made, service_tier="flex")
    await ask(made, service_tier="flex")
    await trio.sleep(3)
    await ask(made)
    await ask(made)
    client = await ask(made, start_within="10s")
    assert (client.status, client.headers["retry-after"]) == (503, "2")
    assert client.headers["x-startline-race"] == "flex skipped, default skipped"
    assert made.gateway.slots.taken("org_test") == 0


async def test_one_probe_at_a_time_and_a_client_that_leaves_makes_room(clock: MockClock, stage: Make) -> None:
    made = stage(default=[FAILS, FAILS, SILENCE, GOOD], settings=TWICE)
    for _ in range(2):
        await ask(made)
    await trio.sleep(5)
    call, client = made.prepare({"stream": True})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run, call)
        await trio.testing.wait_all_tasks_blocked()
        other, refused = made.prepare({"stream": True})
        await made.run(other)
        assert (refused.error["code"], refused.headers["retry-after"]) == ("breaker_open", "1")
        client.gone = True
        call.leave("client_gone")
    assert states(made) == [("gpt-5.4", "default", "half_open")]
    third, served = made.prepare({"stream": True})
    await made.run(third)
    assert served.text == "Hello" and states(made) == []


async def test_a_rung_that_opens_while_a_race_waits_for_it_is_not_asked(clock: MockClock, stage: Make) -> None:
    made = stage(flex=starts(8.0, "flex"), default=FAILS, settings=TWICE)

    def fails(*_: object) -> None:
        for _again in range(2):
            other, _client = made.prepare({"stream": True})
            other.request_id = "req_other"
            made.nursery.start_soon(made.run, other)

    call, client = made.prepare({"stream": True, "start_within": "10s"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(at(2.0, fails), call, client)
        await made.run(call)
    assert client.headers["x-startline-race"].startswith("flex@0.000 won@8.000, default@5.000 failed@5.000; ")
    mine = next(one for one in made.settled if one.request.request_id == call.request_id)
    assert [one.error_code for one in mine.attempts] == [None, "breaker_open"]
    assert [one.cost_state for one in mine.attempts][1] == "not_charged"
    assert len(made.provider.asked) == 3


@pytest.mark.parametrize(
    "script",
    [
        refuses(0.0, 429, "insufficient_quota"),
        refuses(0.0, 400, "invalid_request"),
        refuses(0.0, 401, "invalid_api_key"),
        refuses(0.0, 503, "server_is_overloaded"),
    ],
)
async def test_what_is_no_failure_opens_nothing(clock: MockClock, stage: Make, script: list[Step]) -> None:
    made = stage(default=script, settings=TWICE)
    for _ in range(6):
        await ask(made)
    assert len(made.provider.asked) == 6 and states(made) == []


async def test_refusals_for_capacity_open_it_when_they_last(clock: MockClock, stage: Make) -> None:
    made = stage(flex=refuses(0.0, 429, "resource_unavailable"), settings=TWICE)
    for _ in range(20):
        assert states(made) == []
        await ask(made, service_tier="flex")
        await trio.sleep(2)
    assert states(made) == [("gpt-5.4", "flex", "open")]


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_that_begin_and_break_open_it(clock: MockClock, stage: Make, stream: bool) -> None:
    garbage = whole(0.0, {"error": {"message": "no", "code": "server_error"}})
    made = stage(default=CUT if stream else garbage, settings=TWICE)
    for _ in range(2):
        assert "breaker" not in (await ask(made, stream=stream)).error["code"]
    assert (await ask(made, stream=stream)).error["code"] == "breaker_open"


async def test_silence_counts_and_a_client_that_leaves_does_not(clock: MockClock, stage: Make) -> None:
    made = stage(default=SILENCE, settings=TWICE | {"first_content_timeout_s": 30.0})
    for _ in range(3):
        await made.call(leaves(20.0), stream=True)
    assert states(made) == []
    for _ in range(2):
        assert (await ask(made)).error["code"] == "provider_too_slow"
    assert states(made) == [("gpt-5.4", "default", "open")]


async def test_silence_within_an_answer_counts(clock: MockClock, stage: Make) -> None:
    silent: list[Step] = [(0.0, head() + chunk(role("default")) + chunk(delta("default", {"content": "a"})))]
    made = stage(default=silent, settings=TWICE | {"idle_timeout_s": 30.0})
    for _ in range(2):
        await ask(made)
    assert states(made) == [("gpt-5.4", "default", "open")]


async def test_a_probe_closes_it_when_its_stream_begins_and_not_when_it_ends(clock: MockClock, stage: Make) -> None:
    made = stage(default=[FAILS, FAILS, starts(0.0, "default", ends_s=60.0), FAILS], settings=TWICE)
    for _ in range(2):
        await ask(made)
    await trio.sleep(5)
    call, _client = made.prepare({"stream": True})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run, call)
        await trio.testing.wait_all_tasks_blocked()
        assert states(made) == []
        other, failed = made.prepare({"stream": True})
        await made.run(other)
        assert failed.status == 500
        assert states(made) == [("gpt-5.4", "default", "open")], "on probation one failure is enough"


async def test_switched_off_every_request_is_sent(clock: MockClock, stage: Make) -> None:
    made = stage(default=FAILS, settings={"breaker_failures": 0})
    for _ in range(12):
        assert (await ask(made)).status == 500
    assert made.gateway.breakers.suspects == {}


async def test_models_that_nobody_lists_share_one_breaker(clock: MockClock, stage: Make) -> None:
    """Their names are strangers' texts, and there is no end of them."""
    made = stage(default=FAILS, settings=TWICE, provider={"models": None})
    for name in ("one", "two"):
        await ask(made, model=name)
    assert states(made) == [("", "default", "open")]
    assert (await ask(made, model="three")).error["code"] == "breaker_open"


async def test_what_is_well_or_never_asked_again_is_forgotten(clock: MockClock, stage: Make) -> None:
    made = stage(default=[FAILS, GOOD, FAILS, FAILS, FAILS], settings=TWICE)
    await ask(made)
    await ask(made)
    await trio.sleep(2)
    assert made.gateway.breakers.suspects == {}
    for _ in range(2):
        await ask(made)
    assert len(made.gateway.breakers.suspects) == 1
    await trio.sleep(IDLE_S + 10)
    assert made.gateway.breakers.suspects == {}


async def test_the_log_names_the_rung_and_never_the_model_or_a_message(clock: MockClock, stage: Make) -> None:
    made = stage(default=[FAILS, FAILS, GOOD], settings=TWICE)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            await ask(made)
        await trio.sleep(5)
        await ask(made)
    assert [(line["event"], line["provider"], line["tier"]) for line in lines] == [
        ("breaker_opened", "sim", "default"),
        ("breaker_closed", "sim", "default"),
    ]
    assert (lines[0]["code"], lines[0]["pause_s"]) == ("provider_error", 5.0)


async def test_a_rung_without_a_breaker_is_usable(clock: MockClock, stage: Make) -> None:
    made = stage(default=GOOD)
    (provider,) = made.directory.providers("org_test")
    rungs = (Rung("sim", "gpt-5.4", "flex"), Rung("sim", "gpt-5.4", None))
    assert made.gateway.breakers.usable(provider, rungs, 0.0) == rungs
