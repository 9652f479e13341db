"""Overrides: short forms, tiers, values, and mistakes that are told."""

import pytest

from appliance.simulator.override import BadOverride, parse, split_model
from appliance.simulator.world import Behaviour

BASE = Behaviour(start=9.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", BASE),
        ("start=2", Behaviour(start=2.0)),
        ("start=2.5, tokens=3", Behaviour(start=2.5, output_tokens=3)),
        ("refuse", Behaviour(start=9, refusal_rate=1, refusal="flex_unavailable")),
        ("refuse=overloaded", Behaviour(start=9, refusal_rate=1, refusal="overloaded")),
        ("cut=4", Behaviour(start=9, cut_rate=1, cut_after_tokens=4)),
        ("reset=4", Behaviour(start=9, cut_rate=1, cut_after_tokens=4, cut_reset=True)),
        ("stall=2,stall_s=1", Behaviour(start=9, stall_rate=1, stall_after_tokens=2, stall_s=1)),
        ("error", Behaviour(start=9, error_rate=1, error_after_tokens=0)),
        ("never", Behaviour(start=9, never_rate=1)),
        ("downgrade", Behaviour(start=9, downgrade_rate=1)),
        ("decline", Behaviour(start=9, decline_rate=1)),
        ("early=true,echo=1", Behaviour(start=9, early=True, echo=True)),
        ("text=a%2Cb%3D%20c", Behaviour(start=9, text="a,b= c")),
        ("flex.start=1,default.start=2", Behaviour(start=1)),
        ("default.refuse=overloaded", BASE),
    ],
)
def test_what_a_text_changes_for_flex(text: str, expected: Behaviour) -> None:
    assert parse(text, "flex").apply(BASE) == expected


def test_id_and_mark_are_not_behaviour() -> None:
    override = parse("id=abc,mark=one,start=1", "flex")
    assert (override.id, override.mark, override.apply(BASE).start) == ("abc", "one", 1)


@pytest.mark.parametrize(
    "text", ["strat=1", "start=soon", "start=-1", "gold.start=1", "cut=-2", "cut_rate=2", "script=a"]
)
def test_mistakes_are_told(text: str) -> None:
    with pytest.raises(BadOverride):
        parse(text, "flex").apply(BASE)


def test_a_model_s_name_may_carry_one() -> None:
    assert split_model("gpt-x@sim:start=1,cut=2") == ("gpt-x", "start=1,cut=2")
    assert split_model("gpt-x@2026") == ("gpt-x@2026", "")
