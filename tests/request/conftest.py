"""Fixtures of the tests of a request's life: a stage on virtual time, and no descriptor left open."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.open_files import nothing_left_open as nothing_left_open
from tests.request.stage import Stage


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Virtual time: it jumps when all tasks wait. A test must take it as an argument of its own."""
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.fixture
def stage(clock: trio.testing.MockClock, nursery: trio.Nursery) -> Callable[..., Stage]:
    """Make a stage: `stage(flex=script, default=script, **facts)`; `untiered` is the script of a call without tier.

    `scripts`: those of tiers that go by another word.
    """

    def make(*, untiered: Any = None, scripts: Any = None, **facts: Any) -> Stage:
        scripts = (scripts or {}) | {
            tier: facts.pop(tier) for tier in ("flex", "default", "priority", "auto") if tier in facts
        }
        return Stage(nursery, scripts | ({None: untiered} if untiered is not None else {}), **facts)

    return make


@pytest.fixture
def learned(clock: trio.testing.MockClock, stage: Callable[..., Stage]) -> Callable[..., Stage]:
    """A stage without fixed launches; `usual`: that has seen the usual times."""

    def make(*, usual: bool = True, **facts: Any) -> Stage:
        s = stage(**({"settings": {"reserve_s": {}}, "provider": {"abort_billing": "free"}} | facts))
        if usual:
            s.teach_usual()
        return s

    return make
