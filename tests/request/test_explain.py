"""What would be done with a request is what is done with it; and asking for it leaves no trace."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from appliance.domain.errors import CallerFault
from appliance.policy.hedges import Bucket
from appliance.request.endpoint import CHAT, EXPLAIN, GENERATE, MESSAGES
from appliance.request.explain import about, dialect_asked
from tests.request.stage import SILENCE, Stage, refuses, starts
from tests.rig import MODEL, chat, running

Make = Callable[..., Stage]


async def explain(s: Stage, query: bytes = b"", **fields: Any) -> Any:
    """The explanation, with the assertion that nothing came of it."""
    before = trace(s)
    call, client = s.prepare({"stream": True} | fields, endpoint=EXPLAIN, query=query)
    await s.run(call)
    assert trace(s) == before
    return client.json() | {"status": client.status}


def trace(s: Stage) -> Any:
    """Everything that a request leaves behind."""
    gateway, engine = s.gateway, s.gateway.engine
    return (
        len(s.provider.asked), len(s.provider.dialled), len(s.settled), len(s.ledger.begun),
        gateway.slots.total, gateway.key_slots.total, gateway.bodies.held_bytes, len(gateway.live),
        dict(gateway.breakers.skipped), dict(engine.watched), engine.hedges.launched, engine.hedges.capped,
        engine.purses.spent_nanos(), engine.model.keep(0.0, 0.0), len(engine._decided),
        engine.answers.known.keep(0.0, 0.0),
    )  # fmt: skip


def rungs(told: Any) -> list[tuple[str, float | None, str]]:
    return [(one["tier"], one["launch_s"], one["word"]) for one in told["rungs"]]


async def test_what_is_told_is_what_is_done(clock: MockClock, learned: Make) -> None:
    s = learned(flex=SILENCE, default=starts(1.0, "default"))
    told = await explain(s, start_within="10s")
    await s.race()
    planned = s.request.forecast
    assert planned is not None and planned.launch_s is not None
    plan = told["plan"]
    assert told["raced"] and plan["word"] == planned.why == "latest_launch"
    assert rungs(told) == [("flex", 0.0, "at_once"), ("default", round(planned.launch_s, 6), "by_time")]
    assert (plan["chance"], plan["chance_least"]) == (round(planned.chance, 6), round(planned.chance_least, 6))
    assert plan["chance_least"] >= 0.99 and plan["says"].startswith("latest launch 6.")
    assert s.story()[1][1] == pytest.approx(planned.launch_s, abs=0.01)
    assert planned.cost_nanos is not None
    assert float(plan["expected_usd"]) == planned.cost_nanos / 1e9 < float(told["always_default_usd"])
    flex, default = told["rungs"]
    assert 0.5 < flex["chance"] == flex["chance_at_once"] < 0.7 and 0.9 < default["chance"] < default["chance_at_once"]
    assert float(flex["expected_usd"]) == pytest.approx(float(default["expected_usd"]) / 2, rel=0.01)
    assert flex["observations"] > 500 and 5 < flex["starts_s"]["p50"] < 10
    (chosen,) = [way for way in told["considered"] if way["chosen"]]
    assert (chosen["first"], chosen["second"]) == (f"sim/{s_model(s)}:flex", f"sim/{s_model(s)}:default")
    assert chosen["meets_target"] and chosen["cost"] < 1


def s_model(s: Stage) -> str:
    (provider,) = s.directory.providers("org_test")
    assert provider.models is not None
    return provider.models[0]


async def test_why_a_cheap_rung_is_left_out(clock: MockClock, learned: Make) -> None:
    s = learned(default=starts(1.0, "default"), provider={"abort_billing": "full"})
    told = await explain(s, start_within="5s")
    assert (told["reason"], told["plan"]["word"], told["raced"]) == ("flex_skipped", "dear_alone", False)
    assert rungs(told) == [("flex", None, "not_worth"), ("default", 0.0, "at_once")]
    race = next(way for way in told["considered"] if way["second"] is not None)
    alone = next(way for way in told["considered"] if way["chosen"])
    assert race["cost"] > alone["cost"] == 1.0


async def test_an_open_breaker_is_told_with_its_pause(clock: MockClock, stage: Make) -> None:
    s = stage(flex=refuses(0.0, 500, "server_error"), default=starts(0.0, "default"))
    for _ in range(5):
        await s.race()
    told = await explain(s, start_within="10s")
    assert (told["reason"], rungs(told)) == (
        "flex_breaker_open",
        [("default", 0.0, "at_once"), ("flex", None, "breaker_open")],
    )
    assert 0 < told["rungs"][1]["asked_again_in_s"] <= 60
    assert told["plan"] is None and float(told["always_default_usd"]) > 0


async def test_what_is_used_up_now_is_told_and_nothing_is_taken(clock: MockClock, learned: Make) -> None:
    s = learned(race_slots=1)
    assert (await explain(s, start_within="10s"))["raced"]
    assert s.gateway.slots.take("org_test", 1)
    told = await explain(s, start_within="10s")
    assert (told["reason"], told["raced"], rungs(told)) == ("flex_slots_full", False, [("default", 0.0, "at_once")])
    s.gateway.slots.give_back("org_test")
    empty = s.gateway.engine.hedges._whole = Bucket(0.0, trio.current_time())
    empty.take(trio.current_time())
    told = await explain(s, start_within="10s")
    assert (told["reason"], told["plan"]["word"]) == ("hedges_capped", "hedges_capped")
    assert not any(way["chosen"] for way in told["considered"])


async def test_what_holds_wherever_it_was_said(clock: MockClock, stage: Make) -> None:
    s = stage(key={"start_within": "20s", "start_target": 0.95})
    asked = (await explain(s))["asked"]
    assert (asked["start_within"], asked["start_target"]) == ("20s", 0.95)
    asked = (await explain(s, finish_within="60s"))["asked"]
    assert asked["finish_within_s"] == 60.0
    told = await explain(s, start_within="default")
    assert (told["asked"]["start_target"], told["plan"], rungs(told)) == (None, None, [("default", 0.0, "at_once")])
    assert told["rungs"][0]["chance"] is None


async def test_what_cannot_be_raced_says_what_forbids_it(clock: MockClock, stage: Make) -> None:
    told = await explain(stage(), start_within="10s", background=True, store=True, modalities=["text", "audio"])
    assert told["reason"] == "not_raced" and told["not_raced_for"] and rungs(told)[0][0] == "default"


async def test_what_would_be_refused_is_refused(clock: MockClock, stage: Make) -> None:
    s = stage()
    for query, fields, code in (
        (b"", {"model": "nobody"}, "model_not_found"),
        (b"", {"start_within": "1ms"}, "invalid_start_within"),
        (b"", {"start_within": "10s", "service_tier": "flex"}, "service_tier_not_allowed"),
        (b"", {"preset": "nobody"}, "preset_not_found"),
        (b"endpoint=embeddings", {}, "bad_request"),
        (b"endpoint=%ff&x", {}, "bad_request"),
        (b"endpoint=generateContent", {}, "missing_model"),
    ):
        told = await explain(s, query, **fields)
        assert told["status"] >= 400 and told["error"]["code"] == code, told


def test_the_query_names_the_call() -> None:
    assert about(b"") == about(b"endpoint=chat.completions") == (CHAT, "")
    assert about(b"endpoint=messages&model=x") == (MESSAGES, "")
    assert about(b"model=a%2Fb&endpoint=streamGenerateContent") == (GENERATE, "a/b:streamGenerateContent")
    for query in (b"endpoint=nothing", b"\xff=1", b"&".join([b"a=1"] * 20)):
        with pytest.raises(CallerFault):
            about(query)
        assert dialect_asked(query) == "openai_chat"
    assert dialect_asked(b"endpoint=messages") == "anthropic_messages"


async def test_over_the_wire_in_every_dialect() -> None:
    contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "start_within": "10s"}
    message = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "start_within": "10s"}
    async with running() as rig:
        async with rig.http() as client:
            for query, body, dialect in (
                ("", chat(start_within="10s"), "openai_chat"),
                ("?endpoint=responses", {"model": MODEL, "input": "hi", "start_within": "10s"}, "openai_responses"),
                ("?endpoint=messages", message, "anthropic_messages"),
                (f"?endpoint=generateContent&model={MODEL}", contents, "gemini_generate"),
            ):
                answer = await client.post(f"/v1/explain{query}", json=body)
                told = answer.json()
                assert answer.status_code == 200 and told["dialect"] == dialect, answer.text
                assert [one["tier"] for one in told["rungs"]] == ["flex", "default"] and told["plan"], answer.text
                assert (told["rungs"][0]["translated_to"] is None) == dialect.startswith("openai")
                slow = await client.post(f"/v1/explain{query}", json=body, headers={"connection": "close"})
                assert slow.json()["asked"] == told["asked"]
            refused = await client.post("/v1/explain?endpoint=messages", json=message | {"start_within": "soon"})
            assert refused.status_code == 400 and refused.json()["type"] == "error", "in the caller's dialect"
            assert (await client.get("/v1/explain")).status_code == 405
            _, narrow = await rig.new_key(models=("other",))
            theirs = {"authorization": f"Bearer {narrow}"}
            assert (await client.post("/v1/explain", json=chat(), headers=theirs)).status_code == 403
            packed = msgspec.json.encode(chat("x" * 100_000, start_within="10s"))
            assert (await client.post("/v1/explain", content=packed)).status_code == 200
        assert rig.settled == [] and list(rig.journal) == []
        assert rig.appliance.gateway.bodies.held_bytes == 0
