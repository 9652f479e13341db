"""The account that a key gets of its own requests: ended, in work, just now ended; and of nobody else's."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.domain.identity import ApiKey
from appliance.request.account import Accounts, account
from appliance.request.call import Call
from appliance.store.memory import MemoryLedger
from appliance.store.usage import UsageDetail
from tests.request.stage import SILENCE, Client, Stage, leaves, refuses, starts
from tests.rig import chat, running

Make = Callable[..., Stage]
ID = "req_" + "0" * 26


def ask(stage: Stage, **fields: Any) -> tuple[Call, Client]:
    """A race whose request has an id of the usual form."""
    call, client = stage.prepare({"stream": True, "start_within": "10s"} | fields)
    call.request_id = ID
    return call, client


async def read(stage: Stage, key: ApiKey | None = None, request_id: str = ID) -> Any:
    accounts = stage.gateway.information._accounts
    return msgspec.json.decode(await accounts.body(key or stage.key, request_id))


async def test_a_race_is_told_in_full(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(1.5, "default", ends_s=2.0))
    call, _ = ask(s)
    await s.run(call)
    told = await read(s)
    assert (told["state"], told["id"], told["asked"]["start_within"]) == ("ended", ID, "10s")
    assert [(e["at_s"], e["event"], e["attempt"], e["why"]) for e in told["events"]] == [
        (0.0, "launched", 1, "first"),
        (5.0, "launched", 2, "launch_time"),
        (6.5, "started", 2, None),
        (6.5, "cancelled", 1, "lost_race"),
        (7.0, "completed", 2, None),
    ]
    assert told["answer"]["reason"] == "flex_deadline" and told["answer"]["why"].startswith("a dearer rung")
    assert told["answer"]["deadline_met"] is True and told["answer"]["started_s"] == 6.5
    plan = told["plan"]
    assert [(rung["tier"], rung["launch_s"]) for rung in plan["rungs"]] == [("flex", 0.0), ("default", 5.0)]
    assert 0 < plan["chance"] <= 1 and plan["chance_least"] <= plan["chance"] and plan["target"] == 0.99
    flex, default = told["attempts"]
    assert (flex["outcome"], flex["ended_s"], default["outcome"]) == ("lost", 6.5, "won")
    cost = told["cost"]
    assert float(default["cost_usd"]) > 0 and cost["always_default_usd"] == default["cost_usd"]
    assert float(cost["usd"]) == pytest.approx(float(default["cost_usd"]) + float(flex["cost_usd"]))
    assert cost["beside_answer_usd"] == flex["cost_usd"]


async def test_what_was_left_running_is_told_as_far_as_it_was_seen(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(8.0, "flex"), default=starts(1.0, "default", ends_s=1.5), provider={"abort_billing": "free"})
    s.let_linger(0)
    call, _ = ask(s)
    await s.run(call)
    before = await read(s)
    assert [(e["at_s"], e["event"]) for e in before["events"] if e["attempt"] == 1] == [
        (0.0, "launched"),
        (6.0, "detached"),
    ]
    assert before["attempts"][0]["ended_s"] is None
    await trio.sleep_until(call.arrived_s + 9.0)
    told = await read(s)
    assert {"at_s": 8.0, "event": "observed", "attempt": 1, "why": "started"} in told["events"]
    assert (told["attempts"][0]["outcome"], told["attempts"][0]["ended_s"]) == ("detached", 8.0)


async def test_where_a_provider_is_stays_with_the_operator(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    call, _ = ask(s)
    await s.run(call)
    assert "provider.test" not in msgspec.json.encode(await read(s)).decode()


async def test_a_request_in_work_is_told_as_far_as_it_is(clock: MockClock, stage: Make) -> None:
    s = stage(flex=refuses(1.0, 429, "resource_unavailable"), default=starts(7.0, "default"))
    seen: list[Any] = []

    async def look(call: Call, client: Client) -> None:
        await trio.sleep_until(call.arrived_s + 3.0)
        seen.append(await read(s))

    call, client = ask(s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look, call, client)
        await s.run(call)
    (told,) = seen
    assert (told["state"], told["answer"], told["cost"]) == ("running", None, None)
    assert [(e["at_s"], e["event"]) for e in told["events"]] == [(0.0, "launched"), (1.0, "refused"), (1.0, "launched")]
    assert [one["outcome"] for one in told["attempts"]] == ["refused", "running"]
    assert told["attempts"][1]["ended_s"] is None and told["attempts"][1]["cost_usd"] is None
    assert (await read(s))["state"] == "ended"


async def test_a_client_that_left_finds_out_what_became_of_its_request(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE)
    call, client = ask(s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leaves(2.0), call, client)
        await s.run(call)
    told = await read(s)
    assert told["answer"]["client_gone"] and told["answer"]["error"] == "client_gone"
    assert told["events"][-1] == {"at_s": 2.0, "event": "gone", "attempt": None, "why": None}


async def test_a_request_that_the_end_of_the_server_cut_off(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    call, _ = ask(s)
    await s.run(call)
    row = msgspec.structs.replace(s.request, status=0, error_code="interrupted", reason=None, cost_nanos=None)
    told = account(row, ())
    assert (told["state"], told["events"], told["cost"]["usd"]) == ("interrupted", [], None)


async def test_what_is_not_this_keys_is_not_found(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(8.0, "flex"), default=SILENCE)
    sister = msgspec.structs.replace(s.key, key_id="key_sister")
    refused = []

    async def look(call: Call, client: Client) -> None:
        await trio.sleep_until(call.arrived_s + 3.0)
        with pytest.raises(CallerFault) as fault:
            await read(s, sister)
        refused.append(fault.value.code)

    call, client = ask(s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look, call, client)
        await s.run(call)
    assert refused == ["request_not_found"]
    for key, request_id in ((sister, ID), (s.key, ID[:-1] + "1"), (s.key, "req_1"), (s.key, "' OR 1")):
        with pytest.raises(CallerFault, match="request_not_found"):
            await read(s, key, request_id)
    assert (await read(s))["id"] == ID


async def test_a_row_that_is_on_its_way_is_waited_for_and_no_longer_than_that(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    call, _ = ask(s)
    await s.run(call)
    late = list(s.ledger.settled)
    s.ledger.settled.clear()
    began_s = trio.current_time()
    with pytest.raises(CallerFault, match="request_not_found"):
        await read(s)
    assert trio.current_time() - began_s == pytest.approx(0.5)

    async def written() -> None:
        await trio.sleep(0.3)
        s.ledger.settled += late

    async with trio.open_nursery() as nursery:
        nursery.start_soon(written)
        assert (await read(s))["state"] == "ended"


class Stuck(MemoryLedger):
    """A database that does not answer."""

    async def request(self, request_id: str, *, organisation_id: str | None = None) -> UsageDetail | None:
        await trio.sleep_forever()
        raise AssertionError


async def test_a_database_that_does_not_answer_is_not_waited_for(clock: MockClock, stage: Make) -> None:
    s = stage()
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        await Accounts(Stuck(), {}, s.gateway.prices).body(s.key, ID)
    assert trio.current_time() < 10


async def test_over_the_wire_in_both_lanes_and_in_the_callers_dialect() -> None:
    async with running() as rig:
        async with rig.http() as client:
            answer = await client.post("/v1/chat/completions", json=chat(start_within="30s", stream=True))
            path = f"/v1/requests/{answer.headers['x-startline-request-id']}"
            told = (await client.get(path)).json()
            assert told["answer"]["reason"] == answer.headers["x-startline-reason"]
            assert told["state"] == "ended" and told["plan"]["says"]
            assert (await client.get(path, headers={"connection": "close"})).json() == told
            head = await client.head(path)
            assert head.status_code == 200 and not head.content
            _, other = await rig.new_key()
            theirs = {"authorization": f"Bearer {other}"}
            for headers, kind in (
                (theirs, "invalid_request_error"),
                (theirs | {"anthropic-version": "2023-06-01"}, "not_found_error"),
            ):
                refused = await client.get(path, headers=headers)
                assert refused.status_code == 404 and refused.json()["error"]["type"] == kind
                assert refused.json()["error"]["startline"]["code"] == "request_not_found"
            assert (
                await client.get(path, headers={"authorization": f"Bearer {rig.management_token}"})
            ).status_code == 401
            assert (await client.delete(path)).status_code == 405
            assert (await client.get("/v1beta/requests/req_1")).status_code == 404
        assert len(rig.settled) == 1, "asking leaves no record"
