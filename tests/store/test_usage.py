"""Filters, pages and sums say what the rows say; unknown prices are counted, never taken for nothing."""

import tracemalloc
from pathlib import Path

import pytest
import trio

from appliance.store.open import Store
from appliance.store.usage import UsageFilter
from tests.archive.records import AT_UNIX_US, request_id, settled
from tests.store.opening import opened


async def fill(store: Store) -> None:
    store.ledger.settle(settled(1))
    store.ledger.settle(settled(2, key_id="key_b", tier_served="default", reason="flex_deadline", cost_nanos=3000))
    store.ledger.settle(settled(3, model_dispatched="gpt-y", cost_nanos=None, cost_state="unknown_price"))
    store.ledger.settle(settled(4, organisation_id="org_b", window_s=None, deadline_met=None, cost_state="estimated"))
    store.ledger.settle(settled(5, status=503, tier_served=None, deadline_met=False, provider=None, reason=None))
    await store.ledger.flush()


async def test_filters(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill(store)

        async def numbers(**which: object) -> list[int]:
            page = await store.usage.page(UsageFilter(**which))  # type: ignore[arg-type]
            return [record.at_unix_us - AT_UNIX_US for record in page.requests]

        assert await numbers() == [5, 4, 3, 2, 1]
        assert await numbers(organisation_id="org_a") == [5, 3, 2, 1]
        assert await numbers(since_unix_us=AT_UNIX_US + 2, until_unix_us=AT_UNIX_US + 4) == [3, 2]
        assert await numbers(key_id="key_b") == [2]
        assert await numbers(model="gpt-y") == [3]
        assert await numbers(model="gpt-x") == [5, 4, 3, 2, 1]
        assert await numbers(tier="default") == [2]
        assert await numbers(tier="flex") == [5, 4, 3, 1]
        assert await numbers(tier="flex", organisation_id="org_b", key_id="key_b") == []


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_join_without_gap_or_overlap(tmp_path: Path, limit: int) -> None:
    async with opened(tmp_path) as store:
        await fill(store)
        found, before = [], None
        while True:
            page = await store.usage.page(UsageFilter(), limit=limit, before=before)
            assert len(page.requests) <= limit
            found += [record.request_id for record in page.requests]
            if (before := page.next) is None:
                break
        assert found == [request_id(number) for number in (5, 4, 3, 2, 1)]
        with pytest.raises(ValueError):
            await store.usage.page(UsageFilter(), before="nonsense")


async def test_a_long_page_is_shaped_row_by_row(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for number in range(1000):
            store.ledger.settle(settled(number))
        await store.ledger.flush()
        await store.usage.totals(UsageFilter())  # opens the connection
        tracemalloc.start()
        try:
            page = await store.usage.page_of(lambda record: record.at_unix_us, UsageFilter(), limit=1000)
            _, most_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert page.requests == tuple(range(AT_UNIX_US + 999, AT_UNIX_US - 1, -1)) and page.next is None
        assert most_bytes < 500_000, "250 kB; all rows at once would be 1.7 MB"


async def test_totals(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        empty = await store.usage.totals(UsageFilter())
        assert (empty.requests, empty.cost_nanos, empty.saved_nanos) == (0, 0, 0)
        await fill(store)
        totals = await store.usage.totals(UsageFilter())
        assert (totals.requests, totals.failed, totals.unknown_costs, totals.unknown_prices) == (5, 1, 1, 1)
        assert totals.estimated_costs == 1
        assert totals.cost_nanos == totals.compared_nanos == 1000 + 3000 + 1000 + 1000
        assert totals.saved_nanos == 4 * 2500 - 6000  # without the one whose price is unknown
        assert (totals.input_tokens, totals.output_tokens, totals.cached_tokens) == (6000, 1500, 500)
        assert (totals.deadlines, totals.deadlines_met) == (4, 3)


async def test_groups(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill(store)

        async def groups(by: str) -> dict[str, int]:
            found = await store.usage.groups(UsageFilter(), by)  # type: ignore[arg-type]
            return {group.group: group.requests for group in found}

        assert await groups("tier") == {"flex": 3, "default": 1, "": 1}
        assert await groups("model") == {"gpt-x": 4, "gpt-y": 1}
        assert await groups("key") == {"key_a": 4, "key_b": 1}
        assert await groups("provider") == {"openai": 4, "": 1}
        assert await groups("reason") == {"flex_won": 3, "flex_deadline": 1, "": 1}


async def test_questions_that_wait_are_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(store.accounts.request, "req_1")
            while store.accounts.questions < 5:  # two read, three wait
                await trio.lowlevel.checkpoint()
            assert store.usage.questions == 0
        assert store.accounts.questions == 0


async def test_one_request(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill(store)
        detail = await store.usage.request(request_id(1), organisation_id="org_a")
        assert detail is not None
        assert (detail.request, detail.attempts) == (settled(1).request, settled(1).attempts)
        assert await store.usage.request(request_id(1), organisation_id="org_b") is None
        assert await store.usage.request("req_none") is None
