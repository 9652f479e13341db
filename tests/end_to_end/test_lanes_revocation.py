"""A revoked key stops working within a second on a live server: requests in work end, open streams with an error."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio

from tests.end_to_end.test_lanes import fast, reference
from tests.rig import Client, Rig, chat, request, running

WITHIN_S = 1.0
REVOKED = "revoked_api_key"


@pytest.mark.parametrize("reach", [fast, reference])
async def test_whatever_a_key_was_doing_ends(reach: Callable[[Rig], Awaitable[Client]]) -> None:
    async with running() as rig:
        key, token = await rig.new_key()
        _, other = await rig.new_key()
        stream, silent, raced, bystander, idle = [await reach(rig) for _ in range(5)]
        await stream.send(request(key=token, body=chat(sim="stall=1,tokens=9", stream=True)))
        await stream.until(b'"content"')
        await silent.send(request(key=token, body=chat(sim="start=100", stream=True)))
        await raced.send(request(key=token, body=chat(sim="start=100", start_within="60s")))
        await bystander.send(request(key=other, body=chat(sim="start=1.5,tokens=1")))
        await rig.until(lambda: len(rig.journal) == 4)

        await rig.appliance.store.api_keys.revoke(key.key_id, now_unix_s=1)
        with trio.fail_after(WITHIN_S):
            left = await stream.until(b"0\r\n\r\n")
            assert b"[DONE]" not in left
            event = left.rpartition(b"data: ")[2].partition(b"\n\n")[0]
            assert msgspec.json.decode(event)["error"]["code"] == REVOKED
            for client in (silent, raced):
                answer = await client.answer()
                assert (answer.status, answer.code) == (401, REVOKED)
            await idle.send(request("GET", "/v1/models", key=token))
            assert (await idle.answer()).code == REVOKED
            await rig.journal.wait(lambda journal: len(journal.find(outcome="client_gone")) == 3)
        assert (await bystander.answer()).status == 200, "others are not touched"
        await rig.until(lambda: len(rig.settled) == 4)
        by_status = sorted((settled.request.status, settled.request.error_code or "") for settled in rig.settled)
        assert by_status == [(200, ""), (200, REVOKED), (401, REVOKED), (401, REVOKED)]
        causes = {one.cancel_cause for settled in rig.settled for one in settled.attempts if settled.request.error_code}
        assert causes == {"revoked"}


async def test_a_client_that_does_not_read_holds_up_nothing() -> None:
    async with running(send_buffer_bytes=32_768) as rig:
        key, token = await rig.new_key()
        client = await rig.connect()
        await client.send(request(key=token, body=chat(sim="tokens=32000", stream=True)))
        await rig.until(lambda: any(call.reply.busy for call in rig.appliance.gateway.live))
        await rig.appliance.store.api_keys.revoke(key.key_id, now_unix_s=1)
        with trio.fail_after(WITHIN_S):
            await rig.until(lambda: not rig.appliance.gateway.live and len(rig.settled) == 1)
            await rig.until(lambda: rig.appliance.listeners.connections == 0)
        assert not (await client.ended()).endswith(b"0\r\n\r\n"), "what was cut short never looks whole"


async def test_the_connection_may_be_used_again_with_another_key() -> None:
    async with running() as rig:
        key, token = await rig.new_key()
        client = await rig.connect()
        await client.send(request(key=token, body=chat(sim="start=100")))
        await rig.until(lambda: len(rig.journal) == 1)
        await rig.appliance.store.api_keys.revoke(key.key_id, now_unix_s=1)
        answer = await client.answer()
        assert (answer.status, answer.complete, answer.header("connection")) == (401, True, None)
        await client.send(request(key=rig.token, body=chat()))
        assert (await client.answer()).status == 200
