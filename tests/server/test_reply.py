"""The fast lane's framing, byte for byte, on a socket pair."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from appliance.http1.limits import Limits
from appliance.http1.request import RequestHead, RequestReader
from appliance.net.stream import SocketStream
from appliance.server.reply import JOIN_BYTES, FastReply

DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"
HEADERS = [(b"x-a", b"1")]


def head_of(method: str = "GET", version: str = "1.1", connection: str = "") -> RequestHead:
    reader = RequestReader(Limits())
    more = f"connection: {connection}\r\n" if connection else ""
    reader.feed(f"{method} /v1/models HTTP/{version}\r\nhost: x\r\n{more}\r\n".encode())
    head = reader.next_head()
    assert head is not None
    return head


class Wire:
    """A reply, and what arrived at the other end."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.stream = SocketStream(ours, 5)

    def reply(self, head: RequestHead | None, *, close: bool = False) -> FastReply:
        return FastReply(self.stream, head, lambda: DATE, close)

    def take(self) -> bytes:
        parts = []
        try:
            while part := self.theirs.recv(1_000_000):
                parts.append(part)
        except BlockingIOError:
            pass
        return b"".join(parts)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    made = Wire()
    yield made
    made.stream.close()
    made.theirs.close()


async def test_a_whole_answer(wire: Wire) -> None:
    reply = wire.reply(head_of())
    await reply.whole(404, HEADERS, b"body")
    assert wire.take() == (b"HTTP/1.1 404 Not Found\r\nx-a: 1\r\ndate: %b\r\ncontent-length: 4\r\n\r\nbody" % DATE)
    assert (reply.started, reply.ended, reply.busy, reply.close, reply.sent_bytes) == (True, True, False, False, 4)


async def test_a_large_answer_is_the_same(wire: Wire) -> None:
    body = b"z" * (JOIN_BYTES + 1)
    await wire.reply(head_of()).whole(200, [], body)
    got = wire.take()
    assert got.endswith(b"content-length: %d\r\n\r\n%b" % (len(body), body))


async def test_head_has_no_body_and_204_no_length(wire: Wire) -> None:
    await wire.reply(head_of("HEAD")).whole(200, [], b"body")
    assert wire.take().endswith(b"content-length: 4\r\n\r\n")
    await wire.reply(head_of()).whole(204, [], b"")
    assert b"content-length" not in wire.take()


@pytest.mark.parametrize(
    ("version", "connection", "close", "told"),
    [
        ("1.1", "", False, None),
        ("1.1", "", True, b"close"),
        ("1.1", "close", False, b"close"),
        ("1.0", "", False, b"close"),
        ("1.0", "keep-alive", False, b"keep-alive"),
        ("1.0", "keep-alive", True, b"close"),
    ],
)
async def test_the_connection_header(
    wire: Wire, version: str, connection: str, close: bool, told: bytes | None
) -> None:
    reply = wire.reply(head_of(version=version, connection=connection), close=close)
    await reply.whole(200, [], b"")
    got = wire.take()
    assert (b"connection: " + told in got) if told else b"connection" not in got
    assert reply.close == (told == b"close")


async def test_what_has_no_head_is_the_last(wire: Wire) -> None:
    reply = wire.reply(None)
    await reply.whole(400, [], b"")
    assert b"connection: close" in wire.take() and reply.close


async def test_it_becomes_the_last_until_its_head_is_sent(wire: Wire) -> None:
    reply = wire.reply(head_of())
    reply.close = True
    await reply.start([])
    assert b"connection: close" in wire.take()


