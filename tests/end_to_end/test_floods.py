"""Floods against a served process, in both lanes: memory stays bounded, others are served, nothing is left."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import trio
import trio.lowlevel

from tests.end_to_end.crowd import MIB, allow_files, crowded
from tests.end_to_end.stage import Stage, staged
from tests.rig import CHAT, Client, chat, request

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

HEAD_S = 2.0


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    allow_files()
    limits = {"HEAD_TIMEOUT_S": HEAD_S, "BODY_TIMEOUT_S": 2, "WRITE_TIMEOUT_S": 2, "MAX_BODIES_BYTES": 64 * MIB}
    settings = {f"STARTLINE_{name}": str(value) for name, value in limits.items()}
    with staged(tmp_path_factory.mktemp("floods"), STARTLINE_SHUTDOWN_S="2", **settings) as stage:
        yield stage


LANES = pytest.mark.parametrize("lane", ["fast", "asgi"])


@LANES
async def test_many_connections_that_say_nothing(flooded: Stage, lane: str) -> None:
    async def nothing(_: Client) -> None:
        await trio.lowlevel.checkpoint()

    async with crowded(flooded, most_bytes=(60 if lane == "fast" else 120) * MIB) as crowd:
        await crowd.all_do(1000, nothing, crowd.joining(lane))
        assert crowd.connections() >= 1000


@LANES
async def test_many_heads_without_end(flooded: Stage, lane: str) -> None:
    statuses: list[int] = []

    async def go_on(client: Client) -> None:
        await client.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n")
        for _ in range(60):
            await client.send(b"a: " + b"x" * 1000 + b"\r\n")
        await trio.sleep(0.3)
        for _ in range(20):
            await client.send(b"a: " + b"x" * 1000 + b"\r\n")
        statuses.append((await client.answer()).status)

    async with crowded(flooded, most_bytes=80 * MIB) as crowd:
        await crowd.all_do(300, go_on, crowd.joining(lane))
    assert set(statuses) <= {408, 431} and len(statuses) > 200


@LANES
async def test_many_requests_of_junk(flooded: Stage, lane: str) -> None:
    junk = [
        b"\x00\xff" * 500,
        b"GET / HTTP/1.1\r\n" + b"x" * 500 + b"\r\n\r\n",
        request("GET", "/v1/models", key="sk-sl-junk") * 50,
        request("POST", CHAT, key="sk-sl-junk", body=chat()) * 20,
        b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" * 9,
        request("GET", "/nothing") * 50,
    ]
    sent = 0

    async def talk(client: Client) -> None:
        nonlocal sent
        sent += 1
        await client.send(junk[sent % len(junk)])
        await client.half_close()
        await client.ended()

    async with crowded(flooded, most_bytes=60 * MIB) as crowd:
        for _ in range(4):
            await crowd.all_do(150, talk, crowd.joining(lane))


@LANES
async def test_many_that_send_one_byte_now_and_then(flooded: Stage, lane: str) -> None:
    told: list[bytes] = []

    async def drip(client: Client) -> None:
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                for byte in request("GET", "/v1/models", key=flooded.key, headers=[("x-long", "x" * 500)]):
                    await client.send(bytes([byte]))
                    await trio.sleep(0.3)

            nursery.start_soon(send)
            told.append(await client.ended())
            nursery.cancel_scope.cancel()

    async with crowded(flooded, most_bytes=60 * MIB) as crowd:
        with trio.fail_after(HEAD_S * 3 + 10):
            await crowd.all_do(400, drip, crowd.joining(lane))
    assert len([one for one in told if b" 408 " in one[:20]]) > 300


async def test_many_that_come_and_go(flooded: Stage) -> None:
    async with crowded(flooded, most_bytes=40 * MIB) as crowd:
        for _ in range(20):
            async with trio.open_nursery() as nursery:
                for nth in range(100):
                    nursery.start_soon(crowd.come_and_go, bool(nth % 2))
        await crowd.until_gone()


@LANES
async def test_many_bodies_at_once_take_no_more_than_they_may(flooded: Stage, lane: str) -> None:
    data = request("POST", CHAT, key=flooded.key, body=chat("x" * 4 * MIB))[:-1]
    answers: list[int] = []

    async def upload(client: Client) -> None:
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                answers.append((await client.answer()).status)
                nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            with suppress(trio.BrokenResourceError):
                await client.send(data)

    async with crowded(flooded, most_bytes=170 * MIB, most_wait_s=10) as crowd:  # 640 MiB want to come
        await crowd.all_do(160, upload, crowd.joining(lane))
    assert answers.count(503) > 20, "the rest was told to come again"
