"""What is known of latencies outlives the process, is replaced whole, and never keeps a store from opening."""

from pathlib import Path

import apsw

from appliance.policy.latency import LatencyModel, Series
from tests.store.opening import opened

SERIES = Series("openai", "gpt-x", "flex", 1, True)


def known(starts: int) -> LatencyModel:
    model = LatencyModel()
    for _ in range(starts):
        model.begin(SERIES, 0.0).end("started", 2.0)
    return model


async def test_counts_come_back_after_a_restart(tmp_path: Path) -> None:
    kept = known(50).keep(2.0, 1000.0)
    async with opened(tmp_path) as store:
        assert await store.latency.load() == ()
        await store.latency.save(kept)
    async with opened(tmp_path) as store:
        loaded = await store.latency.load()
    assert sorted(one.path for one in loaded) == sorted(one.path for one in kept)
    model = LatencyModel()
    model.take(loaded, 10.0, 1000.0)
    assert model.curve(SERIES, 10.0).number > LatencyModel().curve(SERIES, 10.0).number + 40


async def test_saving_replaces_all_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.latency.save(known(5).keep(2.0, 1000.0))
        again = known(7).keep(2.0, 1000.0)[:2]
        await store.latency.save(again)

        def spoil(connection: apsw.Connection) -> None:
            connection.execute("INSERT INTO latency VALUES('of another version', x'c1')")

        await store.change(spoil)
        assert set(await store.latency.load()) == set(again)
