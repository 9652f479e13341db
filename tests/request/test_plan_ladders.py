"""Ladders in words: races and chains over providers, models and dialects, and what is told and recorded of them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from appliance.domain.errors import CallerFault
from appliance.policy.latency import Series
from appliance.policy.plan import Plan
from appliance.request.endpoint import EMBEDDINGS, GENERATE, MESSAGES
from tests.request.stage import MODEL, SILENCE, Client, Stage, log_normal_times, refuses, starts, whole
from tests.request.test_answer_anthropic import CLAUDE, PROVIDER, streamed
from tests.request.test_plan import planned

Make = Callable[..., Stage]
LADDER = [f"sim/{MODEL}:flex", f"claude/{CLAUDE}"]


def two(
    stage: Make, key: dict[str, Any] | None = None, provider: dict[str, Any] | None = None, **scripts: Any
) -> Stage:
    """`sim` speaks OpenAI's dialect, with tiers; `claude` Anthropic's, whose default is `standard_only`."""
    s = stage(scripts={"standard_only": streamed(at_s=1.0)} | scripts, key=key, provider=provider)
    s.directory.with_provider("claude", "sk-ant", **(PROVIDER | {"base_url": "http://claude.test/v1"}))
    return s


def told(plan: Plan) -> list[tuple[str, str, str | None, float | None]]:
    return [(one.rung.provider, one.rung.model, one.rung.tier, one.launch_s) for one in plan.rungs]


FLEX, DEFAULT = ("sim", MODEL, "flex"), ("sim", MODEL, "default")
ELSEWHERE = ("claude", CLAUDE, "standard_only")


@pytest.mark.parametrize(
    ("fields", "key", "expected", "hint"),
    [
        # a race over all rungs: the second 5 s before the deadline, the third at it, the others on loss
        ({"ladder": LADDER, "start_within": "30s"}, {}, [(*FLEX, 0.0), (*ELSEWHERE, 25.0)], None),
        (
            {"ladder": [*LADDER, f"sim/{MODEL}:priority", f"sim/{MODEL}"], "start_within": "30s"}, {},
            [(*FLEX, 0.0), (*ELSEWHERE, 25.0), ("sim", MODEL, "priority", 30.0), (*DEFAULT, None)], None,
        ),
        ({"ladder": LADDER, "finish_within": 60}, {}, [(*FLEX, 0.0), (*ELSEWHERE, 55.0)], None),
        # without a deadline a chain
        ({"ladder": LADDER}, {}, [(*FLEX, 0.0), (*ELSEWHERE, None)], "tier_direct"),
        ({"ladder": LADDER, "start_within": "default"}, {}, [(*FLEX, 0.0), (*ELSEWHERE, None)], "tier_direct"),
        # one step alone, and what cannot be raced
        ({"ladder": LADDER[:1], "start_within": "30s"}, {}, [(*FLEX, 0.0)], "not_raced"),
        (
            {"ladder": LADDER, "start_within": "30s", "modalities": ["audio"]}, {},
            [(*ELSEWHERE, 0.0), (*FLEX, None)], "not_raced",
        ),
        # of the key, where the request says nothing of it
        ({"start_within": "30s"}, {"ladder": LADDER}, [(*FLEX, 0.0), (*ELSEWHERE, 25.0)], None),
        ({"start_within": "flex"}, {"ladder": LADDER[1:]}, [(*FLEX, 0.0)], "tier_direct"),
        ({"provider": ["sim"]}, {"ladder": LADDER}, [(*DEFAULT, 0.0)], "tier_direct"),
    ],
)  # fmt: skip
async def test_a_ladder_is_planned(
    clock: MockClock,
    stage: Make,
    fields: dict[str, Any],
    key: dict[str, Any],
    expected: list[tuple[str, str, str | None, float | None]],
    hint: str | None,
) -> None:
    s = two(stage, key=key)
    for _ in range(2):  # the second time from what was kept
        plan = await planned(s, **fields)
        assert (told(plan), plan.reason_hint) == (expected, hint)
        if s.gateway.slots.taken("org_test"):
            s.gateway.slots.give_back("org_test")


async def test_a_ladder_is_nothing_to_embeddings(clock: MockClock, stage: Make) -> None:
    s = two(stage, key={"ladder": LADDER})
    assert told(await planned(s, EMBEDDINGS)) == [("sim", MODEL, None, 0.0)]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("nobody/m", "Step 2: there is no such provider."),
        ("sim/other-model", "Step 2: its provider has no such model."),
        (f"claude/{CLAUDE}:flex", "Step 2: its provider has no cheap tier."),
    ],
)
async def test_a_step_that_cannot_be_asked_is_told(clock: MockClock, stage: Make, step: str, words: str) -> None:
    with pytest.raises(CallerFault) as caught:
        await planned(two(stage), ladder=[LADDER[0], step], start_within="30s")
    assert (caught.value.code, caught.value.status, caught.value.message) == ("invalid_ladder", 400, words)


async def test_a_key_with_a_ladder_makes_a_provider_without_flex_raceable(clock: MockClock, stage: Make) -> None:
    s = two(stage)
    with pytest.raises(CallerFault, match="flex_unsupported_for_claude"):
        await planned(s, model=f"claude/{CLAUDE}", start_within="30s")
    s = two(stage, key={"ladder": LADDER})
    assert len((await planned(s, model=f"claude/{CLAUDE}", start_within="30s")).rungs) == 2


async def test_full_slots_and_open_breakers_leave_the_others(clock: MockClock, stage: Make) -> None:
    s = two(stage)
    s.gateway.slots.take("org_test", 1)
    s.directory.with_organisation(msgspec.structs.replace(s.directory.organisation("org_test"), race_slots=1))
    plan = await planned(s, ladder=[*LADDER, f"sim/{MODEL}"], start_within="30s")
    assert told(plan) == [(*ELSEWHERE, 0.0), (*DEFAULT, None), (*FLEX, None)]
    assert plan.reason_hint == "flex_slots_full"
    s.gateway.slots.give_back("org_test")


@pytest.mark.parametrize("limit", ["slots", "launches", "assembly"])
async def test_where_nothing_is_raced_no_second_cheap_tier_is_left_with_the_deadline(
    clock: MockClock, stage: Make, limit: str
) -> None:
    s = two(stage)
    s.directory.with_provider("other", base_url="http://other.test/v1", models=(MODEL,), tiers=("flex", "default"))
    cheap = ("other", MODEL, "flex")
    fields: dict[str, Any] = {"store": True} if limit == "assembly" else {}
    if limit == "slots":
        s.directory.with_organisation(msgspec.structs.replace(s.directory.organisation("org_test"), race_slots=0))
    elif limit == "launches":
        for _ in range(10_000):
            s.gateway.engine.hedges.take(s.key.key_id, trio.current_time())
    plan = await planned(s, ladder=[f"other/{MODEL}:flex", *LADDER, f"sim/{MODEL}"], start_within="30s", **fields)
    reasons = {"slots": "flex_slots_full", "launches": "hedges_capped", "assembly": "not_raced"}
    assert plan.reason_hint == reasons[limit]
    ladder = [(one.rung.provider, one.rung.model, one.rung.tier) for one in plan.rungs]
    assert [ladder[place] for place in plan.launches()] == [ELSEWHERE, DEFAULT, FLEX, cheap]


@pytest.mark.parametrize(
    ("fields", "expected", "hint"),
    [
        ({}, [(*ELSEWHERE, 0.0), (*DEFAULT, None)], "chain_advanced"),
        ({"start_within": "30s"}, [(*ELSEWHERE, 0.0), (*DEFAULT, 25.0)], None),
        ({"start_within": "30s", "ladder": LADDER}, [(*ELSEWHERE, 0.0)], "flex_breaker_open"),
        ({"start_within": "30s", "ladder": LADDER[::-1]}, [(*ELSEWHERE, 0.0)], "flex_won"),
    ],
)
async def test_a_rung_whose_breaker_is_open_is_left_out(
    clock: MockClock,
    stage: Make,
    fields: dict[str, Any],
    expected: list[tuple[str, str, str | None, float | None]],
    hint: str | None,
) -> None:
    s = stage(
        scripts={"standard_only": streamed(at_s=1.0)}, flex=refuses(0.0, 500, "server_error"),
        settings={"breaker_failures": 1},
    )  # fmt: skip
    s.directory.with_provider("claude", "sk-ant", **(PROVIDER | {"base_url": "http://claude.test/v1"}))
    assert (await s.call(start_within="flex")).status == 500
    plan = await planned(s, **({"ladder": [*LADDER, f"sim/{MODEL}"]} | fields))
    assert (told(plan), plan.reason_hint) == (expected, hint)


async def test_the_engine_decides_over_the_whole_ladder(clock: MockClock, stage: Make) -> None:
    """A cheap rung that is known to be hopeless is left out for one of another provider; it stays the last resort."""
    scripts = {"standard_only": streamed(at_s=0.5)}
    s = stage(scripts=scripts, flex=SILENCE, settings={"reserve_s": {}}, provider={"abort_billing": "full"})
    s.directory.with_provider("claude", "sk-ant", **(PROVIDER | {"base_url": "http://claude.test/v1"}))
    provider, claude = s.directory.providers("org_test")
    model, now_s = s.gateway.engine.model, trio.current_time()
    for _ in range(400):
        for behind in (True, False):
            model.begin(Series(claude.provider_id, CLAUDE, "default", 0, behind), now_s - 0.5).end("started", now_s)
        model.begin(Series(provider.provider_id, MODEL, "flex", 0), now_s - 30.0).end("censored", now_s)
    plan = await planned(s, ladder=LADDER, start_within="10s")
    assert plan.forecast is not None and [rung.provider for rung in plan.forecast.rungs] == ["sim", "claude"]
    assert told(plan) == [(*FLEX, None), (*ELSEWHERE, 0.0)] and plan.reason_hint == "flex_skipped"
    client = await s.race(ladder=LADDER)
    said = "claude standard_only@0.000 won@0.500; the cheap rung would not have paid; a dearer one served at once"
    assert client.headers["x-startline-race"] == said


async def test_a_model_of_ones_own_without_a_price_is_asked_first(clock: MockClock, stage: Make) -> None:
    """A ladder goes from cheap to dear; always-default is the provider's, whose price is known."""
    s = stage(settings={"reserve_s": {}})
    s.teach_usual()
    s.directory.with_provider("own", base_url="http://own.test/v1", models=("llama",))
    (own,) = [one for one in s.directory.providers("org_test") if one.name == "own"]
    model, now_s = s.gateway.engine.model, trio.current_time()
    for took_s in log_normal_times(2.0, 1.0):
        model.begin(Series(own.provider_id, "llama", None), now_s - took_s).end("started", now_s)
    plan = await planned(s, ladder=["own/llama", f"sim/{MODEL}"], start_within="10s")
    assert plan.forecast is not None and plan.forecast.why == "latest_launch"
    (_, first), (_, second) = [(one.rung, one.launch_s) for one in plan.rungs]
    assert first == 0.0 and second is not None and second > 5.0
    assert plan.forecast.cost_nanos is None and plan.forecast.default_nanos is not None


