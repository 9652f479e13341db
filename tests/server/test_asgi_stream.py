"""The stream of the ASGI lane: unread bytes first, sends that fail for good, a last answer that is seen."""

import pytest
import trio
import trio.testing

from appliance.net.stream import SocketStream
from appliance.server.asgi_stream import LINGER_BYTES, LINGER_S, LaneStream
from appliance.server.listen import open_tcp


async def _pair(replay: bytes = b"", send_timeout_s: float = 5) -> tuple[LaneStream, trio.SocketStream]:
    (listener,) = open_tcp("127.0.0.1:0")
    with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
        return LaneStream(SocketStream(listener.accept()[0]), replay, send_timeout_s), client


async def test_unread_bytes_come_first_and_not_too_many_at_once() -> None:
    stream, client = await _pair(b"abcdef")
    async with client:
        await client.send_all(b"ghi")
        assert [await stream.receive_some(4) for _ in range(3)] == [b"abcd", b"ef", b"ghi"]
        await client.send_eof()
        assert await stream.receive_some(4) == b""
        stream.close()


async def test_a_send_that_failed_fails_ever_after() -> None:
    stream, client = await _pair(send_timeout_s=0.05)
    async with client:
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x" * 50_000_000)
        assert stream.closed
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


async def test_the_last_answer_is_seen_though_the_client_still_sends() -> None:
    stream, client = await _pair(b"unread")
    async with client, trio.open_nursery() as nursery:
        ended: list[bytes] = []

        async def read() -> None:
            ended.append(await stream.receive_some(65_536))
            stream.close()

        await stream.send_all(b"the last answer")
        stream.finish()
        stream.finish()
        nursery.start_soon(read)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"more")
        await client.send_all(b"y" * (LINGER_BYTES // 4))
        assert await client.receive_some(100) == b"the last answer"
        assert await client.receive_some(100) == b""
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert ended == [], "what comes is dropped, and the client's end awaited"
        await client.send_eof()
    assert ended == [b""]


async def test_a_client_that_does_not_end_is_left(mock_clock: trio.testing.MockClock) -> None:
    stream, client = await _pair()
    async with client, trio.open_nursery() as nursery:
        ended: list[float] = []

        async def read() -> None:
            assert await stream.receive_some(65_536) == b""
            ended.append(trio.current_time())
            stream.close()

        nursery.start_soon(read)  # it waits already when the last answer goes out
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        stream.finish()
        mock_clock.jump(LINGER_S)
    assert ended == [began + LINGER_S]


async def test_a_client_that_sends_without_end_is_left() -> None:
    stream, client = await _pair()
    async with client, trio.open_nursery() as nursery:

        async def pour() -> None:
            while True:
                await client.send_all(b"z" * 65_536)

        async def pour_until_cut_off() -> None:
            with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                await pour()

        nursery.start_soon(pour_until_cut_off)
        stream.finish()
        assert await stream.receive_some(65_536) == b""
        stream.close()
