"""What was learned is found again: after a stop, after a minute, and not after it could not be read."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from appliance.app import open_appliance
from appliance.domain.errors import ApplianceFault
from appliance.policy.expense import Expense
from appliance.policy.exploration import ADVANCE, KeptPurse
from appliance.policy.latency import KeptSeries, LatencyModel, Series
from appliance.request.engine import Engine
from appliance.services.latency_keeper import AT_ONCE, SAVE_S, LatencyKeeper
from appliance.settings import Settings
from appliance.settings import load as settings
from tests.request.stage import prices

FLEX = Series("p", "m", "flex")
COSTS = Expense((0.5, 1.0), (0.0, 0.0), (500, 1000))


def engine() -> Engine:
    return Engine(prices(), Settings())


def feed(model: LatencyModel, took_s: float, number: int = 50, series: Series = FLEX) -> None:
    now_s = trio.current_time()
    for _ in range(number):
        model.begin(series, now_s - took_s).end("started", now_s)


class Kept:
    """Keeps in memory what is saved, as msgpack would."""

    def __init__(self) -> None:
        self.saves: list[tuple[KeptSeries, ...]] = []
        self.purses: tuple[KeptPurse, ...] = ()
        self.fault: ApplianceFault | None = None

    async def save(self, kept: tuple[KeptSeries, ...], purses: tuple[KeptPurse, ...]) -> None:
        await trio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.saves.append(kept)
        self.purses = purses

    async def load(self) -> tuple[tuple[KeptSeries, ...], tuple[KeptPurse, ...]]:
        if self.fault is not None:
            raise self.fault
        return self.saves[-1] if self.saves else (), self.purses


@asynccontextmanager
async def keeping(one: Engine, kept: Kept) -> AsyncIterator[None]:
    """A keeper that runs, and saves the last time at the end."""
    keeper = LatencyKeeper(one, kept, time.time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        await trio.lowlevel.checkpoint()
        yield
        nursery.cancel_scope.cancel()
    await keeper.last()


async def test_what_was_learned_survives_a_restart(tmp_path: Path) -> None:
    async with open_appliance(settings(environment={}), tmp_path) as appliance:
        feed(appliance.gateway.engine.model, 2.0)
        assert appliance.gateway.engine.purses.purse("org", COSTS).take(ADVANCE * 1000)
        for _ in range(20):
            appliance.gateway.engine.answers.known.ended("m", "key", 77, False, trio.current_time())
    async with open_appliance(settings(environment={}), tmp_path) as appliance:
        known, now_s = appliance.gateway.engine, trio.current_time()
        assert known.model.curve(FLEX, now_s).late_at(2.5) < 0.2
        assert not known.purses.purse("org", COSTS).take(1.0)
        assert known.answers.known.mean_tokens("m", "key", 300) == pytest.approx(77, rel=0.1)


async def test_it_is_saved_once_a_minute_if_something_was_learned(autojump_clock: MockClock) -> None:
    kept, one = Kept(), engine()
    async with keeping(one, kept):
        await trio.sleep(SAVE_S * 2.5)
        assert kept.saves == []
        feed(one.model, 2.0)
        await trio.sleep(SAVE_S)
        assert len(kept.saves) == 1
        await trio.sleep(SAVE_S * 3)
        assert len(kept.saves) == 1
    assert len(kept.saves) == 1, "there was nothing new"


async def test_it_is_saved_at_a_stop_and_again_when_the_disk_is_well(autojump_clock: MockClock) -> None:
    kept, one = Kept(), engine()
    kept.fault = ApplianceFault("store_unavailable")
    async with keeping(one, kept):
        feed(one.model, 2.0)
        await trio.sleep(SAVE_S * 1.5)
        assert kept.saves == []
        kept.fault = None
        await trio.sleep(SAVE_S)
        assert len(kept.saves) == 1
        feed(one.model, 3.0)
    assert len(kept.saves) == 2
    other = engine()
    await LatencyKeeper(other, kept, time.time).load()
    assert 0.3 < other.model.curve(FLEX, trio.current_time()).late_at(2.5) < 0.7


async def test_what_was_taken_from_a_purse_is_saved_though_no_attempt_was_counted(autojump_clock: MockClock) -> None:
    kept, one = Kept(), engine()
    async with keeping(one, kept):
        assert one.purses.purse("org", COSTS).take(1000.0)
        await trio.sleep(SAVE_S * 3.5)
        assert len(kept.saves) == 1 and kept.purses[0].used == 1000.0
        one.purses.purse("org", COSTS).refund(400.0)
    other = engine()
    await LatencyKeeper(other, kept, time.time).load()
    assert other.purses.spent_nanos() == {"org": (0.0, 600.0)}


async def test_what_cannot_be_read_is_learned_anew(capsys: pytest.CaptureFixture[str]) -> None:
    kept, one = Kept(), engine()
    kept.fault = ApplianceFault("store_unavailable")
    await LatencyKeeper(one, kept, time.time).load()
    assert one.model.observed == 0 and "latencies_unreadable" in capsys.readouterr().out


async def test_others_have_their_turn_while_it_is_written_down(autojump_clock: MockClock) -> None:
    kept, one, turns = Kept(), engine(), 0
    for number in range(AT_ONCE * 5):
        feed(one.model, 2.0, 1, Series("p", f"m{number}", "flex"))

    async def others() -> None:
        nonlocal turns
        await trio.sleep(SAVE_S)
        while not kept.saves:
            turns += 1
            await trio.lowlevel.checkpoint()

    one.model.begin(FLEX, 0.0)
    async with keeping(one, kept):
        feed(one.model, 2.0)
        await others()
    assert turns > 5
