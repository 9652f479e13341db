"""What is answered without a provider counts among the key's requests, and a bug in it ends no connection."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from appliance.request.account import Accounts
from appliance.request.endpoint import MODELS, REQUEST
from tests.request.stage import Stage
from tests.request.test_account import ID, Stuck

Make = Callable[..., Stage]


async def test_as_many_as_a_key_may_have_at_once(clock: MockClock, stage: Make) -> None:
    s = stage(settings={"max_requests_per_key": 2})
    s.gateway.information._accounts = Accounts(Stuck(), {}, s.gateway.prices)
    clients = []
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            call, client = s.prepare({}, endpoint=REQUEST, argument=ID)
            clients.append(client)
            nursery.start_soon(s.gateway.answer, call)
            await trio.testing.wait_all_tasks_blocked()
        assert [client.status for client in clients] == [0, 0, 429]
        call, client = s.prepare({}, endpoint=MODELS)
        await s.gateway.answer(call)
        assert client.status == 200
    assert [client.status for client in clients] == [503, 503, 429]
    assert s.gateway.key_slots.total == 0


async def test_a_bug_is_told_as_one(clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    s = stage()
    monkeypatch.setattr(s.gateway.information, "_accounts", None)
    call, client = s.prepare({}, endpoint=REQUEST, argument=ID)
    await s.gateway.answer(call)
    assert client.status == 500 and client.error["code"] == "internal_error"
    s.check()
