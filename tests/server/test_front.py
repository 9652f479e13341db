"""What connections share: dates, ids, patience, and who is told of a stop."""

from email.utils import parsedate_to_datetime

import pytest
import trio
import trio.testing

from appliance.http1.refusal import ProtocolRefusal
from appliance.server.front import Patience, protocol_fault
from tests.rig import Rig, request


async def test_the_date_is_now_and_made_once_a_second(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    front = rig.appliance.front
    before = front.unix_us() // 1_000_000
    assert before <= parsedate_to_datetime(front.date().decode()).timestamp() <= front.unix_us() / 1_000_000
    dates = []
    for now_ns in (1_000_000_000, 1_999_999_999, 2_000_000_000):
        monkeypatch.setattr("appliance.server.front.time.time_ns", lambda now_ns=now_ns: now_ns)
        dates.append(front.date())
    assert dates[0] == b"Thu, 01 Jan 1970 00:00:01 GMT" and dates[2] == b"Thu, 01 Jan 1970 00:00:02 GMT"
    assert dates[1] is dates[0]


async def test_ids_are_unique_and_sort_by_time(rig: Rig) -> None:
    front = rig.appliance.front
    ids = [front.request_id(1_800_000_000_000_000 + at) for at in range(2_000)]
    assert sorted(ids) == ids
    same = [front.request_id(1_800_000_000_000_000) for _ in range(2_000)]
    assert len(set(same)) == len(same)


def test_each_phase_has_its_patience() -> None:
    patience = Patience(idle_s=75, head_s=30, body_s=20, body_total_s=300)
    assert [patience.of_s(phase) for phase in ("IDLE", "HEAD", "BODY")] == [75, 30, 20]
    assert patience.of_s("BUSY") == patience.of_s("LINGER") == float("inf")
    assert patience.shortest_s == 10
    assert "300 seconds" in patience.too_slow


async def test_connections_are_looked_at_now_and_then_and_told_of_a_stop(
    rig: Rig, mock_clock: trio.testing.MockClock
) -> None:
    front = rig.appliance.front
    told: list[str] = []

    class Connection:
        def look(self, now_s: float) -> None:
            told.append(f"look at {now_s - began:g}")

        def stop(self) -> None:
            told.append("stop")
            front.fast.discard(self)

    began = trio.current_time()
    front.fast.add(Connection())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(front.watch)
        for _ in range(2):
            await trio.testing.wait_all_tasks_blocked(0.01)
            mock_clock.jump(front.patience.shortest_s)
            await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    wait_s = front.patience.shortest_s
    assert {f"look at {wait_s:g}", f"look at {2 * wait_s:g}"} <= set(told)
    told.clear()
    front.stop()
    assert (told, front.stopping) == (["stop"], True)


async def test_a_connection_is_forgotten_when_it_ends(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request("GET", "/v1/models", key=rig.token))
    await client.answer()
    assert len(rig.appliance.front.fast) == 1
    await client.close()
    await rig.until(lambda: not rig.appliance.front.fast)


async def test_what_is_turned_away_at_the_door_is_counted_by_its_code(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request("GET", "/v1/models", key="sk-sl-nobody"))
    assert (await client.answer()).status == 401
    await client.send(request("GET", "/v1/nothing", key=rig.token))
    assert (await client.answer()).status == 404
    told = rig.appliance.metrics.exposition().decode()
    assert 'startline_refused_total{code="invalid_api_key"} 1.0' in told
    assert 'startline_refused_total{code="route_not_found"} 1.0' in told


def test_what_broke_the_protocol_is_told_with_a_code_of_its_own() -> None:
    told = [
        (status, protocol_fault(ProtocolRefusal(status, "bad_chunk", "a sentence"))) for status in (400, 413, 417, 431)
    ]
    assert [fault.code for _, fault in told] == [
        "bad_framing",
        "request_too_large",
        "expectation_failed",
        "head_too_large",
    ]
    assert all(fault.status == status and fault.message.startswith("A sentence. Se") for status, fault in told)
