"""Clients that stop reading, in both lanes and of every kind of answer: little is held for them, and not for long."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trio

from tests.end_to_end.crowd import MIB, Crowd, allow_files, crowded
from tests.end_to_end.processes import command
from tests.end_to_end.stage import Stage, staged
from tests.rig import CHAT, chat, request

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

CLIENTS = {"stream": 10, "whole": 12}
FEW = 3
"""Clients where each asks for thousands of small answers."""

WRITE_S = 1.0
RECEIVE_BYTES = 16_384
"""What the clients' kernel takes for them."""

BIG = {"model": "text-embedding-3-small", "input": ["a"] * 40, "dimensions": 1_500}


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    allow_files()
    settings = {"STARTLINE_WRITE_TIMEOUT_S": str(WRITE_S), "STARTLINE_SHUTDOWN_S": "2"}
    with staged(tmp_path_factory.mktemp("readers"), **settings) as stage:
        yield stage


def management_key(stage: Stage) -> str:
    made = command("key", "create", "--name", "m", "--management", "--json", environ=stage.environ)
    return str(msgspec.json.decode(made)["key"])


def asked(stage: Stage, kind: str) -> bytes:
    """What a client sends whose answers are many megabytes."""
    if kind == "stream":
        body = chat(stream=True, metadata={"simulator": "tokens=32000"})
        return request("POST", CHAT, key=stage.key, body=body)
    if kind == "whole":
        return request("POST", "/v1/embeddings", key=stage.key, body=BIG) * 4
    if kind == "list":
        return request("GET", "/v1/models", key=stage.key) * 3000
    if kind == "errors":
        return request("GET", "/v1/models", key="sk-sl-nobody") * 9000
    return request("GET", {"metrics": "/metrics", "page": "/docs/errors"}[kind], key=management_key(stage)) * 800


async def stop_reading(crowd: Crowd, data: bytes, lane: str, count: int) -> None:
    """So many clients ask for much and read nothing."""
    async with trio.open_nursery() as nursery:

        async def one() -> None:
            client = await (crowd.join(RECEIVE_BYTES) if lane == "fast" else crowd.join_asgi(RECEIVE_BYTES))
            with trio.move_on_after(0.5):
                await client.send(data)

        for _ in range(count):
            nursery.start_soon(one)


KINDS = [
    ("fast", "stream"),
    ("asgi", "stream"),
    ("fast", "whole"),
    ("asgi", "whole"),
    ("fast", "list"),
    ("fast", "errors"),
    ("asgi", "metrics"),
    ("asgi", "page"),
]


@pytest.mark.parametrize(("lane", "kind"), KINDS)
async def test_little_is_held_and_others_are_served(patient: Stage, lane: str, kind: str) -> None:
    data, count = asked(patient, kind), CLIENTS.get(kind, FEW)
    # Without a bound ten streams would be 80 MiB. Whole answers are held whole, 1.2 MB each, for a while some twice.
    async with crowded(patient, most_bytes=(60 if kind == "whole" else 30) * MIB) as crowd:
        await stop_reading(crowd, data, lane, count)
        assert crowd.connections() > count / 2, "they are still there"
        await crowd.until_gone(WRITE_S * 3 + 15)  # given up by the server: the clients have not closed


def test_a_stop_is_bounded_while_many_do_not_read(tmp_path: Path) -> None:
    with staged(tmp_path, STARTLINE_WRITE_TIMEOUT_S="600", STARTLINE_SHUTDOWN_S="1") as stage:
        wishes = {(lane, kind): asked(stage, kind) for lane, kind in KINDS}
        crowd = Crowd(stage)

        async def main() -> None:
            for (lane, _), data in wishes.items():
                await stop_reading(crowd, data, lane, FEW)
            assert crowd.connections() > len(wishes) * FEW / 2
            stage.server.popen.send_signal(signal.SIGTERM)
            began_s = time.monotonic()
            await trio.to_thread.run_sync(stage.server.popen.wait, 30)
            stopped_s.append(time.monotonic() - began_s)
            crowd.disperse()

        stopped_s: list[float] = []
        trio.run(main)
        assert stopped_s[0] < 10, "shutdown_s, a last word of 5 s at most, and what a busy machine adds"
