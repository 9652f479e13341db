"""A chain of providers for one model: a pin, fallbacks, and a race at the first alone."""

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from appliance.domain.profile import Profile
from tests.request.stage import MODEL, SECRET, SILENCE, Stage, refuses, starts, whole

Make = Callable[..., Stage]
OTHER = "sk-of-the-other"
THIRD = "sk-of-the-third"
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "choices": [],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}


def three(stage: Make, **scripts: Any) -> Stage:
    """`sim` has flex, default and priority, `other` on_demand, `third` standard: so each has a script of its own."""
    s = stage(scripts=scripts)
    s.directory.with_provider("other", OTHER, base_url="http://other.test/v1", models=(MODEL,), tiers=("on_demand",))
    s.directory.with_provider("third", THIRD, base_url="http://third.test/v1", models=("x",), tiers=("standard",))
    return s


async def test_a_tier_that_is_asked_for_by_a_header(clock: MockClock, stage: Make) -> None:
    profile = Profile("By header", "http://header.test/v1", tier_headers={"flex": ("X-Shared-Type", "flex")})
    s = stage(scripts={None: whole(0.0, COMPLETION)}, profiles={"by-header": profile})
    s.directory.with_provider(
        "header", OTHER, base_url="http://header.test/v1", models=("m",), tiers=("flex", "default"), profile="by-header"
    )
    for tier, lines in (("flex", [b"x-shared-type: flex"]), ("default", [])):
        s.provider.asked.clear()
        await s.call(model="header/m", start_within=tier)
        (asked,) = s.provider.asked
        assert [line for line in asked.head.split(b"\r\n") if line.startswith(b"x-shared-type")] == lines
        assert "service_tier" not in asked.body
        assert s.settled[-1].request.tier_sent == tier


async def test_a_pin_is_asked_alone(clock: MockClock, stage: Make) -> None:
    s = three(stage, on_demand=refuses(0.0, 500, "server_error"))
    client = await s.call(provider=["other"])
    assert client.status == 500
    assert client.headers["x-startline-provider"] == "other"
    (asked,) = s.provider.asked
    assert b"authorization: Bearer " + OTHER.encode() in asked.head
    assert "provider" not in asked.body
    assert (s.request.provider, s.request.model_dispatched) == ("other", MODEL)


@pytest.mark.parametrize(
    "lost", [refuses(1.0, 503, "overloaded"), refuses(1.0, 500, "server_error"), refuses(1.0, 401, "invalid_api_key")]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_is_asked_when_the_first_is_lost(
    clock: MockClock, stage: Make, lost: Any, stream: bool
) -> None:
    serves = starts(1.0, "on_demand") if stream else whole(1.0, COMPLETION)
    s = three(stage, default=lost, on_demand=serves)
    client = await s.call(provider=["sim", "other"], stream=stream)
    assert client.status == 200
    assert (client.headers["x-startline-provider"], client.headers["x-startline-reason"]) == ("other", "chain_advanced")
    assert [asked.at_s for asked in s.provider.asked] == [0.0, 1.0]
    credentials = [line for asked in s.provider.asked for line in asked.head.split(b"\r\n") if b"Bearer" in line]
    assert credentials == [b"authorization: Bearer " + key.encode() for key in (SECRET, OTHER)]
    assert [asked.body["stream"] for asked in s.provider.asked] == [stream, stream], "nothing is streamed needlessly"
    assert (s.request.provider, s.request.reason) == ("other", "chain_advanced")
    assert [attempt.provider for attempt in s.attempts] == ["sim", "other"]


async def test_the_callers_fault_is_the_same_everywhere(clock: MockClock, stage: Make) -> None:
    s = three(stage, default=refuses(1.0, 400, "invalid_request_error"))
    client = await s.call(provider=["sim", "other"])
    assert client.status == 400
    assert len(s.provider.asked) == 1


async def test_a_model_that_one_has_not_another_may_have(clock: MockClock, stage: Make) -> None:
    s = three(stage, default=refuses(1.0, 404, "model_not_found"), on_demand=whole(0.0, COMPLETION))
    assert (await s.call(provider=["sim", "other"])).status == 200


async def test_only_the_first_is_raced(clock: MockClock, stage: Make) -> None:
    s = three(stage, flex=SILENCE, default=starts(1.0, "default"), on_demand=SILENCE)
    client = await s.race(provider=["sim", "other"])
    assert client.headers["x-startline-reason"] == "flex_deadline"
    assert [asked.tier for asked in s.provider.asked] == ["flex", "default"]


async def test_when_all_tiers_of_the_first_are_lost_the_chain_advances(clock: MockClock, stage: Make) -> None:
    refusal = refuses(1.0, 503, "overloaded")
    s = three(stage, flex=refusal, default=refusal, on_demand=starts(0.5, "on_demand"))
    client = await s.race(provider=["sim", "other"])
    assert client.headers["x-startline-reason"] == "chain_advanced"
    assert [(asked.tier, asked.at_s) for asked in s.provider.asked] == [("flex", 0), ("default", 1), ("on_demand", 2)]
    assert s.request.deadline_met


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        (["nobody"], "invalid_provider_chain"),
        ([], "invalid_provider_chain"),
        (["sim", "third"], "provider_model_mismatch"),
        (["other"], "flex_unsupported_for_other"),
    ],
)
async def test_what_is_no_chain(clock: MockClock, stage: Make, chain: list[str], code: str) -> None:
    s = three(stage)
    client = await s.race(provider=chain)
    assert (client.status, client.error["code"]) == (400, code)
    assert s.provider.asked == []


async def test_a_fallback_needs_no_cheap_tier(clock: MockClock, stage: Make) -> None:
    s = three(stage, flex=starts(0.5, "flex"))
    client = await s.race(provider=["sim", "other"], model=f"sim/{MODEL}")
    assert client.headers["x-startline-reason"] == "flex_won"


async def test_an_object_is_somebody_elses_field(clock: MockClock, stage: Make) -> None:
    s = three(stage, default=whole(0.0, COMPLETION))
    await s.call(provider={"order": ["a"]})
    assert s.provider.asked[0].body["provider"] == {"order": ["a"]}


async def test_an_alias_is_dispatched_by_what_it_stands_for(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(0.0, COMPLETION), settings={"model_aliases": {"house": f"sim/{MODEL}"}})
    assert (await s.call(model="house")).status == 200
    assert s.provider.asked[0].body["model"] == MODEL
    assert (s.request.model_dispatched, s.request.model_asked) == (MODEL, "house")


async def test_a_model_without_a_price_is_refused_where_that_is_set(clock: MockClock, stage: Make) -> None:
    unpriced = {"models": (MODEL, "nameless")}
    s = stage(default=whole(0.0, COMPLETION), provider=unpriced, settings={"unpriced_models": "refuse"})
    assert (await s.call()).status == 200
    refused = await s.call(model="nameless")
    assert (refused.status, refused.error["code"]) == (400, "model_unpriced")
    other = stage(default=whole(0.0, COMPLETION), provider=unpriced)
    assert (await other.call(model="nameless")).status == 200
