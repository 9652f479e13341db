"""Memory of long bodies, against a running server: bounded in sum, in both lanes, given back however a request ends."""

import gzip
from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio

from appliance.domain.errors import ApplianceFault
from appliance.request.bodies import Bodies
from tests.rig import CHAT, Answer, Client, Rig, chat, request, running

MIB = 1024 * 1024
LONG = "x" * 700_000

Reach = Callable[[Rig], Awaitable[Client]]


async def fast(rig: Rig) -> Client:
    return await rig.connect()


async def reference(rig: Rig) -> Client:
    client = await rig.connect()
    await client.send(request("GET", "/healthz"))
    assert (await client.answer()).status == 200
    return client


LANES = pytest.mark.parametrize("reach", [fast, reference])


def held(rig: Rig) -> int:
    return rig.appliance.gateway.bodies.held_bytes


def refused(answer: Answer) -> bool:
    assert answer.complete
    return (answer.status, answer.code, answer.header("retry-after")) == (503, "too_many_bodies", "1")


@LANES
async def test_bodies_that_come_at_the_same_time_are_bounded_in_sum(reach: Reach) -> None:
    async with running(max_bodies_bytes=MIB) as rig:
        data = request(key=rig.token, body=chat(LONG))
        slow, second, small, third = [await reach(rig) for _ in range(4)]
        await slow.send(data[:-10])
        await rig.until(lambda: held(rig) > 600_000)
        await second.send(data)
        answer = await second.answer()
        assert refused(answer) and answer.header("connection") == "close"
        await small.send(request(key=rig.token, body=chat("hi")))
        assert (await small.answer()).status == 200, "small ones need no room"
        await slow.send(data[-10:])
        assert (await slow.answer()).status == 200
        await rig.until(lambda: held(rig) == 0)
        await third.send(data)
        assert (await third.answer()).status == 200
        await rig.until(lambda: held(rig) == 0)


@LANES
async def test_a_body_is_held_until_its_answer_starts_and_not_while_it_streams(reach: Reach) -> None:
    async with running() as rig:
        client = await reach(rig)
        await client.send(request(key=rig.token, body=chat(LONG, sim="start=0.3,stall=1,tokens=9", stream=True)))
        await rig.journal.wait(lambda journal: len(journal) == 1)
        assert 600_000 < held(rig) < 800_000
        await client.until(b'"content"')
        assert held(rig) == 0


@LANES
@pytest.mark.parametrize("how", ["leaves", "leaves in work", "too large", "revoked", "too slow", "bad JSON", "a list"])
async def test_room_is_given_back_however_it_ends(reach: Reach, how: str) -> None:
    async with running(max_body_bytes=MIB, body_timeout_s=0.2 if how == "too slow" else 30) as rig:
        data = request(key=rig.token, body=chat(LONG, sim="start=100"))
        client = await reach(rig)
        if how == "too large":
            body = data.split(b"\r\n\r\n", 1)[1]
            chunk = b"%x\r\n%b\r\n" % (len(body), body)
            chunked = request(key=rig.token, headers=[("transfer-encoding", "chunked")])
            await client.send(chunked + chunk)
            await rig.until(lambda: held(rig) > 0)
            await client.send(chunk)
            assert (await client.answer()).status == 413
        elif how == "bad JSON":
            await client.send(request(key=rig.token, body=b"{" + b" " * 300_000))
            assert (await client.answer()).status == 400
        elif how == "a list":  # a GET may have a body, which nobody needs
            await client.send(request("GET", "/v1/models", key=rig.token, body=b" " * 300_000))
            assert (await client.answer()).status == 200
        else:
            await client.send(data[: -1 if how != "leaves in work" else None])
            await rig.until(lambda: held(rig) > 600_000)
            if how == "leaves in work":
                await rig.journal.wait(lambda journal: len(journal) == 1)
            if how == "revoked":
                await rig.appliance.store.api_keys.revoke(rig.key.key_id, now_unix_s=1)
                await client.send(data[-1:])
                assert (await client.answer()).code == "revoked_api_key"
            elif how == "too slow":
                await client.ended()
            else:
                await client.close()
        await rig.until(lambda: held(rig) == 0)