async def test_a_plan_is_compared_with_always_default_whatever_its_second_step_is(
    clock: MockClock, stage: Make
) -> None:
    s = stage(settings={"reserve_s": {}})
    s.directory.with_provider("other", base_url="http://other.test/v1", price_as="openai", models=(MODEL,),
                              tiers=("flex", "default"))  # fmt: skip
    one = await planned(s, ladder=[f"sim/{MODEL}:flex", f"sim/{MODEL}"], start_within="30s")
    two = await planned(s, ladder=[f"other/{MODEL}:flex", f"sim/{MODEL}:flex", f"sim/{MODEL}"], start_within="30s")
    assert one.forecast is not None and two.forecast is not None
    assert one.forecast.default_nanos is not None
    assert one.forecast.default_nanos == pytest.approx(two.forecast.default_nanos, rel=0.05)


# -- what happens ------------------------------------------------------------------------------------------------------


async def test_the_deadline_is_saved_by_another_provider_in_another_dialect(clock: MockClock, stage: Make) -> None:
    s = two(stage, flex=SILENCE)
    client = await s.race(ladder=LADDER)
    assert client.text
    request = s.request
    assert (request.reason, request.provider, request.model_dispatched) == ("flex_deadline", "claude", CLAUDE)
    assert (request.deadline_met, client.began_s, request.target) == (True, 6.0, 0.99)
    assert [(one.provider, one.model, one.tier_sent, one.outcome) for one in s.attempts] == [
        (*FLEX, "lost"), (*ELSEWHERE, "won"),
    ]  # fmt: skip
    assert client.headers["x-startline-provider"] == "claude"
    assert client.headers["x-startline-race"].startswith("sim flex@0.000 lost@6.000, claude standard_only@5.000 won@6")
    assert client.headers["x-startline-translated"] == "anthropic_messages"
    heads = [asked.head.partition(b" HTTP")[0] for asked in s.provider.asked]
    assert heads == [b"POST /v1/chat/completions", b"POST /v1/messages"]
    assert all("ladder" not in asked.body and "start_within" not in asked.body for asked in s.provider.asked)
    assert request.default_nanos is not None, "what Claude alone would have cost"
    assert s.attempts[1].cost_nanos == request.default_nanos


