"""A disk that is full: told before it costs anything, nothing lost that was promised, and over by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.archive.reader import ArchiveReader
from appliance.domain.errors import ApplianceFault
from tests.disk.drive import Drive, watched
from tests.disk.judge import rows_of
from tests.rig import CHAT, Client, Rig, chat, request, running

pytestmark = pytest.mark.sockets


@asynccontextmanager
async def on_a_small_disk(folder: Path, **settings: Any) -> AsyncIterator[tuple[Rig, Drive]]:
    (folder / "data").mkdir()
    with watched(folder / "data") as drive:
        async with running(data_folder=drive.folder, vfs=drive.vfs.name, **settings) as rig:
            yield rig, drive


async def asked(rig: Rig, client: Client, **wish: Any) -> str:
    """Ask once: "" when it was answered, else the error's code."""
    await client.send(request(path=CHAT, key=rig.token, body=chat("hello", **wish)))
    answer = await client.answer()
    assert answer.complete
    return "" if answer.status == 200 else f"{answer.status} {answer.code}"


async def readiness(rig: Rig) -> tuple[int, bytes]:
    client = await rig.connect()
    await client.send(request("GET", "/readyz", key=rig.management_token))
    answer = await client.answer("GET")
    await client.close()
    return answer.status, answer.body


async def fill(rig: Rig, drive: Drive, client: Client) -> None:
    """Let the disk be full, and the writer find that out by the record of one more request."""
    drive.full = True
    await asked(rig, client)
    await rig.until(lambda: rig.appliance.store.ledger.counters.failing)


async def recovered(rig: Rig, drive: Drive) -> None:
    drive.full = False
    with trio.fail_after(15):
        await rig.until(lambda: not rig.appliance.store.ledger.counters.failing)
        await rig.appliance.store.ledger.flush()


async def all_kept(rig: Rig) -> None:
    """Every request that ended has its row, and its records in the archive once."""
    told = {one.request.request_id: one for one in rig.settled}
    assert await rows_of(rig.appliance.store) == told
    await rig.appliance.store.ledger.barrier()
    verified = ArchiveReader(rig.folder / "archive").verify()
    assert verified.ok and verified.settled == len(told)


@pytest.mark.parametrize("durability", ["batched", "strict"])
async def test_refuse_turns_away_before_any_provider_is_asked_and_recovers(folder: Path, durability: str) -> None:
    async with on_a_small_disk(folder, durability=durability) as (rig, drive):
        client = await rig.connect()
        assert await asked(rig, client) == ""
        await fill(rig, drive, client)
        served = len(list(rig.journal))
        for wish in ({}, {"stream": True}, {"start_within": "30s"}):
            assert await asked(rig, client, **wish) == "503 store_unavailable"
        assert len(list(rig.journal)) == served, "a provider was asked, and its answer thrown away"
        assert await readiness(rig) == (503, b"store_unavailable\n")
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await rig.new_key()
        await recovered(rig, drive)
        assert (await readiness(rig))[0] == 200
        assert await asked(rig, client) == ""
        await rig.new_key()
        await rig.appliance.store.ledger.flush()
        await all_kept(rig)


async def test_strict_gives_no_end_to_an_answer_whose_record_is_on_no_disk(folder: Path) -> None:
    async with on_a_small_disk(folder, durability="strict") as (rig, drive):
        client = await rig.connect()
        drive.full = True
        assert await asked(rig, client) == "503 store_unavailable"
        await recovered(rig, drive)
        drive.full = True
        await client.send(request(path=CHAT, key=rig.token, body=chat("hello", stream=True)))
        answer = await client.answer()
        assert answer.status == 200 and b"[DONE]" not in answer.body and b"store_unavailable" in answer.body
        await recovered(rig, drive)
        await all_kept(rig)


async def test_serve_goes_on_holds_the_records_and_then_counts_what_is_lost(folder: Path) -> None:
    async with on_a_small_disk(folder, on_store_failure="serve") as (rig, drive):
        client = await rig.connect()
        await fill(rig, drive, client)
        for _ in range(20):
            assert await asked(rig, client) == ""
        assert rig.appliance.store.ledger.counters.lost == 0
        rig.appliance.store.writer.handover.limit_bytes = rig.appliance.store.ledger.counters.held_bytes
        for _ in range(5):
            assert await asked(rig, client) == ""
        assert rig.appliance.store.ledger.counters.lost == 10, "a begun and a settled record of each"
        assert await readiness(rig) == (503, b"store_unavailable\n")
        assert b"startline_store_lost_total 10.0" in rig.appliance.metrics.exposition()
        lost = {one.request.request_id for one in rig.settled[-5:]}
        await recovered(rig, drive)
        assert (await readiness(rig))[0] == 200, "what was lost is counted; the server is well again"
        rows = await rows_of(rig.appliance.store)
        assert rows.keys() == {one.request.request_id for one in rig.settled} - lost
