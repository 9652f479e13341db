"""The wall clock jumps, forwards and backwards: records and expiry follow it, durations and deadlines do not."""

import time
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.archive.reader import ArchiveReader
from appliance.domain.record import RequestRecord
from appliance.store.usage import UsageFilter
from tests.rig import CHAT, Rig, chat, request, running

pytestmark = pytest.mark.sockets

DAY_S = 86_400


class Clock:
    """The wall clock of this process, which can be set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0
        real = time.time_ns
        patch.setattr(time, "time_ns", lambda: real() + self.ahead_s * 10**9)

    @property
    def now_s(self) -> float:
        return time.time_ns() / 1e9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def asked(rig: Rig, token: str, sim: str = "", **wish: Any) -> str:
    """Ask once: "" when it was answered, else the code."""
    client = await rig.connect()
    await client.send(request(path=CHAT, key=token, body=chat("hi", sim=sim, **wish)))
    answer = await client.answer()
    return "" if answer.status == 200 else answer.code


async def last_row(rig: Rig) -> RequestRecord:
    """The record of the request that ended last, as it is stored."""
    await rig.appliance.store.ledger.flush()
    detail = await rig.appliance.store.usage.request(rig.settled[-1].request.request_id)
    assert detail is not None
    return detail.request


def segments(folder: Path) -> int:
    verified = ArchiveReader(folder / "archive").verify()
    assert verified.ok
    return len(verified.segments)


async def test_jumps_of_the_wall_clock(clock: Clock) -> None:
    async with running() as rig:
        _, brief = await rig.new_key(expires_unix_s=int(clock.now_s) + 3600)
        other, revoked = await rig.new_key()
        await rig.appliance.store.api_keys.revoke(other.key_id, now_unix_s=int(clock.now_s))
        health = f"{rig.base_url}/admin/v1/health"
        for days in (0, 10, -20, 0):
            clock.ahead_s = days * DAY_S
            assert await asked(rig, rig.token) == ""
            row = await last_row(rig)
            assert abs(row.at_unix_us / 1e6 - clock.now_s) < 30, "the record has the wall clock's time"
            assert 0 < row.total_s < 10 and 0 <= row.overhead_s < 10, "durations have not"
            assert await asked(rig, brief) == ("expired_api_key" if days > 0 else "")
            assert await asked(rig, revoked) == "revoked_api_key", "no clock makes it valid again"
            async with rig.http() as asking:
                told = (await asking.get(health, headers={"authorization": f"Bearer {rig.management_token}"})).json()
            assert told["ready"] and 0 <= told["uptime_s"] < 60
            assert rig.appliance.store.ledger.available
        await rig.appliance.store.ledger.barrier()
        # 10 days later the first is old; 20 days before it the second is from the future; then the third is old.
        assert segments(rig.folder) == 4
        totals = await rig.appliance.store.usage.totals(UsageFilter())
        page = await rig.appliance.store.usage.page(UsageFilter(), limit=100)
        times = [row.at_unix_us for row in page.requests]
        assert times == sorted(times, reverse=True)
        assert totals.requests == len(page.requests) == len({row.request_id for row in page.requests}) == 7


@pytest.mark.parametrize("days", [10, -10])
async def test_a_jump_within_a_race_moves_no_deadline(clock: Clock, days: int) -> None:
    async with running() as rig:
        zero_s = trio.current_time()

        async def jump() -> None:
            await rig.until(lambda: len(list(rig.journal)) == 1)
            clock.ahead_s = days * DAY_S

        async with trio.open_nursery() as nursery:
            nursery.start_soon(jump)
            assert await asked(rig, rig.token, "flex.start=20", start_within="1s") == ""
        assert 0.4 < trio.current_time() - zero_s < 5
        row = await last_row(rig)
        assert (row.reason, row.deadline_met) == ("flex_deadline", True)
        assert row.to_start_s is not None and 0.4 < row.to_start_s < 1.0
        assert row.total_s < 5
