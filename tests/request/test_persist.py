"""`retry`: the settled tier is asked again after a real 429 or 5xx, on virtual time."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from tests.request.stage import MODEL, SILENCE, Stage, refuses, starts, whole

Make = Callable[..., Stage]
FAILS = refuses(0.0, 500, "server_error")
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "choices": [],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
STEADY = {"jitter": False}


def times(s: Stage) -> list[tuple[str | None, float]]:
    return [(asked.tier, round(asked.at_s, 3)) for asked in s.provider.asked]


async def test_it_is_sent_again_until_it_serves(clock: MockClock, stage: Make) -> None:
    s = stage(default=[FAILS, FAILS, FAILS, whole(0.0, COMPLETION)])
    client = await s.call(retry={"count": 3} | STEADY)
    assert client.status == 200
    assert times(s) == [("default", 0.0), ("default", 0.5), ("default", 1.5), ("default", 3.5)]
    assert "retry" not in s.provider.asked[0].body
    assert (client.headers["x-startline-retries"], client.headers["x-startline-reason"]) == ("3", "tier_direct")
    assert (s.request.retries, s.request.reason) == (3, "tier_direct")


async def test_the_last_failure_is_told(clock: MockClock, stage: Make) -> None:
    s = stage(default=FAILS)
    client = await s.call(retry={"count": 2, "backoff": "linear"} | STEADY)
    assert client.status == 500
    assert times(s) == [("default", 0.0), ("default", 0.5), ("default", 1.5)]
    assert (client.headers["x-startline-retries"], s.request.retries) == ("2", 2)


async def test_the_providers_own_pause_goes_before(clock: MockClock, stage: Make) -> None:
    told = refuses(0.0, 429, "rate_limit_exceeded", "retry-after: 7")
    s = stage(default=[told, whole(0.0, COMPLETION)])
    await s.call(retry={"count": 1})
    assert times(s) == [("default", 0.0), ("default", 7.0)]


async def test_jitter_only_shortens(clock: MockClock, stage: Make) -> None:
    s = stage(default=[FAILS, whole(0.0, COMPLETION)])
    await s.call(retry={"count": 1})
    assert 0.375 <= s.provider.asked[1].at_s <= 0.5


async def test_after_a_race_only_the_settled_tier_is_asked_again(clock: MockClock, stage: Make) -> None:
    refusal = refuses(0.0, 503, "overloaded")
    s = stage(flex=refusal, default=[FAILS, starts(0.5, "default")])
    client = await s.race(retry={"count": 2} | STEADY)
    assert times(s) == [("flex", 0.0), ("default", 0.0), ("default", 0.5)]
    assert client.headers["x-startline-reason"] == "flex_capacity"
    assert s.request.deadline_met


@pytest.mark.parametrize(
    "script",
    [
        refuses(0.0, 400, "invalid_request_error"),
        refuses(0.0, 401, "invalid_api_key"),
        [(0.0, "close")],
    ],
)
async def test_what_is_not_sent_again(clock: MockClock, stage: Make, script: Any) -> None:
    s = stage(default=script)
    client = await s.call(retry={"count": 5} | STEADY)
    assert client.status >= 400
    assert s.request.retries <= 1, "at most a stale connection is replaced"
    assert len(s.attempts) == 1


async def test_what_has_started_is_not_sent_again(clock: MockClock, stage: Make) -> None:
    s = stage(default=[[*starts(0.5, "default")[:2], (1.0, "close")]])
    client = await s.call(stream=True, retry={"count": 5} | STEADY)
    assert client.error["startline"]["code"] == "provider_cut_off"
    assert len(s.provider.asked) == 1


async def test_time_runs_out_between_tries_too(clock: MockClock, stage: Make) -> None:
    told = refuses(0.0, 429, "rate_limit_exceeded", "retry-after: 60")
    s = stage(default=told, settings={"first_content_timeout_s": 100.0})
    client = await s.call(retry={"count": 5})
    assert client.status == 504
    assert len(s.provider.asked) == 2


async def test_a_retry_that_is_none_is_refused(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    client = await s.call(retry={"count": 99})
    assert (client.status, client.error["param"]) == (400, "retry")


# -- include_cost ------------------------------------------------------------------------------------------------------


async def test_a_stream_tells_its_cost_to_who_asks(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(1.0, "default"))
    client = await s.race(include_cost=True, stream_options={"include_usage": True})
    *_, told, done = [line[6:] for line in client.body.split(b"\n") if line.startswith(b"data: ")]
    assert done == b"[DONE]"
    facts = msgspec.json.decode(told)["startline"]
    request = s.request
    assert facts["cost_usd"] is not None and request.cost_nanos is not None
    assert float(facts["cost_usd"]) * 1e9 == pytest.approx(request.cost_nanos)
    assert (facts["tier"], facts["reason"], facts["cost_state"]) == ("default", "flex_deadline", "estimated")
    assert all("include_cost" not in asked.body for asked in s.provider.asked)


async def test_who_does_not_ask_gets_the_bytes_as_they_came(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"))
    client = await s.call(stream=True, model=MODEL)
    assert b"startline" not in client.body
