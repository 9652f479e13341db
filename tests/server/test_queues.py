"""Everything that waits has a depth and a limit in the metrics, on a running server."""

import socket
import sys

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from appliance.server.queues import QUEUES, accept_depth
from tests.rig import Rig, chat, request, running


async def scraped(rig: Rig) -> tuple[dict[str, float], dict[str, float]]:
    """Depths and limits as a scraper with a management key sees them."""
    async with rig.http() as client:
        answer = await client.get("/metrics", headers={"authorization": f"Bearer {rig.management_token}"})
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        if family.name.startswith("startline_queue_"):
            found[family.name] = {sample.labels["queue"]: sample.value for sample in family.samples}
    return found["startline_queue_depth"], found["startline_queue_limit"]


async def test_each_queue_of_the_table_has_a_depth_and_a_limit(rig: Rig) -> None:
    depths, limits = await scraped(rig)
    assert list(depths) == list(limits) == [name for name, _ in QUEUES]
    assert all(limit > 0 for limit in limits.values())
    assert all(0 <= depths[name] <= limits[name] for name in depths), depths


async def test_depths_follow_what_is_held() -> None:
    async with running(max_connections=30, max_requests_per_key=20, max_bodies_bytes=2**20) as rig:
        streams = [await rig.connect() for _ in range(3)]
        for client in streams:
            await client.send(request(key=rig.token, body=chat(sim="stall=1,tokens=9", stream=True)))
            await client.until(b'"content"')
        raced, waiting, upload, moved = [await rig.connect() for _ in range(4)]
        await raced.send(request(key=rig.token, body=chat(sim="flex.start=100", start_within="900s")))
        await waiting.send(request(key=rig.token, body=chat("x" * 300_000, sim="start=100")))
        await upload.send(request(key=rig.token, body=chat("x" * 300_000))[:-1])
        await moved.send(request("GET", "/v1/models", key="sk-sl-nobody"))
        assert (await moved.answer()).status == 401
        await rig.until(lambda: len(rig.journal) == 5 and rig.appliance.gateway.bodies.held_bytes > 400_000)
        await rig.until(lambda: rig.appliance.store.ledger.counters.open_requests == 5)
        depths, limits = await scraped(rig)
        assert (depths["connections"], limits["connections"]) == (8, 30), "the scraper's too"
        assert depths["connections_of_address"] == 8
        assert (depths["requests_of_key"], limits["requests_of_key"]) == (5, 20)
        assert depths["races"] == 1
        assert 400_000 < depths["bodies_bytes"] < 600_000 and limits["bodies_bytes"] == 2**20
        assert depths["failed_key_addresses"] == 1
        assert depths["open_requests"] == 5
        for client in (*streams, raced, waiting, upload, moved):
            await client.close()
        await rig.until(lambda: rig.appliance.listeners.connections == 0)
        depths, _ = await scraped(rig)
        for name in ("requests_of_key", "races", "bodies_bytes"):
            assert depths[name] == 0, name


async def test_parts_of_a_body_that_an_application_does_not_read_are_seen_and_few(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = trio.Event()

    async def patient(_: object, __: object, send: object) -> None:
        await go_on.wait()

    monkeypatch.setattr(rig.appliance.lane.application, "app", patient)
    client = await rig.connect()
    await client.send(request("POST", "/admin/v1/keys", headers=[("content-length", "10000000")]))
    async with trio.open_nursery() as nursery:

        async def pour() -> None:
            for _ in range(100):
                await client.send(b" " * 65_536)

        nursery.start_soon(pour)
        queues = rig.appliance.metrics._tables["startline_queue_depth"][1]
        await rig.until(lambda: queues()[("asgi_inbox",)] == 4)
        nursery.cancel_scope.cancel()
    await client.close()
    await rig.until(lambda: queues()[("asgi_inbox",)] == 0)
    go_on.set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_kernels_queue_is_told() -> None:
    with socket.socket() as listener, socket.socket() as one, socket.socket() as other:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        assert accept_depth([listener]) == 0
        for client in (one, other):
            client.connect(listener.getsockname())
        assert accept_depth([listener]) == 2
    assert accept_depth([listener]) == 0, "closed"
