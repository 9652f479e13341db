"""The corpus of hostile requests against a running server, in both lanes: alone, second, and behind a good request.

Each one is answered with its status and code, in the caller's dialect, as the connection's last answer; nothing of it
reaches the provider, nothing behind it is read as a request, and the log stays clean.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog

from appliance.server.front import REFUSALS
from tests.http1.drive import SMALL
from tests.http1.smuggling_corpus import CORPUS
from tests.rig import Answer, Rig, chat, request, running

pytestmark = pytest.mark.sockets

LIMITS = replace(SMALL, head_bytes=600, body_bytes=300)
"""As the corpus wants them, but with room for a key and a good body."""
SMUGGLED = "smuggled"
CASES = {name: (data, status) for name, data, status, _ in CORPUS if name != "body_too_large"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running() as started:
        started.appliance.front.limits = LIMITS
        started.appliance.lane.limits = LIMITS
        yield started


def aimed(data: bytes, path: bytes, key: str) -> bytes:
    """The hostile request at a path that the lane serves, with a key, so that nothing but its framing is wrong."""
    data = data.replace(b" / HTTP", b" " + path + b" HTTP", 1)
    head, end, body = data.partition(b"\r\n\r\n")
    if head.endswith(b"\r\nTransfer-Encoding: chunked") and b"Content-Length" not in head:
        return head + b"\r\nAuthorization: Bearer " + key.encode() + end + body
    return data


def judged(answer: Answer, status: int, name: str) -> None:
    assert answer.status == status, (name, answer.body)
    assert answer.code == REFUSALS.get(status, "bad_framing"), name
    assert answer.header("connection") == "close", name
    assert answer.complete, name
    error = answer.json["error"]
    assert error["message"] and error["startline"]["origin"] == "startline", name
    assert error["startline"]["status"] == status, name


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_alone_and_behind_a_good_request(rig: Rig, lane: str) -> None:
    path = b"/v1/chat/completions" if lane == "fast" else b"/admin/v1/keys"
    key = rig.token if lane == "fast" else rig.management_token
    before = request("GET", "/v1/models" if lane == "fast" else "/healthz", key=rig.token)
    behind = request(key=rig.token, body=chat(SMUGGLED))
    with structlog.testing.capture_logs() as logs:
        for name, (case, status) in CASES.items():
            data = aimed(case, path, key)
            for way in ("alone", "second", "pipelined"):
                client = await rig.connect()
                if way == "second":
                    await client.send(before)
                    assert (await client.answer()).status == 200
                elif way == "pipelined":
                    data = before + data
                await client.send(data if "endless" in name else data + behind)
                if way == "pipelined":
                    assert (await client.answer()).status == 200
                judged(await client.answer(), status, f"{name}, {way}")
                assert await client.ended() == b"", name
                assert not client.was_reset, name
                await client.close()
            await rig.alive()
    assert len(rig.journal) == 0, "nothing reached the provider"
    assert rig.settled == []
    assert [line for line in logs if line["event"] != "request"] == []
    await rig.until(lambda: rig.appliance.listeners.connections == 0)
