"""The table: numbers, ratios, which columns are shown, and what goes to JSON."""

import pytest

from tests.bench.figures import Budget
from tests.bench.table import Line, number, ratio, render


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (53545.4, "53,545"),
        (250.0, "250"),
        (18.74, "18.7"),
        (2.5, "2.50"),
        (0.1254, "0.125"),
        (-0.5, "-0.500"),
    ],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("ours", "theirs", "found"), [(3.0, 4.0, 0.75), (None, 4.0, None), (3.0, None, None), (3.0, 0.0, None)]
)
def test_ratio_needs_both(ours: float | None, theirs: float | None, found: float | None) -> None:
    assert ratio(ours, theirs) == found


def test_a_line_is_judged_by_its_judged_figure() -> None:
    line = Line("events", "us", 40.0, 14.0, judged=ratio(40.0, 14.0), budget=Budget(4.0, 2.5))
    assert line.verdict == "floor met"
    assert line.as_json()["floor"] == 4.0
    assert line.as_json()["relay"] is None


def test_what_has_no_budget_is_not_judged_and_what_was_not_measured_does_not_pass() -> None:
    assert Line("rate", "req/s", 1.0).verdict == "not judged"
    assert Line("start", "s", None, budget=Budget(2.0, 0.7)).verdict == "not run"


def test_columns_without_figures_are_left_out_and_the_others_align() -> None:
    text = render([Line("rate", "req/s", 9000.0, 61000.0), Line("CPU of a request", "us", 105.0, 16.5)])
    heading, rule, first, second = text.splitlines()
    assert heading.split() == ["unit", "gateway", "nginx"]
    assert set(rule) == {"-"}
    assert first.split() == ["rate", "req/s", "9,000", "61,000"]
    assert second.endswith("16.5")
    assert len(first) == len(second) == len(heading)


def test_a_verdict_stands_in_its_line() -> None:
    text = render([Line("loser closed", "ms", 30.0, judged=30.0, budget=Budget(20.0, 5.0), note="64 races")])
    assert text.splitlines()[2].split() == "loser closed ms 30.0 30.0 20.0 5.00 NOT MET 64 races".split()


def test_a_table_of_nothing_says_so() -> None:
    assert render([]) == "nothing was measured"
