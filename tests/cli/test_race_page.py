"""The page of the report: one file, nothing from outside, every picture drawn, text of others escaped."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec

from appliance.cli.race_page import race_page
from appliance.evaluation.setting import Setting
from appliance.evaluation.world import draws
from appliance.policy.calibration import report
from appliance.policy.recorded import Raced
from tests.evaluation.recording import recorded
from tests.evaluation.test_world import world


def races(count: int = 200) -> list[Raced]:
    found, _ = recorded(draws(world("queueing"), 1, count), Setting(30.0, 0.99, 0.5, 0.5))
    return [
        msgspec.structs.replace(race, chance=0.9 + 0.099 * (nth % 2), chance_least=0.9)
        for nth, race in enumerate(found)
    ]


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "onload")]


def test_one_file_and_nothing_from_outside() -> None:
    page, reader = race_page(report(races())), Reader()
    reader.feed(page)
    assert reader.outside == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "@import" not in page and "url(" not in page
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}


def test_each_picture_is_whole() -> None:
    pictures = re.findall(r"<svg.*?</svg>", race_page(report(races())), re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        ElementTree.fromstring(picture)
    assert pictures[0].count("<circle") == 24
    assert pictures[2].count("<circle") == 2


def test_a_forecast_that_does_not_hold_stands_out() -> None:
    page = race_page(report([msgspec.structs.replace(race, chance=0.6, chance_least=0.5) for race in races()]))
    assert 'class="no">NO<' in page
    assert "does not hold" in page
    assert "No forecast is recorded" in race_page(report([msgspec.structs.replace(r, chance=None) for r in races(30)]))


def test_names_of_others_are_escaped() -> None:
    page = race_page(report([msgspec.structs.replace(race, model="<script>alert(1)</script>") for race in races(30)]))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_single_race_and_an_unpriced_one_have_a_page() -> None:
    (one,) = races(1)
    assert "<svg" in race_page(report([msgspec.structs.replace(one, nanos=None, met=None)]))
