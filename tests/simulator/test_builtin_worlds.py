"""The built-in worlds: complete, and usable as a file."""

from pathlib import Path

import msgspec
import pytest

from appliance.simulator.builtin_worlds import BUILT_IN, built_in
from appliance.simulator.faults import FAULTS
from appliance.simulator.world import World, load


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_model_says_what_it_is_for_and_names_known_faults(name: str) -> None:
    world = built_in(name)
    assert world.name == name
    for model in world.models.values():
        assert model.about
        assert "default" in model.tiers
        for behaviour in model.tiers.values():
            assert {behaviour.refusal, behaviour.error} <= FAULTS.keys()


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_can_be_written_down_and_read_again(name: str) -> None:
    world = built_in(name)
    assert msgspec.json.decode(msgspec.json.encode(world), type=World) == world


def test_the_demo_has_a_model_for_each_way_in_which_flex_can_go() -> None:
    flex = {name: model.tiers.get("flex") for name, model in built_in("demo").models.items()}
    assert flex["gpt-4.1"] is None
    assert any(tier is not None and tier.refusal_rate == 1 for tier in flex.values())
    assert any(tier is not None and tier.error_rate == 1 for tier in flex.values())
    assert any(tier is not None and tier.early for tier in flex.values())


def test_unknown_names_are_errors() -> None:
    with pytest.raises(KeyError):
        built_in("none")


def test_the_smallest_world_file_loads(tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    file.write_text("[models.a.tiers.default]\nstart = 1\n")
    assert load(file).models["a"].tiers["default"].start == 1
