"""The plug is pulled at every operation of a run, and what was promised is there: archive, database, names together."""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import trio

from appliance.archive.writer import ArchiveWriter
from appliance.domain.catalog import Provider
from appliance.domain.errors import ApplianceFault
from appliance.domain.record import Settled
from appliance.store.open import OpenArchive, Store
from tests.archive.records import begun, detached, observed, request_id, settled
from tests.disk.disk import Fate, pulls
from tests.disk.drive import Drive, watched
from tests.disk.judge import Asked, Changed, Heard, Kept, Told, judge
from tests.store.opening import NOW_UNIX_S, opened

Durability = Literal["strict", "batched"]
ARCHIVE = partial(ArchiveWriter, segment_bytes=1500)
"""Its segments are so small that a run closes and compresses several."""


class Life:
    """A short life of a store on a watched disk: first start, keys and providers, requests, a stop, a second start."""

    def __init__(self, drive: Drive, durability: Durability, archive: OpenArchive) -> None:
        self.drive = drive
        self.told = Told({}, {}, {})
        self._settings = {"archive": archive, "durability": durability, "vfs": drive.vfs.name}
        self._numbers = count()

    async def lead(self) -> None:
        mark = self.drive.log.mark
        async with opened(self.drive.folder, **self._settings) as store:
            organisation = await store.organisations.create("acme", now_unix_s=NOW_UNIX_S)
            await self._requests(store, 3)
            key, _ = await store.api_keys.create(organisation.organisation_id, "inference", "a", now_unix_s=NOW_UNIX_S)
            mark(Changed("key", key.key_id, "valid"))
            provider = Provider("", organisation.organisation_id, "openai", "openai", "https://api.example/v1")
            mark(Asked("provider", "openai", "sk-first"))
            provider = await store.providers.add(provider, "sk-first", now_unix_s=NOW_UNIX_S)
            mark(Changed("provider", "openai", "sk-first"))
            await self._requests(store, 3)
            mark(Asked("provider", "openai", "sk-second"))
            await store.providers.set_secret(provider, "sk-second")
            mark(Changed("provider", "openai", "sk-second"))
            self._begin(store)  # never settled: the end of the block drains it
        async with opened(self.drive.folder, **self._settings, now_unix_us=1) as store:
            await self._requests(store, 4)
            mark(Asked("key", key.key_id, NOW_UNIX_S + 9))
            await store.api_keys.revoke(key.key_id, now_unix_s=NOW_UNIX_S + 9)
            mark(Changed("key", key.key_id, NOW_UNIX_S + 9))
            mark(Asked("provider", "openai", None))
            await store.providers.remove(provider)
            mark(Changed("provider", "openai", None))
            await self._requests(store, 2)
            while store.writer.handover.held_bytes:
                await trio.lowlevel.checkpoint()

    async def _requests(self, store: Store, number: int) -> None:
        """So many one after another, each acknowledged, beside one that began before them and ends after them."""
        slow = self._begin(store)
        for _ in range(number):
            await self._settle(store, self._begin(store))
        await self._settle(store, slow, lingers=True)
        late = observed(slow)
        end = detached(slow)
        request = msgspec.structs.replace(end.request, cost_nanos=1730)
        self.told.late[late.request_id] = Settled(request, (late.attempt, *end.attempts[1:]))
        store.ledger.observe(late)
        await store.ledger.barrier()
        self.drive.log.mark(Heard(late.request_id))

    def _begin(self, store: Store) -> int:
        record = begun(next(self._numbers))
        self.told.begun[record.request_id] = record
        store.ledger.begin(record)
        return len(self.told.begun) - 1

    async def _settle(self, store: Store, number: int, *, lingers: bool = False) -> None:
        self._end(store, number, lingers=lingers)
        await store.ledger.barrier()
        self.drive.log.mark(Kept(request_id(number)))

    def _end(self, store: Store, number: int, *, lingers: bool = False) -> None:
        record = detached(number) if lingers else settled(number)
        self.told.settled[record.request.request_id] = record
        store.ledger.settle(record)

    async def lead_with_late_syncs(self) -> None:
        """Batches whose rows are written before their records are synced; then a sync, until it succeeds."""
        async with opened(self.drive.folder, **self._settings, sync_every_s=1e9) as store:
            slow = self._begin(store)
            for _ in range(3):
                ended = []
                for _ in range(2):
                    ended.append(self._begin(store))
                    self._end(store, ended[-1])
                    await insisted(store.ledger.flush)
                await self._synced(store, *ended)
            self._end(store, slow)
            await self._synced(store, slow)

    async def _synced(self, store: Store, *numbers: int) -> None:
        await insisted(store.ledger.barrier)
        for number in numbers:
            self.drive.log.mark(Kept(request_id(number)))


async def insisted(ask: Callable[[], Awaitable[None]]) -> None:
    """Ask again until the disk works."""
    with trio.fail_after(20):
        while True:
            try:
                return await ask()
            except ApplianceFault:
                await trio.sleep(0.02)


def life(folder: Path, durability: Durability, archive: OpenArchive = ARCHIVE) -> Life:
    folder.mkdir()
    with watched(folder) as drive:
        one = Life(drive, durability, archive)
        trio.run(one.lead)
        return one


def life_with_late_syncs(folder: Path, failing_syncs: frozenset[int] = frozenset()) -> Life:
    folder.mkdir()
    with watched(folder) as drive:
        drive.failing_syncs = failing_syncs
        one = Life(drive, "batched", ArchiveWriter)
        trio.run(one.lead_with_late_syncs)
        return one


def fates(at: int) -> tuple[Fate, ...]:
    """All ways in turn at each operation: two certain ones, and one of those left to chance."""
    return ("lost", "kept", "torn" if at % 2 else "scattered")


@pytest.mark.parametrize("durability", ["strict", "batched"])
def test_what_was_acknowledged_survives_a_plug_pulled_at_any_operation(folder: Path, durability: Durability) -> None:
    lived = life(folder / "lived", durability)
    operations = lived.drive.operations
    assert len(operations) > 300
    looked = 0
    for pull in pulls(operations, fates):
        looked += 1
        trio.run(partial(judge, pull, lived.told, folder / str(looked), archive=ARCHIVE))
    assert looked > len(operations)


@pytest.mark.parametrize("failures", [1, 2], ids=["once", "twice"])
def test_a_sync_that_fails_takes_nothing_that_is_acknowledged_later(folder: Path, failures: int) -> None:
    syncs = life_with_late_syncs(folder / "whole").drive.syncs
    looked = 0
    for first in range(1, syncs):  # the first is the master key's: without it there is no start
        lived = life_with_late_syncs(folder / f"failed{first}", frozenset(range(first, first + failures)))
        for kept in (False, True):
            every = partial(every_third, first)
            for pull in pulls(lived.drive.operations, every, failed_kept=kept):
                looked += 1
                trio.run(partial(judge, pull, lived.told, folder / str(looked)))
    assert looked > 100


def every_third(first: int, at: int) -> tuple[Fate, ...]:
    return () if (at + first) % 3 else ("lost",)


class Careless(ArchiveWriter):
    """Says that it has synced, and has not."""

    def sync(self) -> None:
        self.unsynced = False


def test_an_archive_that_only_says_that_it_syncs_is_found_out(folder: Path) -> None:
    lived = life(folder / "lived", "strict", Careless)
    with pytest.raises(AssertionError, match="lost req_"):  # noqa: PT012
        for number, pull in enumerate(pulls(lived.drive.operations, lambda _: ("lost",))):
            trio.run(partial(judge, pull, lived.told, folder / str(number), archive=ARCHIVE))
