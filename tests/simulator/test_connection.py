"""One connection: requests, keep-alive, and the client's end seen at once, whatever it was doing."""

import contextlib

import pytest
import trio

from appliance.simulator.connection import Request
from appliance.simulator.world import Behaviour
from tests.simulator.running import Running, Start, world_of

BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-sim-x\r\n"


def request(extra: bytes = b"", body: bytes = BODY) -> bytes:
    return HEAD + extra + b"content-length: %d\r\n\r\n%s" % (len(body), body)


async def until_closed(stream: trio.SocketStream) -> bytes:
    with trio.fail_after(5):
        return b"".join([bytes(data) async for data in stream])


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_while_it_waits_is_noticed(start: Start, reset: bool, streamed: bool) -> None:
    running = await start(world_of(default=Behaviour(start=600, early=True, admission_s=0)))
    stream = await running.raw(request(body=BODY[:-1] + (b',"stream":true}' if streamed else b"}")))
    await running.journal.wait(lambda journal: len(journal) == 1)
    if reset:
        stream.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER 0: RST
    await stream.aclose()
    with trio.fail_after(5):
        await running.journal.idle()
    entry = running.journal[0]
    assert (entry.outcome, entry.tokens_sent) == ("client_gone", 0)
    assert entry.gone_s is not None
    assert entry.gone_s >= entry.arrived_s


async def test_a_client_that_leaves_in_mid_stream_is_noticed(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=0, tokens_per_s=200, output_tokens=30_000)))
    stream = await running.raw(request(body=BODY[:-1] + b',"stream":true}'))
    await stream.receive_some(1000)
    await running.journal.wait(lambda journal: journal[0].tokens_sent >= 3)
    await stream.aclose()
    with trio.fail_after(5):
        await running.journal.idle()
    assert running.journal[0].outcome == "client_gone"
    assert 3 <= running.journal[0].tokens_sent < 30_000


async def test_an_end_of_input_alone_counts_as_gone(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=600)))
    stream = await running.raw(request())
    await stream.send_eof()
    assert await until_closed(stream) == b""
    assert running.journal[0].outcome == "client_gone"


async def test_a_client_that_stops_reading_holds_nothing_up_and_its_end_is_noticed(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=0, tokens_per_s=0, output_tokens=30_000)))
    stuck = await running.raw(request(body=BODY[:-1] + b',"stream":true}'))
    await running.journal.wait(lambda journal: len(journal) == 1 and journal[0].tokens_sent > 0)
    assert (await running.client.get("models")).status_code == 200
    await stuck.aclose()
    with trio.fail_after(5):
        await running.journal.idle()
    assert running.journal[0].outcome == "client_gone"


@pytest.mark.parametrize("reset", [False, True])
async def test_a_cut_is_an_end_without_an_end_of_the_body_or_a_reset(start: Start, reset: bool) -> None:
    running = await start()
    how = b"x-simulator: %s=2\r\n" % (b"reset" if reset else b"cut")
    stream = await running.raw(request(how, BODY[:-1] + b',"stream":true}'))
    await running.journal.wait(lambda journal: len(journal) == 1)
    await running.journal.idle()
    if reset:
        with pytest.raises(trio.BrokenResourceError):
            await until_closed(stream)
    else:
        told = await until_closed(stream)
        assert told.count(b'"content":') == 3  # the role's empty one and two tokens
        assert not told.endswith(b"0\r\n\r\n")
    assert running.journal[0].tokens_sent == 2


async def test_requests_on_one_connection_are_counted_and_answered_in_order(start: Start) -> None:
    running = await start()
    stream = await running.raw(request() + request() + request(b"connection: close\r\n"))
    told = await until_closed(stream)
    assert told.count(b"HTTP/1.1 200") == 3
    assert [(entry.connection, entry.request_on_connection) for entry in running.journal] == [(1, 1), (1, 2), (1, 3)]
    assert running.journal.connections == 1


async def test_expect_is_met(start: Start) -> None:
    running = await start()
    stream = await running.raw(HEAD + b"connection: close\r\nexpect: 100-continue\r\ncontent-length: 56\r\n\r\n")
    assert b"100" in await stream.receive_some(1000)
    await stream.send_all(BODY)
    assert b"HTTP/1.1 200" in await until_closed(stream)


async def test_chunked_requests_are_understood(start: Start) -> None:
    running = await start()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    stream = await running.raw(HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)
    assert b"HTTP/1.1 200" in await until_closed(stream)
    assert running.journal[0].body_bytes == len(BODY)


async def test_a_head_gets_no_body(start: Start) -> None:
    running = await start()
    stream = await running.raw(b"HEAD /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-sim-x\r\n"
                               b"connection: close\r\n\r\n")  # fmt: skip
    told = await until_closed(stream)
    assert told.startswith(b"HTTP/1.1 405")
    assert told.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1\2\3\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 200_000,
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"content-length: 100\r\n\r\nshort",
        b"",
        b"GET",
    ],
)
async def test_a_broken_client_never_takes_the_server_down(start: Start, data: bytes) -> None:
    running: Running = await start()
    stream = await running.raw(data or b"\r\n")
    await stream.send_eof()
    with trio.fail_after(5):
        with contextlib.suppress(trio.BrokenResourceError):  # closed with bytes unread: a reset
            await until_closed(stream)
    assert (await running.client.get("models")).status_code == 200
    assert not running.journal.errors
    assert running.journal[-1].path == "/v1/models"


def test_the_query_of_a_request() -> None:
    asked = Request("GET", "/v1/models?limit=2&after_id=a%2Fb", (), b"")
    assert asked.query() == {"limit": "2", "after_id": "a/b"}