async def test_the_cheap_rung_wins_in_the_callers_own_dialect(clock: MockClock, stage: Make) -> None:
    s = two(stage, flex=starts(2.0, "flex"))
    client = await s.race(ladder=LADDER)
    assert (client.text, s.request.reason, s.request.provider) == ("Hello", "flex_won", "sim")
    assert "x-startline-translated" not in client.headers
    (attempt,) = s.attempts
    assert s.request.default_nanos != attempt.cost_nanos, "always-default is the other provider"


async def test_a_caller_of_the_other_dialect_races_too(clock: MockClock, stage: Make) -> None:
    s = two(stage, provider={"kind": "openai_compatible"}, flex=starts(2.0, "flex"))
    call, client = s.prepare(
        {"model": CLAUDE, "max_tokens": 100, "start_within": "10s", "ladder": LADDER}, endpoint=MESSAGES
    )
    await s.run(call)
    said = client.json()
    assert (said["type"], said["content"][0]["text"], s.request.reason) == ("message", "Hello", "flex_won")


@pytest.mark.parametrize(
    "lost", [refuses(1.0, 503, "overloaded"), refuses(1.0, 500, "server_error"), refuses(1.0, 401, "invalid_api_key")]
)
@pytest.mark.parametrize("window", [{}, {"start_within": "20s"}], ids=["chain", "race"])
async def test_what_one_provider_cannot_another_does_at_once(
    clock: MockClock, stage: Make, lost: Any, window: dict[str, Any]
) -> None:
    s = two(stage, flex=lost)
    client = await s.call(ladder=LADDER, stream=True, **window)
    assert (client.status, s.request.provider, client.began_s) == (200, "claude", 2.0)
    assert s.request.reason in ("chain_advanced", "flex_capacity", "flex_upstream_error")


