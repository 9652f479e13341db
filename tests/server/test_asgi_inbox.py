"""The inbox: bodies in order and with room for few, an end that needs no room, senders that are told to stop."""

from typing import Any, cast

import structlog
import trio
import trio.testing
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config

from appliance.server.asgi_inbox import INBOX_MESSAGES, ClientLeft, Inbox, LaneTaskGroup

PART = {"type": "http.request", "body": b"x", "more_body": True}
END = {"type": "http.disconnect"}


async def test_what_was_put_comes_out_in_order_and_then_the_end_again_and_again() -> None:
    inbox = Inbox(set())
    parts = [{**PART, "body": b"%d" % number} for number in range(INBOX_MESSAGES)]
    for part in parts:
        await inbox.put(part)
    await inbox.put(END)
    assert [await inbox.get() for _ in parts] == parts
    assert [await inbox.get() for _ in range(2)] == [END, END]


async def test_there_is_room_for_few_messages() -> None:
    inbox = Inbox(set())
    put: list[int] = []

    async def fill() -> None:
        for number in range(INBOX_MESSAGES + 2):
            await inbox.put(PART)
            put.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fill)
        await trio.testing.wait_all_tasks_blocked()
        assert len(put) == INBOX_MESSAGES
        await inbox.get()
        await trio.testing.wait_all_tasks_blocked()
        assert len(put) == INBOX_MESSAGES + 1
        await inbox.put(END)  # needs no room, and lets whoever waits for some go on
    assert len(put) == INBOX_MESSAGES + 2


async def test_a_reader_waits_for_what_comes() -> None:
    inbox = Inbox(set())
    got: list[Any] = []

    async def read() -> None:
        got.append(await inbox.get())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        await inbox.put(PART)
    assert got == [PART]


async def _run(application: Any, *, closed: bool, parts: int = 0) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    config, scope, part = Config(), cast(Any, {"type": "http"}), cast(Any, PART)
    with trio.fail_after(5):
        async with LaneTaskGroup(lambda: closed) as group:
            put = await group.spawn_app(ASGIWrapper(application), config, scope, send)
            for _ in range(parts):
                await put(part)
    return sent


async def test_an_application_that_reads_nothing_does_not_stop_what_comes() -> None:
    async def answer(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start"})

    sent = await _run(answer, closed=False, parts=INBOX_MESSAGES * 3)
    assert sent[0] == {"type": "http.response.start"}
    assert sent[-1] is None


async def test_an_application_that_sends_to_nobody_is_stopped() -> None:
    stopped: list[type[BaseException]] = []

    async def endless(_: Any, __: Any, send: Any) -> None:
        try:
            while True:
                await send({"type": "http.response.body"})
        except OSError as reason:
            stopped.append(type(reason))

    with structlog.testing.capture_logs():
        sent = await _run(endless, closed=True)
    assert stopped == [ClientLeft]
    assert sent == [None]


async def test_whether_an_application_asks_for_more_can_be_waited_for() -> None:
    inbox = Inbox(set())
    answers: list[bool] = []

    async def ask() -> None:
        answers.append(await inbox.asked())

    async with trio.open_nursery() as nursery:
        await inbox.put(PART)
        nursery.start_soon(ask)
        await inbox.get()
        await trio.testing.wait_all_tasks_blocked()
        assert answers == [], "there was something for it"
        nursery.start_soon(inbox.get)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == [True]
        inbox.close()
    assert await inbox.asked() is False


async def test_at_the_end_of_a_connection_no_application_waits_for_its_client_any_more() -> None:
    got: list[Any] = []

    async def read(_: Any, receive: Any, __: Any) -> None:
        got.append(await receive())

    async def send(_: Any) -> None:
        pass

    inboxes: set[Inbox] = set()
    with trio.fail_after(5):
        group = LaneTaskGroup(lambda: True, inboxes)
        async with group:
            await group.spawn_app(ASGIWrapper(read), Config(), cast(Any, {"type": "http"}), send)
            group.end()  # before the application's task has run
    assert got == [END] and inboxes == set()
