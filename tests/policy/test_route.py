"""Which provider serves, and which rungs a wish stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import ApplianceFault, CallerFault, Fault
from appliance.domain.ladder import Step
from appliance.domain.tier import StartWithin, Window
from appliance.policy.route import Route, Routing, default_rung, ladder, step_fault

ALL = ("flex", "default", "priority")


def provider(
    name: str, position: int, models: tuple[str, ...] | None = None, tiers: tuple[str, ...] = (), kind: str = "openai"
) -> Provider:
    return Provider(name, "org_1", name, kind, "https://x.example", tiers, models, position=position)  # type: ignore[arg-type]


OPENAI = provider("openai", 1, ("gpt-5.4", "gpt-5.4-mini", "gpt-5.5", "shared"), ALL)
ROUTER = provider("openrouter", 2, ("openai/gpt-oss", "shared", "vendor/thing"), kind="openai_compatible")
LOCAL = provider("local", 3, None, kind="openai_compatible")


@pytest.mark.parametrize(
    ("providers", "asked", "name", "model"),
    [
        ((OPENAI, ROUTER), "gpt-5.4", "openai", "gpt-5.4"),
        ((OPENAI, ROUTER), "openai/gpt-5.4", "openai", "gpt-5.4"),
        ((ROUTER, OPENAI), "shared", "openai", "shared"),  # the operator's order, not the order of the rows
        ((OPENAI, ROUTER), "openrouter/shared", "openrouter", "shared"),
        ((OPENAI, ROUTER), "openai/gpt-oss", "openrouter", "openai/gpt-oss"),  # listed so, though a name comes first
        ((OPENAI, ROUTER), "openrouter/openai/gpt-oss", "openrouter", "openai/gpt-oss"),
        ((ROUTER,), "vendor/thing", "openrouter", "vendor/thing"),
        ((OPENAI, LOCAL), "gpt-5.4", "openai", "gpt-5.4"),
        ((OPENAI, LOCAL), "llama-9", "local", "llama-9"),
        ((OPENAI, LOCAL), "meta/llama-9", "local", "meta/llama-9"),
        ((OPENAI, LOCAL), "local/llama-9", "local", "llama-9"),
        ((OPENAI, LOCAL), "local/meta/llama-9", "local", "meta/llama-9"),
    ],
)
def test_who_serves(providers: tuple[Provider, ...], asked: str, name: str, model: str) -> None:
    found = Routing(providers).find(asked)
    assert (found.provider.name, found.model) == (name, model)


def fault_of(routing: Routing, asked: str) -> Fault:
    with pytest.raises(Fault) as caught:
        routing.find(asked)
    return caught.value


@pytest.mark.parametrize(
    "asked", ["gpt-5.4-mni", "openai/gpt-5.4-mni", "nothing-like-it", "", "openai/", "/", "local/x"]
)
def test_an_unknown_model_is_a_callers_fault(asked: str) -> None:
    fault = fault_of(Routing((OPENAI, ROUTER)), asked)
    assert isinstance(fault, CallerFault)
    assert (fault.code, fault.status, fault.param) == ("model_not_found", 404, "model")


def test_near_ids_are_named_and_only_ids_that_there_are() -> None:
    message = fault_of(Routing((OPENAI, ROUTER)), "gpt-5.4-mni").message
    assert "gpt-5.4-mini" in message
    assert "mni" not in message
    assert message.count(",") <= 2


def test_near_ids_can_be_limited_to_what_the_key_allows() -> None:
    with pytest.raises(CallerFault) as caught:
        Routing((OPENAI,)).find("gpt-5.4-mni", lambda route: route.model == "gpt-5.5")
    assert "gpt-5.4" not in caught.value.message


@given(st.text(min_size=1, max_size=300))
def test_the_callers_text_is_never_echoed(asked: str) -> None:
    routing = Routing((provider("openai", 1, ("zzz-0001", "zzz-0002")),))
    marked = "canary" + asked
    assert "canary" not in fault_of(routing, marked).message


def test_without_providers() -> None:
    assert fault_of(Routing(()), "gpt-5.4").code == "no_provider"
    assert isinstance(fault_of(Routing(()), "gpt-5.4"), ApplianceFault)


def test_of_two_providers_with_one_name_the_first_in_order_serves() -> None:
    first, second = provider("twin", 1, ("a",)), provider("twin", 2, ("a",))
    assert Routing((second, first)).find("twin/a").provider is first


def test_models_are_listed_once() -> None:
    assert [(r.provider.name, r.model) for r in Routing((ROUTER, OPENAI, LOCAL)).models()] == [
        ("openai", "gpt-5.4"),
        ("openai", "gpt-5.4-mini"),
        ("openai", "gpt-5.5"),
        ("openai", "shared"),
        ("openrouter", "openai/gpt-oss"),
        ("openrouter", "vendor/thing"),
    ]


GROQ = provider("groq", 4, None, ("flex", "on_demand"), "openai_compatible")
XAI = provider("xai", 5, None, ("default", "priority"), "openai_compatible")


@pytest.mark.parametrize(
    ("asked", "wish", "priority", "expected"),
    [
        (OPENAI, "default", False, ["default"]),
        (OPENAI, "flex", False, ["flex"]),
        (OPENAI, "priority", False, ["priority"]),  # the key's setting is about climbing, not about asking
        (OPENAI, "auto", False, ["auto"]),
        (OPENAI, Window(30.0), False, ["flex", "default"]),
        (OPENAI, Window(30.0), True, ["flex", "default", "priority"]),
        (GROQ, Window(30.0), True, ["flex", "on_demand"]),  # in the provider's own words
        (GROQ, "default", False, ["on_demand"]),
        (GROQ, "auto", False, [None]),
        (XAI, "priority", False, ["priority"]),
        (LOCAL, "default", False, [None]),
        (LOCAL, "flex", False, [None]),  # no tiers declared: none is sent
        (LOCAL, "priority", False, [None]),
        (LOCAL, "auto", False, [None]),
    ],
)
def test_ladders(asked: Provider, wish: StartWithin, priority: bool, expected: list[str | None]) -> None:
    rungs = ladder(asked, "m", wish, allow_priority=priority)
    assert rungs == tuple(Rung(asked.name, "m", tier) for tier in expected)


def test_other_values_of_service_tier_pass_unchanged_and_alone() -> None:
    assert ladder(OPENAI, "m", "default", service_tier="scale") == (Rung("openai", "m", "scale"),)
    assert ladder(LOCAL, "m", Window(30.0), service_tier="weird") == (Rung("local", "m", "weird"),)


@pytest.mark.parametrize(
    ("asked", "wish", "capable", "code", "status"),
    [
        (LOCAL, Window(30.0), None, "flex_unsupported_for_local", 400),
        (XAI, Window(30.0), None, "flex_unsupported_for_xai", 400),
        (XAI, "flex", None, "flex_unsupported_for_xai", 400),
        (OPENAI, Window(30.0), False, "flex_model_not_capable", 400),
        (OPENAI, "flex", False, "flex_model_not_capable", 400),
        (GROQ, "priority", None, "tier_not_allowed", 400),
    ],
)
def test_wishes_that_cannot_be_met(
    asked: Provider, wish: StartWithin, capable: bool | None, code: str, status: int
) -> None:
    with pytest.raises(CallerFault) as caught:
        ladder(asked, "m", wish, flex_capable=capable)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_the_default_rung_is_asked_for_by_name() -> None:
    assert default_rung(OPENAI, "m") == Rung("openai", "m", "default")
    assert default_rung(LOCAL, "m") == Rung("local", "m", None)


def test_a_step_of_a_ladder_has_its_provider_and_model_by_name() -> None:
    routing = Routing((OPENAI, LOCAL))
    assert routing.step(Step("openai", "gpt-5.4", "flex"), 1) == Route(OPENAI, "gpt-5.4")
    assert routing.step(Step("local", "meta/llama:8b"), 1) == Route(LOCAL, "meta/llama:8b")
    for step, words in ((Step("no", "m"), "no such provider"), (Step("openai", "m"), "no such model")):
        with pytest.raises(CallerFault, match="invalid_ladder") as caught:
            routing.step(step, 3)
        assert caught.value.message.startswith("Step 3:") and words in caught.value.message


def test_what_tells_of_a_provider_stays_its_own_fault() -> None:
    unpriced = CallerFault("model_unpriced")
    assert step_fault(unpriced, 2) is unpriced
    told = step_fault(CallerFault("flex_model_not_capable"), 2)
    assert (told.code, told.message) == ("invalid_ladder", "Step 2: its model has no flex tier.")
