"""Drawing a race."""

from typing import Any

import pytest

from appliance.cli.race_view import bars, cost_line, saving


def attempt(tier: str | None, start_s: float, began_s: float | None, end_s: float, outcome: str, **more: Any) -> Any:
    facts = {"tier_sent": tier, "start_s": start_s, "to_start_s": began_s, "end_s": end_s, "outcome": outcome}
    return {"provider_code": None, "error_code": None, "status": None} | facts | more


def test_a_race_is_drawn_to_scale() -> None:
    lost, won = bars({"attempts": [attempt("flex", 0, None, 2.0, "lost"), attempt("default", 1.0, 2.0, 4.0, "won")]})
    assert lost.startswith("flex     " + "─" * 20 + "✕" + " " * 19)
    assert won.startswith("default  " + " " * 10 + "─" * 10 + "●" + "━" * 19)
    assert lost.endswith("asked at 0.000 s, closed at 2.000 s: lost")
    assert won.endswith("asked at 1.000 s, began its answer at 2.000 s: won")


def test_what_a_loser_came_to_that_was_left_running() -> None:
    [line] = bars({"attempts": [attempt("flex", 0, 7.0, 7.0, "detached")]})
    assert line.endswith("asked at 0.000 s, lost, left running, started at 7.000 s")
    [line] = bars({"attempts": [attempt("flex", 0, None, 9.0, "detached")]})
    assert line.endswith("left running, until 9.000 s: no start")


def test_a_refusal_says_why() -> None:
    [line] = bars({"attempts": [attempt(None, 0, None, 0.1, "refused", provider_code="resource_unavailable")]})
    assert line.startswith("no tier ") and line.endswith("refused at 0.100 s (resource_unavailable)")
    [line] = bars({"attempts": [attempt("flex", 0, None, 0, "failed")]})
    assert line.endswith("failed at 0.000 s")
    assert bars({"attempts": []}) == []


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ({"cost_nanos": None, "default_nanos": None, "cost_state": "unknown_price"}, "cost not known (unknown price)"),
        ({"cost_nanos": 500, "default_nanos": None, "cost_state": "estimated"}, "cost $0.0000005 (estimated)"),
        (
            {"cost_nanos": 500, "default_nanos": 1000, "cost_state": "known"},
            "cost $0.0000005; always default $0.0000010: 50 % saved",
        ),
    ],
)
def test_a_cost_that_is_not_known_is_not_zero(request_: dict[str, Any], wanted: str) -> None:
    assert cost_line(request_) == wanted


def test_saving() -> None:
    assert (saving(50, 100), saving(100, 100), saving(113, 100), saving(1, 0)) == (
        "50 % saved",
        "0 % saved",
        "13 % more",
        "–",
    )
