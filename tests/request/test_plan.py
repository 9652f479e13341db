"""Who is asked, in which order and when."""

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from appliance.domain.catalog import Rung
from appliance.domain.errors import CallerFault
from appliance.policy.plan import Plan
from appliance.request.admit import admit
from appliance.request.endpoint import CHAT, EMBEDDINGS, Endpoint
from appliance.request.work import Work
from appliance.wire import openai_chat
from tests.request.stage import MODEL, Stage

Make = Callable[..., Stage]


async def planned(s: Stage, endpoint: Endpoint = CHAT, **fields: Any) -> Plan:
    call, _ = s.prepare(fields, endpoint=endpoint)
    work = Work(call)
    access = s.gateway.doorkeeper.access(call.key)
    work.admitted = await admit(call, openai_chat, s.gateway.wishes, access, s.settings, s.gateway.bodies)
    return s.gateway.planner.plan(work)


def rungs(plan: Plan) -> list[tuple[str | None, float | None]]:
    return [(one.rung.tier, one.launch_s) for one in plan.rungs]


@pytest.mark.parametrize(
    ("fields", "key", "expected", "hint"),
    [
        ({}, {}, [("default", 0.0)], "tier_direct"),
        ({"start_within": "flex"}, {}, [("flex", 0.0)], "tier_direct"),
        ({"service_tier": "auto"}, {}, [("auto", 0.0)], "tier_direct"),
        ({"service_tier": "scale"}, {}, [("scale", 0.0)], "tier_direct"),
        ({"start_within": "30s"}, {}, [("flex", 0.0), ("default", 25.0)], None),
        ({"start_within": "4s"}, {}, [("flex", 0.0), ("default", 2.0)], None),
        ({"start_within": "30s"}, {"priority": True}, [("flex", 0.0), ("default", 25.0), ("priority", 30.0)], None),
        ({"start_within": "30s", "store": True}, {}, [("default", 0.0)], "not_raced"),
    ],
)
async def test_a_plan(
    clock: MockClock,
    stage: Make,
    fields: dict[str, Any],
    key: dict[str, Any],
    expected: list[tuple[str | None, float | None]],
    hint: str | None,
) -> None:
    s = stage(key=key)
    for _ in range(2):  # the second time from what was kept
        plan = await planned(s, **fields)
        assert (rungs(plan), plan.reason_hint) == (expected, hint)


async def test_reserves_are_those_set(clock: MockClock, stage: Make) -> None:
    s = stage(settings={"reserve_s": {"default": 5.0, f"{MODEL}/default": 9.0}})
    assert rungs(await planned(s, start_within="30s")) == [("flex", 0.0), ("default", 21.0)]


async def test_embeddings_have_no_tier(clock: MockClock, stage: Make) -> None:
    plan = await planned(stage(), EMBEDDINGS, start_within="30s")
    assert plan.rungs[0].rung == Rung("sim", MODEL, None)


async def test_another_tuple_of_providers_is_compiled_anew(clock: MockClock, stage: Make) -> None:
    s = stage()
    before = await planned(s, model="sim/" + MODEL)
    s.directory.with_provider("other", models=("llama",), tiers=())
    assert (await planned(s, model="other/llama")).rungs[0].rung == Rung("other", "llama", None)
    assert before.rungs[0].rung == Rung("sim", MODEL, "default")


async def test_a_target_is_made_once(clock: MockClock, stage: Make) -> None:
    s = stage()
    (provider,) = s.directory.providers("org_test")
    one = s.gateway.planner.target(provider, "openai_chat", b"/chat/completions")
    assert s.gateway.planner.target(provider, "openai_chat", b"/chat/completions") is one
    assert one.start.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nhost: provider.test\r\n")


async def test_a_default_wish_is_no_reason_to_refuse_a_model_without_flex(clock: MockClock, stage: Make) -> None:
    s = stage(key={"start_within": "30s"}, provider={"tiers": ("default", "priority")})
    plan = await planned(s)
    assert rungs(plan) == [("default", 0.0)] and plan.reason_hint == "not_raced" and plan.window_s == 30
    with pytest.raises(CallerFault, match="flex_unsupported"):
        await planned(s, start_within="30s")
