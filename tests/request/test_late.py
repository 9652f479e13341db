"""What is told of an attempt that ended after its request: what was seen, what it cost, and what is not known."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from appliance.domain.record import AttemptRecord
from tests.request.stage import SILENCE, Stage, starts

Make = Callable[..., Stage]
Late = Callable[..., Awaitable[tuple[AttemptRecord, AttemptRecord]]]
FLEX_INPUT = 1250
"""Nanodollars for a token of the prompt, which has 100."""


@pytest.fixture
def late(stage: Make) -> Late:
    async def make(billing: str, flex: Any, **wish: Any) -> tuple[AttemptRecord, AttemptRecord]:
        """The record of a flex attempt as its request settled at 6 s, and as it ended."""
        s = stage(flex=flex, default=starts(1.0, "default"), provider={"abort_billing": billing})
        s.let_linger(0)
        await s.race(**wish)
        await trio.sleep_until(10.0)
        await wait_all_tasks_blocked()
        s.check()
        return s.attempts[0], s.observed[0].attempt

    return make


async def test_it_costs_what_an_abandoned_attempt_costs(clock: MockClock, late: Late) -> None:
    before, after = await late("partial", starts(8.0, "flex", ends_s=60.0))
    assert (before.cost_nanos, before.cost_state) == (100 * FLEX_INPUT, "estimated")
    assert after.cost_state == "estimated" and after.tokens.input == 100 and after.tokens.output
    assert after.cost_nanos == 100 * FLEX_INPUT + after.tokens.output * 6 * FLEX_INPUT
    assert after.price_row is not None and after.events > 0 and after.received_bytes > 0
    assert after.provider_response_id == "chatcmpl-flex"


async def test_what_is_not_known_is_not_made_up(clock: MockClock, late: Late) -> None:
    before, after = await late("full", starts(8.0, "flex", ends_s=60.0))
    assert (before.cost_nanos, before.cost_state) == (after.cost_nanos, after.cost_state) == (None, "unknown_usage")


async def test_with_a_limit_the_most_is_known(clock: MockClock, late: Late) -> None:
    before, after = await late("full", SILENCE, max_completion_tokens=7)
    assert before.cost_nanos == after.cost_nanos == (100 + 7 * 6) * FLEX_INPUT


async def test_nothing_is_charged_where_an_abandoned_attempt_is_free(clock: MockClock, late: Late) -> None:
    _, after = await late("free", starts(8.0, "flex", ends_s=60.0))
    assert (after.cost_nanos, after.cost_state) == (0, "estimated")
