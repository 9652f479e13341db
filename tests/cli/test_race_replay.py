"""`startline race replay`: the sentence, the figures, and what it does not pretend to know."""

import pytest

from appliance.cli.race_replay import sentence
from appliance.evaluation.setting import Setting
from appliance.policy.backtest.bounds import Backtest, Bounds
from appliance.policy.backtest.replay import Wish
from tests.cli.races import with_races
from tests.cli.terminal import Terminal


def found(met: Bounds, cost: Bounds, windows_s: tuple[float, float] = (60.0, 60.0), nanos: int = 100) -> Backtest:
    return Backtest(100, 0, windows_s, 0.99, 0.2, nanos, 200, met, cost, Bounds(0.2, 0.3, 0.4), 0.2, 0.0, 60.0, 119)


MET = Bounds(0.992, 0.994, 0.996)


OF = "met 99.2 to 99.6 % of the deadlines"


@pytest.mark.parametrize(
    ("wish", "told", "text"),
    [
        (
            Wish(20.0),
            found(MET, Bounds(1.11, 1.12, 1.14)),
            f"with 20 s instead of 60 s you would have paid 11 to 14 % more and {OF}",
        ),
        (
            Wish(20.0, 0.9),
            found(MET, Bounds(0.861, 0.9, 0.939)),
            f"with 20 s instead of 60 s and a target of 90 % you would have paid 6 to 14 % less and {OF}",
        ),
        (
            Wish(None, 0.999),
            found(MET, Bounds(0.98, 1.0, 1.013), (20.0, 60.0)),
            f"with a target of 99.9 % you would have paid between 2.0 % less and 1.3 % more and {OF}",
        ),
        (
            Wish(5.0),
            found(Bounds(0.1, 0.1, 0.1), Bounds(1.0, 1.0, 1.0), (20.0, 60.0), 0),
            "with 5 s instead of 20 to 60 s you would have met 10 % of the deadlines; no costs are known",
        ),
    ],
)
def test_the_sentence(wish: Wish, told: Backtest, text: str) -> None:
    assert sentence(told, wish) == text


@pytest.mark.slow
def test_recorded_races_are_played_again(terminal: Terminal) -> None:
    with_races(terminal)
    words = ("race", "replay", "--start-within", "15s", "--target", "95%", "--rounds", "39")
    answer = terminal.json(*words)
    assert (answer["requests"], answer["rounds"], answer["wish"]) == (300, 39, {"window_s": 15.0, "target": 0.95})
    assert 0.9 < answer["met"]["low"] <= answer["met"]["high"] <= 1.0
    told = terminal.run(*words)
    assert told.stdout.startswith("with 15 s instead of 30 s and a target of 95 % you would have paid ")
    assert "300 judged, 0 left out" in told.stdout
    assert "playing" not in told.stderr, "a bar is for terminals"
    assert "Supposed: " in told.stderr
    assert terminal.json(*words) == answer, "the same seed"


@pytest.mark.slow
def test_what_lies_beyond_the_records_is_said(terminal: Terminal) -> None:
    with_races(terminal, 200, Setting(5.0, 0.9, 0.5, 0.5))
    told = terminal.run("race", "replay", "--start-within", "90s", "--rounds", "39")
    assert "Too few cheap attempts were watched beyond" in told.stderr


def test_wrong_usage_and_too_little(terminal: Terminal) -> None:
    with_races(terminal, 40)
    assert "say what would be other" in terminal.run("race", "replay", status=2).stderr
    for words in (("--start-within", "flex"), ("--start-within", "soon"), ("--target", "2"), ("--rounds", "10")):
        terminal.run("race", "replay", *words, status=2)
    assert "fewer than 50" in terminal.run("race", "replay", "--target", "0.9", status=1).stderr