async def test_a_model_that_is_not_there_ends_no_ladder_with_another_model(clock: MockClock, stage: Make) -> None:
    s = two(
        stage, provider={"models": (MODEL, "gone")}, flex=refuses(1.0, 404, "model_not_found"),
        default=starts(1.0, "default"),
    )  # fmt: skip
    client = await s.race(ladder=["sim/gone:flex", f"sim/{MODEL}"])
    assert (client.text, client.began_s) == ("Hello", 2.0)
    assert [asked.body["model"] for asked in s.provider.asked] == ["gone", MODEL]


async def test_a_first_rung_that_cannot_be_asked_this_is_left_out(clock: MockClock, stage: Make) -> None:
    s = two(stage, default=starts(1.0, "default"))
    ladder = [f"claude/{CLAUDE}", f"sim/{MODEL}"]
    client = await s.race(ladder=ladder, logit_bias={"1": 2})
    assert (client.text, s.request.reason, client.began_s) == ("Hello", "chain_advanced", 1.0)
    assert "claude inexpressible" in client.headers["x-startline-race"]
    alone = await s.race(ladder=ladder[:1], logit_bias={"1": 2})
    assert (alone.status, alone.error["code"]) == (400, "inexpressible")


async def test_two_models_of_gemini_have_two_paths(clock: MockClock, stage: Make) -> None:
    s = two(stage, flex=SILENCE, standard=SILENCE)
    s.directory.with_provider(
        "google", "g", kind="gemini", base_url="http://google.test/v1beta", models=("small", "big"),
        tiers=("flex", "standard"),
    )  # fmt: skip

    async def leave(call: Any, client: Client) -> None:
        await trio.sleep(8.0)
        call.leave("client_gone")

    call, client = s.prepare(
        {"contents": [], "start_within": "10s", "ladder": ["google/small:flex", "google/big"]},
        endpoint=GENERATE, argument="small:generateContent",
    )  # fmt: skip
    s.nursery.start_soon(leave, call, client)
    await s.run(call)
    assert [asked.head.split(b" ")[1].partition(b"?")[0] for asked in s.provider.asked] == [
        b"/v1beta/models/small:streamGenerateContent", b"/v1beta/models/big:streamGenerateContent",
    ]  # fmt: skip


