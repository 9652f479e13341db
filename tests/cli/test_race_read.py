"""Reading the recorded races for a command: in their order, and with a bar on a terminal alone."""

import io
import sys

import pytest

from appliance.cli.output import waiting
from appliance.cli.place import Place
from appliance.cli.race_read import read_races
from tests.cli.races import SINCE_UNIX_S, with_races
from tests.cli.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_races_come_in_the_order_of_time(terminal: Terminal) -> None:
    folder = with_races(terminal, 80)
    found = read_races(Place(folder), last=70, since=None, until=None, model=None, organisation=None)
    assert len(found) == 70
    assert [race.at_unix_s for race in found] == sorted(race.at_unix_s for race in found)
    assert found[0].at_unix_s > SINCE_UNIX_S
    assert {race.chance for race in found} == {0.992}


def test_a_bar_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for screen in (Screen(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", screen)
        with waiting(3, "playing") as step:
            for _ in range(3):
                step()
        assert ("playing" in screen.getvalue()) == screen.isatty()
