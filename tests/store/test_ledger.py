"""Handing over never raises; what happens when the disk fails is the operator's choice."""

from pathlib import Path

import msgspec
import pytest

from appliance.archive.writer import ArchiveWriter
from appliance.domain.errors import ApplianceFault
from appliance.domain.record import Settled
from appliance.store.handover import RECORD_OVERHEAD_BYTES
from appliance.store.open import Store
from appliance.store.usage import UsageFilter
from tests.archive.disk import MemoryDisk
from tests.archive.records import begun, detached, observed, request_id, settled
from tests.store.opening import opened
from tests.store.test_writer import until


def on(disk: MemoryDisk) -> dict[str, object]:
    return {"archive": lambda folder, committed: ArchiveWriter(folder, committed, files=disk)}


async def test_records_reach_archive_and_database(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.ledger.check()
        store.ledger.begin(begun(1))
        store.ledger.settle(settled(1))
        await store.ledger.barrier()
        await until(lambda: store.ledger.counters.held_bytes == 0)
        detail = await store.usage.request(request_id(1))
        assert detail is not None
        assert Settled(detail.request, detail.attempts) == settled(1)


async def test_what_is_observed_later_is_seen_in_the_usage(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.ledger.settle(detached(1))
        await store.ledger.flush()
        assert (await store.usage.totals(UsageFilter())).cost_nanos == 1500
        store.ledger.observe(observed(1))
        await store.ledger.flush()
        assert (await store.usage.totals(UsageFilter())).cost_nanos == 1730
        detail = await store.usage.request(request_id(1))
        assert detail is not None and detail.attempts[0] == observed(1).attempt


async def failed(store: Store, disk: MemoryDisk) -> None:
    disk.failing = {"open", "append"}
    store.ledger.settle(settled(1))
    await until(lambda: store.ledger.counters.failing)


async def test_refuse_turns_requests_away_while_the_disk_fails(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with opened(tmp_path, **on(disk)) as store:
        await failed(store, disk)
        assert not store.ledger.available
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            store.ledger.check()
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await store.ledger.barrier()
        store.ledger.settle(settled(2))  # admitted before: kept
        disk.failing = set()
        await until(lambda: store.ledger.available)
        store.ledger.check()
        await store.ledger.barrier()
    async with opened(tmp_path, **on(disk)) as store:
        assert await store.usage.request(request_id(2)) is not None


async def test_serve_holds_records_up_to_the_limit_then_counts_losses(tmp_path: Path) -> None:
    disk = MemoryDisk()
    settings = on(disk) | {"on_store_failure": "serve", "held_bytes": 10 * (RECORD_OVERHEAD_BYTES + 400)}
    async with opened(tmp_path, **settings) as store:
        await failed(store, disk)
        for number in range(2, 30):
            store.ledger.check()
            store.ledger.settle(settled(number))
        lost = store.ledger.counters.lost
        assert 0 < lost < 29
        assert store.ledger.counters.held_bytes <= settings["held_bytes"]  # type: ignore[operator]
        disk.failing = set()
        await until(lambda: store.ledger.counters.held_bytes == 0)
        assert store.writer.counters.lost == lost
        kept = [number for number in range(1, 30) if await store.usage.request(request_id(number))]
        assert kept == list(range(1, 30 - lost))


async def test_a_full_queue_refuses_before_it_loses(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with opened(tmp_path, **on(disk), held_bytes=20 * RECORD_OVERHEAD_BYTES) as store:
        disk.failing = {"open"}
        admitted = 0
        while store.ledger.available:
            store.ledger.check()
            store.ledger.begin(begun(admitted))
            admitted += 1
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            store.ledger.check()
        assert store.ledger.counters.lost == 0
        for number in range(2):
            store.ledger.settle(settled(number))
        assert store.ledger.counters.lost == 0
        disk.failing = set()


async def test_a_record_that_cannot_be_encoded_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.ledger.settle(settled(1, model_asked="\ud800"))
        store.ledger.settle(settled(2, received_bytes=2**70))
        assert store.ledger.counters.lost == 2
        store.ledger.settle(settled(3))
        await store.ledger.barrier()


async def test_an_ended_store_refuses(tmp_path: Path) -> None:
    async with opened(tmp_path, on_store_failure="serve") as store:
        pass
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        store.ledger.check()
    store.ledger.settle(settled(1))


async def test_hostile_text_is_kept_as_it_is(tmp_path: Path) -> None:
    hostile = "'; DROP TABLE requests; --\0\r\n\u202e"
    async with opened(tmp_path) as store:
        store.ledger.settle(settled(1, model_asked=hostile))
        await store.ledger.barrier()
        await until(lambda: store.ledger.counters.held_bytes == 0)
        detail = await store.usage.request(request_id(1))
        assert detail is not None
        assert detail.request.model_asked == hostile
        assert msgspec.json.encode(detail)
