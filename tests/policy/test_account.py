"""The account of a request: the moments of every kind of race in order, each launch with its cause, and the words."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.catalog import Rung
from appliance.domain.record import PLAN_WORDS, AttemptRecord, Forecast, RequestRecord
from appliance.policy.account import EVENTS, LAUNCH_WORDS, moments, percent, plan_line

DOCS = Path(__file__).parents[2] / "appliance" / "docs" / "account.md"
RUNGS = (Rung("sim", "m", "flex"), Rung("sim", "m", "default"))
FORECAST = Forecast(0.99, 0.9923, 0.9904, 0, 1, 6.8, 740, 1000, "latest_launch", 250.0, RUNGS)


def request(**facts: Any) -> RequestRecord:
    usual: dict[str, Any] = {"window_s": 10.0, "total_s": 9.0, "to_start_s": 7.5, "deadline_met": True}
    usual["forecast"] = FORECAST
    return RequestRecord(
        "req_1", "org", "key", 1, "chat.completions", "openai_chat", "m", "m", "sim", None, "10s", "flex", "flex",
        "flex_won", True, 200, **(usual | facts),
    )  # fmt: skip


def attempt(ordinal: int, tier: str, start_s: float, end_s: float, outcome: Any, **facts: Any) -> AttemptRecord:
    return AttemptRecord("req_1", ordinal, "sim", "", "m", tier, None, start_s, end_s, outcome, **facts)


def told(one: RequestRecord, *attempts: AttemptRecord, running: frozenset[int] = frozenset()) -> list[Any]:
    return [(m.at_s, m.event, m.attempt, m.why) for m in moments(one, attempts, running)]


def test_a_race_that_the_dearer_rung_wins() -> None:
    flex = attempt(1, "flex", 0.0, 7.5, "lost", cancel_cause="lost_race")
    default = attempt(2, "default", 6.8, 9.0, "won", to_start_s=7.5)
    assert told(request(), flex, default) == [
        (0.0, "launched", 1, "first"),
        (6.8, "launched", 2, "launch_time"),
        (7.5, "started", 2, None),
        (7.5, "cancelled", 1, "lost_race"),
        (9.0, "completed", 2, None),
    ]


def test_a_loss_explains_the_launch_that_follows_it_and_a_plan_made_anew_the_later_one() -> None:
    refused = attempt(1, "flex", 0.0, 0.5, "refused", error_code="provider_refused")
    default = attempt(2, "default", 0.5, 9.0, "won", to_start_s=7.5)
    assert told(request(), refused, default)[1:3] == [
        (0.5, "refused", 1, "provider_refused"),
        (0.5, "launched", 2, "refused"),
    ]
    anew = msgspec.structs.replace(FORECAST, replans=((3.0, 4.0),))
    flex, default = attempt(1, "flex", 0.0, 7.5, "lost"), attempt(2, "default", 4.0, 9.0, "won", to_start_s=7.5)
    events = told(request(forecast=anew), flex, default)
    assert (3.0, "replanned", None, "launch at 4.000") in events
    assert (4.0, "launched", 2, "launch_time") in events
    lost_late = attempt(1, "flex", 0.0, 3.0, "failed", error_code="provider_error")
    assert (6.8, "launched", 2, "launch_time") in told(request(), lost_late, attempt(2, "default", 6.8, 9.0, "won"))


@pytest.mark.parametrize(
    ("before", "start_s", "why"),
    [
        (attempt(1, "flex", 0.0, 1.0, "failed"), 1.0, "failed"),
        (attempt(1, "default", 0.0, 1.0, "failed"), 2.0, "retry"),
        (attempt(1, "flex", 0.0, 9.0, "lost"), 0.0, "beside"),
        (attempt(1, "flex", 0.0, 9.0, "lost"), 10.0, "launch_time"),
        (attempt(1, "flex", 0.0, 9.0, "lost"), 2.0, None),
    ],
)
def test_why_a_later_attempt_was_launched(before: AttemptRecord, start_s: float, why: str | None) -> None:
    alone = msgspec.structs.replace(FORECAST, second=None, launch_s=None)
    events = told(request(forecast=alone), before, attempt(2, "default", start_s, 20.0, "won"))
    assert next(event for event in events if event[1:3] == ("launched", 2))[3] == why


def test_what_is_left_running_is_detached_and_then_observed() -> None:
    won = attempt(1, "default", 0.0, 9.0, "won", to_start_s=2.0)
    seen = attempt(2, "flex", 0.0, 8.0, "detached", to_start_s=8.0, cancel_cause="lost_race")
    silent = attempt(2, "flex", 0.0, 10.0, "detached", cancel_cause="too_slow")
    stopped = attempt(2, "flex", 0.0, 4.0, "detached", cancel_cause="shutdown")
    unknown = attempt(2, "flex", 0.0, 2.0, "detached")
    assert (8.0, "observed", 2, "started") in told(request(), won, seen)
    answering = attempt(1, "default", 0.0, 3.0, "cancelled", to_start_s=2.0)
    assert told(request(), answering, unknown, running=frozenset({1}))[-1] == (2.0, "detached", 2, None)
    assert (10.0, "observed", 2, "silent") in told(request(), won, silent)
    assert (4.0, "observed", 2, "shutdown") in told(request(), won, stopped)
    assert [event for event in told(request(), won, unknown) if event[2] == 2][1:] == [(2.0, "detached", 2, None)]


def test_how_a_request_can_end_otherwise() -> None:
    gone = request(total_s=3.0, client_gone=True, to_start_s=None, deadline_met=None)
    assert told(gone, attempt(1, "flex", 0.0, 3.0, "client_gone", cancel_cause="client_gone"))[1:] == [
        (3.0, "cancelled", 1, "client_gone"),
        (3.0, "gone", None, None),
    ]
    late = request(total_s=12.0, to_start_s=11.0, deadline_met=False)
    ended = request(total_s=12.0, finish_s=11.5, finish_met=False)
    assert (11.5, "finish", None, "missed") in told(ended, attempt(1, "flex", 0.0, 12.0, "won", to_start_s=7.5))
    assert (10.0, "deadline", None, "missed") in told(late, attempt(1, "flex", 0.0, 12.0, "won", to_start_s=11.0))
    cut = attempt(1, "flex", 0.0, 5.0, "failed", to_start_s=1.0, error_code="provider_cut_off")
    assert told(request(), cut)[1:] == [(1.0, "started", 1, None), (5.0, "failed", 1, "provider_cut_off")]
    assert told(request(), attempt(1, "flex", 0.0, 5.0, "interrupted"))[1:] == [(5.0, "interrupted", 1, None)]


def test_an_attempt_that_runs_has_no_end_yet() -> None:
    running = frozenset({1})
    assert told(request(total_s=3.0), attempt(1, "flex", 0.0, 3.0, "cancelled"), running=running) == [
        (0.0, "launched", 1, "first")
    ]


ALONE = {"first": 1, "second": None, "launch_s": None}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "latest launch 6.8 s of 10 s; 99.23 % for 99 %; 0.74 of default"),
        ({"why": "cheap_alone"}, "flex alone, safety launch 6.8 s of 10 s; 99.23 % for 99 %; 0.74 of default"),
        (ALONE | {"why": "dear_alone"}, "default at once; 99.23 % for 99 %; 0.74 of default"),
        ({"why": "reserve"}, "fixed launch 6.8 s of 10 s; 99.23 % for 99 %; 0.74 of default"),
        ({"why": "both_at_once", "launch_s": 0.0}, "both at once; 99.23 % for 99 %; 0.74 of default"),
        ({"why": "infeasible", "chance": 0.8, "cost_nanos": None}, "infeasible: launch 6.8 s of 10 s; 80 % for 99 %"),
        (ALONE | {"why": "hedges_capped", "default_nanos": 0}, "hedges capped: default at once; 99.23 % for 99 %"),
        ({"launch_s": 58.44}, "latest launch 58.4 s of 10 s; 99.23 % for 99 %; 0.74 of default"),
    ],
)  # fmt: skip
def test_a_plan_in_a_line(changes: dict[str, Any], line: str) -> None:
    forecast = msgspec.structs.replace(FORECAST, **changes)
    assert plan_line(forecast, 10.0) == line
    asked = f" for {percent(forecast.target)}"
    assert plan_line(forecast, 10.0, 60.0) == line.replace(asked, f"{asked} to end within 60 s")


def test_nearly_is_never_told_as_certain() -> None:
    assert [percent(share) for share in (1.0, 0.99999, 0.999, 0.9995, 0.29, 0.0)] == [
        "100 %", "99.99 %", "99.9 %", "99.95 %", "29 %", "0 %",
    ]  # fmt: skip


def test_the_documentation_has_every_word() -> None:
    rows = [row.strip("| ").split(" | ") for row in DOCS.read_text().splitlines() if row.startswith("| `")]
    cells = [(row[0].strip("`"), row[-1]) for row in rows]
    for table in (PLAN_WORDS, EVENTS, LAUNCH_WORDS):
        assert set(table.items()) <= set(cells)
