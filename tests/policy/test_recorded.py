"""What a recorded attempt's end says of its rung: started, lost, cut off, or nothing."""

from typing import Any

import msgspec
import pytest

from appliance.domain.catalog import Rung
from appliance.domain.record import AttemptRecord, Forecast, RequestRecord
from appliance.policy.recorded import Raced, raced

FLEX, DEFAULT = Rung("openai", "m", "flex"), Rung("openai", "m", "default")


def request(**fields: Any) -> RequestRecord:
    plain = RequestRecord(
        "req_1", "org_1", "key_1", 5_000_000, "chat", "openai_chat", "m", "m", "openai", "https://p", "30s", "flex",
        "flex", "flex_won", True, 200, cost_nanos=50, default_nanos=100, to_start_s=4.0, window_s=30.0,
        deadline_met=True,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **fields)


def attempt(ordinal: int, tier: str, start_s: float, end_s: float, outcome: str, **fields: Any) -> AttemptRecord:
    return AttemptRecord("req_1", ordinal, "openai", "https://p", "m", tier, None, start_s, end_s, outcome, **fields)  # type: ignore[arg-type]


def race(*attempts: AttemptRecord, **fields: Any) -> Raced:
    found = raced(request(**fields), attempts)
    assert found is not None
    return found


def test_a_late_winner_and_its_rivals() -> None:
    found = race(
        attempt(1, "flex", 0.0, 9.0, "won", to_start_s=8.5, cost_nanos=40),
        attempt(2, "default", 6.0, 8.5, "lost", cancel_cause="lost_race", cost_nanos=10),
    )
    assert [(one.cause, one.launch_s, one.age_s, one.behind) for one in found.tries] == [
        ("started", 0.0, 8.5, False), ("censored", 6.0, 2.5, True),
    ]  # fmt: skip
    assert found.winner is not None
    assert found.winner.rung == FLEX
    assert (found.cheap, found.dear, found.at_unix_s) == (FLEX, DEFAULT, 5.0)


@pytest.mark.parametrize(
    ("outcome", "fields", "cause"),
    [
        ("refused", {"error_code": "provider_no_capacity"}, "lost"),
        ("failed", {"error_code": "provider_failed"}, "lost"),
        ("failed", {"error_code": "provider_rejected"}, None),  # every rung would have been told the same
        ("failed", {"error_code": "provider_failed", "to_start_s": 1.5}, "started"),  # it broke after its start
        ("client_gone", {}, "censored"),
        ("cancelled", {}, "censored"),
        ("interrupted", {}, None),
        ("detached", {}, "censored"),
        ("detached", {"to_start_s": 1.5}, "started"),
        ("detached", {"error_code": "provider_failed"}, "lost"),
    ],
)
def test_what_an_end_says(outcome: str, fields: dict[str, Any], cause: str | None) -> None:
    (one,) = race(attempt(1, "flex", 0.0, 2.0, outcome, **fields)).tries
    assert one.cause == cause


def test_a_dear_rung_after_a_refusal_or_at_once_is_behind_nobody() -> None:
    refused = race(attempt(1, "flex", 0.0, 1.0, "refused"), attempt(2, "default", 1.0, 3.0, "won", to_start_s=2.0))
    both = race(attempt(1, "flex", 0.0, 2.0, "lost"), attempt(2, "default", 0.001, 3.0, "won", to_start_s=2.0))
    assert not refused.tries[1].behind
    assert not both.tries[1].behind


def test_what_had_no_deadline_is_no_race_and_a_lone_tier_has_no_rival() -> None:
    assert raced(request(window_s=None), (attempt(1, "flex", 0.0, 1.0, "won"),)) is None
    assert raced(request(), ()) is None
    alone = race(attempt(1, "default", 0.0, 2.0, "won", to_start_s=1.0))
    assert (alone.cheap, alone.dear) == (None, DEFAULT)


@pytest.mark.parametrize(
    ("first", "second", "cheap", "dear"), [(0, 1, 0, 1), (0, None, 0, 1), (1, None, 0, 1), (1, 2, 1, 2), (0, 2, 0, 2)]
)
def test_the_plan_says_between_which_rungs_it_was(first: int, second: int | None, cheap: int, dear: int) -> None:
    rungs = FLEX, DEFAULT, Rung("other", "n", "priority")
    forecast = Forecast(0.95, 0.97, 0.96, first, second, None, 1, 2, "latest_launch", 5.0, rungs)
    found = race(attempt(1, "flex", 0.0, 2.0, "lost"), forecast=forecast, target=0.95, size_class=2)
    assert (found.cheap, found.dear) == (rungs[cheap], rungs[dear])
    assert (found.target, found.size, found.chance, found.chance_least, found.why) == (
        0.95, 2, 0.97, 0.96, "latest_launch",
    )  # fmt: skip