@LANES
async def test_what_a_few_bytes_stand_for_counts_too(reach: Reach) -> None:
    async with running(max_bodies_bytes=MIB) as rig:
        for size, status in ((500_000, 200), (1_100_000, 503), (500_000, 200)):
            body = gzip.compress(msgspec.json.encode(chat("x" * size)))
            assert len(body) < 10_000
            client = await reach(rig)
            await client.send(request(key=rig.token, body=body, headers=[("content-encoding", "gzip")]))
            answer = await client.answer()
            assert answer.status == status and (status == 200 or refused(answer))
            await rig.until(lambda: held(rig) == 0)


@LANES
async def test_answers_that_nobody_takes_keep_new_requests_out_and_are_given_up_in_time(reach: Reach) -> None:
    async with running(max_bodies_bytes=500_000, write_timeout_s=1.0, send_buffer_bytes=16_384) as rig:
        lazy, other = [await reach(rig) for _ in range(2)]
        lazy.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 16_384)
        many = {"model": "text-embedding-3-large", "input": ["a"] * 60, "dimensions": 1_500}
        await lazy.send(request(path="/v1/embeddings", key=rig.token, body=many))
        await rig.until(lambda: held(rig) > 1_000_000)
        await rig.until(lambda: any(call.reply.busy for call in rig.appliance.gateway.live))
        await other.send(request(key=rig.token, body=chat("hi")))
        assert refused(await other.answer())
        await rig.until(lambda: held(rig) == 0)
        again = await reach(rig)
        await again.send(request(key=rig.token, body=chat("hi")))
        assert (await again.answer()).status == 200


async def test_an_answer_that_is_assembled_is_counted_and_bounded() -> None:
    async with running(max_answer_bytes=300_000) as rig:
        client = await rig.connect()
        most = 0

        async def look() -> None:
            nonlocal most
            while True:
                most = max(most, held(rig))
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await client.send(request(key=rig.token, body=chat(sim="tokens=500", start_within="20s")))
            assert (await client.answer()).status == 200
            await client.send(request(key=rig.token, body=chat(sim="tokens=9000", start_within="20s")))
            answer = await client.answer()
            nursery.cancel_scope.cancel()
        assert (answer.status, answer.code) == (502, "provider_garbled")
        assert "max_answer_bytes" in answer.json["error"]["message"]
        assert 50_000 < most <= 300_000
        await rig.until(lambda: held(rig) == 0)


@LANES
async def test_a_key_has_so_many_requests_at_once(reach: Reach) -> None:
    async with running(max_requests_per_key=2) as rig:
        other, token = await rig.new_key()
        streams = [await reach(rig) for _ in range(2)]
        for client in streams:
            await client.send(request(key=rig.token, body=chat(sim="stall=1,tokens=9", stream=True)))
            await client.until(b'"content"')
        third = await reach(rig)
        await third.send(request(key=rig.token, body=chat()))
        answer = await third.answer()
        assert (answer.status, answer.code, answer.header("retry-after")) == (429, "too_many_requests_of_key", "1")
        for path, key in ((CHAT, token), ("/v1/models", rig.token)):
            client = await reach(rig)
            await client.send(request("POST" if path == CHAT else "GET", path, key=key, body=chat()))
            assert (await client.answer()).status == 200, path
        await streams[0].close()
        await rig.until(lambda: len(rig.appliance.gateway.live) == 1)
        again = await reach(rig)
        await again.send(request(key=rig.token, body=chat()))
        assert (await again.answer()).status == 200
        assert rig.appliance.gateway.key_slots.taken(other.key_id) == 0


def test_what_does_not_fit_takes_nothing() -> None:
    bodies = Bodies(100)
    bodies.take(60)
    with pytest.raises(ApplianceFault):
        bodies.take(41)
    assert bodies.held_bytes == 60
    bodies.take(40)
    bodies.check()
    bodies.add(1)
    with pytest.raises(ApplianceFault):
        bodies.check()
    bodies.give_back(101)
    bodies.check()
