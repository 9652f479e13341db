"""Worlds as data: distributions, files, and mistakes that are told."""

from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator.world import Behaviour, Lognormal, Model, Uniform, World, draw, load

TOML = """
name = "mine"
[models."gpt-x"]
about = "a test"
[models."gpt-x".tiers.default]
start = 0.5
[models."gpt-x".tiers.flex]
start = {kind = "lognormal", median = 8.0, sigma = 1.0}
output_tokens = [3, 5]
refusal_rate = 0.1
stall_s = inf
script = ["start=1", "refuse=flex_unavailable"]
[models."gpt-x".tiers.priority]
start = {kind = "uniform", low = 0.1, high = 0.2}
"""


def test_a_world_is_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text(TOML)
    world = load(file)
    tiers = world.models["gpt-x"].tiers
    assert (world.name, tiers["default"].start) == ("mine", 0.5)
    assert tiers["flex"].start == Lognormal(8.0, 1.0)
    assert tiers["flex"].output_tokens == [3, 5]
    assert tiers["priority"].start == Uniform(0.1, 0.2)


@pytest.mark.parametrize(
    "line",
    ["start = -1", "refusal_rate = 1.5", "odd = 1", "start = []", 'start = {kind = "lognormal", median = 0}'],
)
def test_a_mistake_in_a_world_is_told_with_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "world.toml"
    file.write_text(f"[models.m.tiers.flex]\n{line}\n")
    with pytest.raises(msgspec.ValidationError, match=r"models|tiers"):
        load(file)


def test_a_list_is_played_in_order_over_and_over() -> None:
    assert [draw([1.0, 2.0, 3.0], Random(0), ordinal) for ordinal in range(5)] == [1, 2, 3, 1, 2]


def test_a_number_is_that_number() -> None:
    assert draw(0.7, Random(0), 5) == 0.7


@given(st.integers(), st.floats(0, 100), st.floats(0, 100))
def test_uniform_stays_within_its_bounds(seed: int, low: float, more: float) -> None:
    assert low <= draw(Uniform(low, low + more), Random(seed), 0) <= low + more


def test_half_of_a_lognormal_is_below_its_median() -> None:
    rng = Random(3)
    below = sum(draw(Lognormal(4.0, 0.9), rng, 0) < 4.0 for _ in range(4000))
    assert 1800 < below < 2200


def test_a_star_stands_for_every_other_model() -> None:
    named, other = Model(about="named"), Model(about="other")
    world = World(models={"a": named, "*": other})
    assert world.find("a", "openai") == ("a", named)
    assert world.find("b", "openai") == ("*", other)
    assert World(models={"a": named}).find("b", "openai") is None


def test_a_behaviour_is_healthy_by_default() -> None:
    rates = [getattr(Behaviour(), name) for name in Behaviour.__struct_fields__ if name.endswith("_rate")]
    assert rates
    assert not any(rates)


def test_a_model_of_one_provider_is_no_other_s() -> None:
    ours, all_s = Model(family="anthropic"), Model()
    world = World(models={"a": ours, "b": all_s, "*": Model(family="gemini")})
    assert world.find("a", "anthropic") == ("a", ours)
    assert world.find("a", "openai") is None
    assert world.names("openai") == ["b"]
    assert world.names("gemini") == ["b"]
