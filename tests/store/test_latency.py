"""What is known of latencies outlives the process, is replaced whole, and never keeps a store from opening."""

from pathlib import Path

import apsw

from appliance.policy.exploration import KeptPurse
from appliance.policy.latency import LatencyModel, Series
from tests.store.opening import opened

SERIES = Series("openai", "gpt-x", "flex", 1, True)
PURSES = KeptPurse("org_a", True, 5000.0, -12.5, 1e9, 4500.0), KeptPurse("org_a", False, 5.0, 5.0, 0.0, 0.0)


def known(starts: int) -> LatencyModel:
    model = LatencyModel()
    for _ in range(starts):
        model.begin(SERIES, 0.0).end("started", 2.0)
    return model


async def test_counts_come_back_after_a_restart(tmp_path: Path) -> None:
    kept = known(50).keep(2.0, 1000.0)
    async with opened(tmp_path) as store:
        assert await store.latency.load() == ((), ())
        await store.latency.save(kept, PURSES)
    async with opened(tmp_path) as store:
        loaded, purses = await store.latency.load()
    assert set(purses) == set(PURSES)
    assert sorted(one.path for one in loaded) == sorted(one.path for one in kept)
    model = LatencyModel()
    model.take(loaded, 10.0, 1000.0)
    assert model.curve(SERIES, 10.0).number > LatencyModel().curve(SERIES, 10.0).number + 40


async def test_saving_replaces_all_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.latency.save(known(5).keep(2.0, 1000.0), PURSES)
        again = known(7).keep(2.0, 1000.0)[:2]
        await store.latency.save(again, PURSES[:1])

        def spoil(connection: apsw.Connection) -> None:
            connection.execute("INSERT INTO latency VALUES('of another version', x'c1')")
            connection.execute("INSERT INTO purses VALUES('org_b', 7, 1, 1, 1, 1)")

        await store.change(spoil)
        loaded, purses = await store.latency.load()
        assert set(loaded) == set(again) and purses == PURSES[:1]