async def test_a_stream_is_chunked(wire: Wire) -> None:
    reply = wire.reply(head_of())
    await reply.start(HEADERS, b"first")
    assert wire.take().endswith(b"transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    await reply.send(b"more")
    await reply.send(b"")
    assert wire.take() == b"4\r\nmore\r\n"
    await reply.end(b"last")
    assert wire.take() == b"4\r\nlast\r\n0\r\n\r\n"
    assert (reply.ended, reply.sent_bytes) == (True, 13)


async def test_a_stream_to_http_1_0_ends_with_the_connection(wire: Wire) -> None:
    reply = wire.reply(head_of(version="1.0", connection="keep-alive"))
    await reply.start([], b"first")
    await reply.end(b"last")
    got = wire.take()
    assert b"chunked" not in got and b"connection: close" in got and got.endswith(b"\r\n\r\nfirstlast")
    assert reply.close


async def test_comments_begin_a_stream_that_goes_on(wire: Wire) -> None:
    reply = wire.reply(head_of())
    reply.keep_alive(HEADERS, b": a\n\n", 7.0)
    assert reply.started and reply.commented_s == 7.0
    reply.keep_alive(HEADERS, b": b\n\n", 8.0)
    await reply.end(b"last")
    got = wire.take()
    assert got.startswith(b"HTTP/1.1 200 OK\r\nx-a: 1\r\n") and got.count(b"HTTP/1.1") == 1
    assert got.endswith(b"\r\n\r\n5\r\n: a\n\n\r\n5\r\n: b\n\n\r\n4\r\nlast\r\n0\r\n\r\n")


async def test_the_rest_of_a_comment_goes_before_what_follows(wire: Wire) -> None:
    reply = wire.reply(head_of())
    await reply.start([])
    filled = 0
    while sent := wire.stream.send_now(b"." * 65_536):
        filled += sent
    reply.keep_alive([], b": unsent\n\n", 1.0)
    reply.keep_alive([], b": not even begun\n\n", 2.0)
    got: list[bytes] = []

    async def read() -> None:
        while not b"".join(got).endswith(b"0\r\n\r\n"):
            got.append(wire.take())
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reply.end, b"last")
        await trio.testing.wait_all_tasks_blocked()
        assert reply.busy, "it waits for the client"
        nursery.start_soon(read)
    assert b"".join(got).endswith(b"." * 10 + b"a\r\n: unsent\n\n\r\n4\r\nlast\r\n0\r\n\r\n")


async def test_nothing_follows_what_was_cut_short(wire: Wire) -> None:
    for large in (b"", b"x" * 5_000_000):
        other = Wire()
        reply = other.reply(head_of())
        with trio.move_on_after(0.05) as scope:
            if large:
                await reply.whole(200, [], large)
            else:
                await reply.start([])
                await reply.send(b"x" * 5_000_000)
        assert scope.cancelled_caught and reply.busy and not reply.ended
        for again in (reply.send(b"x"), reply.end(b"x")):
            with pytest.raises(trio.BrokenResourceError):
                await again
        assert not reply.ended
        other.stream.close()
        other.theirs.close()


async def test_a_value_cannot_end_its_line(wire: Wire) -> None:
    await wire.reply(head_of()).whole(200, [(b"x-a", b"1\r\nset-cookie: b")], b"")
    got = wire.take()
    assert b"\r\nset-cookie" not in got and b"x-a: 1%0D%0Aset-cookie: b\r\n" in got


@pytest.mark.parametrize("size", [4, JOIN_BYTES + 1], ids=["small", "large"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_connection_that_is_found_broken_has_taken_nothing(wire: Wire, size: int, streamed: bool) -> None:
    wire.theirs.close()
    reply = wire.reply(head_of())
    with pytest.raises(trio.BrokenResourceError):
        await (reply.start([], b"z" * size) if streamed else reply.whole(200, [], b"z" * size))
    assert (reply.started, reply.ended, reply.sent_bytes) == (False, False, 0)


async def test_what_was_sent_before_a_connection_broke_was_sent(wire: Wire) -> None:
    reply = wire.reply(head_of())
    await reply.start([], b"first")
    wire.theirs.close()
    with pytest.raises(trio.BrokenResourceError):
        await reply.send(b"more")
    assert (reply.started, reply.ended, reply.sent_bytes) == (True, False, 9)