async def test_a_strangers_words_are_not_recorded(clock: MockClock, stage: Make) -> None:
    s = two(stage, provider={"models": None}, flex=refuses(0.0, 404, "no"), default=refuses(0.0, 404, "no"))
    secret = "my-secret-project"
    client = await s.call(model=secret, ladder=[f"sim/{secret}:flex", f"sim/{secret}-2"], stream=True, start_within=10)
    assert client.status == 404
    (settled,), (begun,) = s.settled, s.ledger.begun
    assert secret not in repr(settled) and secret not in repr(begun)
    assert settled.request.forecast is not None
    await s.call(model="@preset/none", stream=True)
    assert "none" not in repr(s.settled[-1].request)


async def test_a_preset_is_recorded_by_its_name(clock: MockClock, stage: Make) -> None:
    s = two(stage, flex=starts(2.0, "flex"))
    s.directory.with_preset("night", ladder=tuple(LADDER), start_within="10s", start_target=0.9, finish_within="60s")
    client = await s.call(model="@preset/night", stream=True)
    assert client.text == "Hello"
    request = s.request
    assert (request.model_asked, request.preset, request.model_dispatched) == ("@preset/night", "night", MODEL)
    assert (request.window_s, request.target, request.finish_s) == (10.0, 0.9, 60.0)
    s.directory.with_preset("plain", model=f"claude/{CLAUDE}")
    answered = s.prepare({"model": "@preset/plain"})
    await s.run(answered[0])
    assert (s.settled[-1].request.model_asked, s.settled[-1].request.provider) == ("@preset/plain", "claude")


async def test_the_body_that_a_preset_was_named_in_is_sent_with_the_model_that_it_means(
    clock: MockClock, stage: Make
) -> None:
    s = two(stage, default=whole(0.0, {"id": "c", "object": "chat.completion", "choices": []}))
    s.directory.with_preset("day", model=MODEL)
    for model in ("@preset/day", f"{MODEL}@preset/day"):
        await s.call(model=model)
        assert s.provider.asked[-1].body["model"] == MODEL
