"""Requests that come slowly or never whole, in both lanes: given up in time and told so, while others are served.

The clock is virtual: a byte a second for minutes takes no time.
"""

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import msgspec
import pytest
import structlog
import trio
import trio.testing

from tests.rig import CHAT, Answer, Client, Rig, chat, request, running

pytestmark = pytest.mark.sockets

HEAD_S, PAUSE_S, TOTAL_S = 12.0, 8.0, 40.0
LATE_S = 5.0
"""How much later than its limit a request may be given up: limits are looked at now and then."""


def split(data: bytes) -> tuple[bytes, bytes]:
    head, end, body = data.partition(b"\r\n\r\n")
    return head + end, body


def a_byte_each(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def _head(_: str) -> tuple[bytes, Iterator[bytes]]:
    return b"", a_byte_each(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n" + b"x-a: b\r\n" * 20)


def _headers(_: str) -> tuple[bytes, Iterator[bytes]]:
    return b"GET /healthz HTTP/1.1\r\n", repeat(b"x: y\r\n")


def _half_a_head(_: str) -> tuple[bytes, Iterator[bytes]]:
    return b"GET /healthz HTTP/1.1\r\nho", repeat(b"")


def _body(key: str) -> tuple[bytes, Iterator[bytes]]:
    head, body = split(request(key=key, body=chat("x" * 500)))
    return head, a_byte_each(body)


def _half_a_body(key: str) -> tuple[bytes, Iterator[bytes]]:
    return request(key=key, body=chat("x" * 500))[:-5], repeat(b"")


def _chunks(key: str) -> tuple[bytes, Iterator[bytes]]:
    head = request(key=key, headers=[("transfer-encoding", "chunked")])
    return head, chain.from_iterable(repeat([b"1\r\n", b" ", b"\r\n"]))


def _trailers(key: str) -> tuple[bytes, Iterator[bytes]]:
    head = request(key=key, headers=[("transfer-encoding", "chunked")])
    content = msgspec.json.encode(chat())
    return head + b"%x\r\n%b\r\n0\r\n" % (len(content), content), repeat(b"a: b\r\n")


WAYS: dict[str, tuple[Callable[[str], tuple[bytes, Iterator[bytes]]], float]] = {
    "a head, a byte a second": (_head, HEAD_S),
    "headers without end": (_headers, HEAD_S),
    "half a head": (_half_a_head, HEAD_S),
    "a body, a byte a second": (_body, TOTAL_S),
    "half a body": (_half_a_body, PAUSE_S),
    "chunks without end": (_chunks, TOTAL_S),
    "trailers without end": (_trailers, TOTAL_S),
}


async def _settle() -> None:
    for _ in range(2):
        await trio.testing.wait_all_tasks_blocked(0.001)


async def drip(
    client: Client, first: bytes, more: Iterator[bytes], clock: trio.testing.MockClock
) -> tuple[Answer, float]:
    """Send the first bytes, then a piece each second until there is an answer: it, and after how many seconds."""
    answers: list[Answer] = []

    async def listen() -> None:
        answers.append(await client.answer())

    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await client.send(first)
        while not answers:
            await _settle()
            clock.jump(1.0)
            await _settle()
            if not answers and (piece := next(more)):
                await client.send(piece)
    return answers[0], trio.current_time() - began_s


@pytest.mark.parametrize("lane", ["fast", "asgi"])
@pytest.mark.parametrize("way", WAYS)
async def test_what_comes_too_slowly_is_given_up_and_told(
    way: str, lane: str, mock_clock: trio.testing.MockClock
) -> None:
    make, limit_s = WAYS[way]
    limits: dict[str, Any] = {
        "head_timeout_s": HEAD_S,
        "body_timeout_s": PAUSE_S,
        "body_total_s": TOTAL_S,
        "keep_alive_s": 10_000,
    }
    async with running(limit_s=1_000_000, **limits) as rig:
        client = await rig.connect()
        if lane == "asgi":
            await client.send(request("GET", "/healthz"))
            assert (await client.answer()).status == 200
        with structlog.testing.capture_logs() as logs:
            answer, took_s = await drip(client, *make(rig.token), mock_clock)
        assert (answer.status, answer.code, answer.header("connection")) == (408, "request_timeout", "close")
        assert limit_s <= took_s <= limit_s + LATE_S, took_s
        if limit_s == TOTAL_S:
            assert "longer than 40 seconds" in answer.json["error"]["message"]
        assert await client.ended() == b""
        assert len(rig.journal) == 0
        assert logs == []
        await _alive(rig)


async def _alive(rig: Rig) -> None:
    for path in ("/v1/models", "/healthz"):
        client = await rig.connect()
        await client.send(request("GET", path, key=rig.token))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_trailers_that_come_quickly_are_bounded_too(lane: str) -> None:
    async with running() as rig:
        client = await rig.connect()
        if lane == "asgi":
            await client.send(request("GET", "/healthz"))
            assert (await client.answer()).status == 200
        first, more = _trailers(rig.token)
        await client.send(first + b"".join(next(more) for _ in range(2_000)))
        answer = await client.answer()
        assert (answer.status, answer.code) == (431, "head_too_large")
        assert await client.ended() == b""
        assert not client.was_reset
        assert len(rig.journal) == 0
        await rig.alive()


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_a_client_that_waits_for_100_is_told_before_it_sends(lane: str) -> None:
    expect = ("expect", "100-continue")
    async with running(max_body_bytes=100_000) as rig:
        for key, path, length, status, code in (
            (rig.token[:-3], CHAT, 10, 401, "invalid_api_key"),
            ("", CHAT, 10, 401, "missing_api_key"),
            (rig.token, "/v1/nothing", 10, 404, "route_not_found"),
            (rig.token, "/v1/models", 10, 405, "method_not_allowed"),
            (rig.token, CHAT, 200_000, 413, "request_too_large"),
            (rig.token, CHAT, 0, 200, ""),
        ):
            client = await rig.connect()
            if lane == "asgi":
                await client.send(request("GET", "/healthz"))
                assert (await client.answer()).status == 200
            head, body = split(request(key=key, path=path, body=chat(), headers=[expect]))
            if code:
                head = head.replace(b"content-length: %d" % len(body), b"content-length: %d" % length)
            await client.send(head)
            if not code:
                assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                await client.send(body)
            answer = await client.answer()
            assert (answer.status, answer.interim) == (status, [])
            if code:
                assert answer.code == code
                assert await client.ended() == b""
        assert len(rig.journal) == 1


async def test_clients_that_send_nothing_hold_up_nobody(mock_clock: trio.testing.MockClock) -> None:
    async with running(limit_s=1_000_000, head_timeout_s=HEAD_S, keep_alive_s=60) as rig:
        silent = [await rig.connect() for _ in range(50)]
        half = [await rig.connect() for _ in range(50)]
        for client in half:
            await client.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
        await _alive(rig)
        await _settle()
        mock_clock.jump(HEAD_S + LATE_S)
        for client in half:
            assert (await client.answer()).status == 408
            await client.close()
        mock_clock.jump(60)
        for client in silent:
            assert await client.ended() == b""
        await _alive(rig)
