"""The page's pictures are what the code draws, and its figures what the code finds: nobody edited them by hand."""

from functools import lru_cache
from xml.etree import ElementTree

import pytest

from appliance.evaluation.illustration import SETTING, Scene, figures, pictures, scene
from appliance.policy.launch import decide
from tests.shape.sources import ROOT

PAGE = ROOT / "appliance/docs/paying-more.md"


@lru_cache(maxsize=1)
def played() -> Scene:
    return scene()


@pytest.mark.parametrize("name", ["one-race.svg", "still-silent.svg"])
def test_the_files_are_what_is_drawn(name: str) -> None:
    drawn = pictures()[name]
    assert (PAGE.parent / name).read_text(encoding="utf-8") == drawn, "run: python packaging/draw-pictures"
    ElementTree.fromstring(drawn)
    assert f"({name})" in PAGE.read_text(encoding="utf-8")


def test_the_page_says_the_figures_that_are_found() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {name: text for name, text in figures(played()).items() if text not in page} == {}


def test_the_race_is_one_that_the_dear_tier_won_in_time() -> None:
    found = played()
    assert SETTING.window_s / 2 < found.launched_s < found.started_s <= SETTING.window_s < 20.1


def test_the_figures_hold_together() -> None:
    """What the page multiplies is what the engine bounds, and its launch the latest that it may plan."""
    found, window_s = played(), SETTING.window_s
    assert decide(found.rungs, window_s, SETTING.target) == found.decision
    missed = found.cheap.late_at(window_s) * found.dear.late_at(window_s - found.decision.launch_s)
    assert missed < found.decision.miss <= 1.0 - SETTING.target
    assert found.decision.cost < 1.0
