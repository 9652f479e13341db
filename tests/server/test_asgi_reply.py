"""The reference lane's reply as ASGI messages: order, comments, what is cut short, who left. See also test_lanes."""

from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from appliance.server.asgi_inbox import ClientLeft
from appliance.server.asgi_reply import AsgiReply, InferenceApp
from tests.rig import Rig, chat

HEADERS = [(b"x-a", b"1")]
Messages = list[dict[str, Any]]


class Sent:
    """Takes messages, and can be told to wait or to fail."""

    def __init__(self) -> None:
        self.messages: Messages = []
        self.open = trio.Event()
        self.open.set()
        self.gone = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if self.gone:
            raise ClientLeft
        await self.open.wait()
        self.messages.append(dict(message))

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages if message["type"] == "http.response.body"]


async def test_a_whole_answer() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=True, head_only=False)
        await reply.whole(404, HEADERS, b"body")
    start, body = sent.messages
    assert start["status"] == 404
    assert start["headers"] == [*HEADERS, (b"content-length", b"4"), (b"connection", b"close")]
    assert (body["body"], body["more_body"]) == (b"body", False)
    assert (reply.started, reply.ending, reply.ended, reply.sent_bytes) == (True, True, True, 4)


async def test_head_and_statuses_without_a_body() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        await AsgiReply(sent, nursery, close=False, head_only=True).whole(200, [], b"body")
        await AsgiReply(sent, nursery, close=False, head_only=False).whole(204, [], b"")
    assert sent.bodies == [b"", b""]
    assert [message["headers"] for message in sent.messages[::2]] == [[(b"content-length", b"4")], []]


async def test_a_value_cannot_break_the_answer() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        await AsgiReply(sent, nursery, close=False, head_only=False).start([(b"x-a", b" 1\r\nb: c\xff")])
    assert sent.messages[0]["headers"] == [(b"x-a", b"1%0D%0Ab: c%FF")]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_is_found_gone_has_been_sent_nothing(streamed: bool) -> None:
    sent = Sent()
    sent.gone = True
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=True, head_only=False)
        with pytest.raises(trio.BrokenResourceError):
            await (reply.start([], b"body") if streamed else reply.whole(200, [], b"body"))
    assert (reply.started, reply.ended, reply.sent_bytes) == (False, False, 0)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_answer_that_is_cut_off_at_its_head_was_handed_over(streamed: bool) -> None:
    """As in the fast lane: what began counts with its first bytes, since nobody knows what of it was taken."""
    sent = Sent()
    sent.open = trio.Event()
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=True, head_only=False)
        with trio.move_on_after(0.01) as scope:
            await (reply.start([], b"body") if streamed else reply.whole(200, [], b"body"))
    assert scope.cancelled_caught
    assert (reply.started, reply.ended, reply.sent_bytes) == (True, False, 4)


async def test_what_went_out_before_the_client_was_found_gone_did() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=True, head_only=False)
        await reply.start([], b"first")
        sent.gone = True
        with pytest.raises(trio.BrokenResourceError):
            await reply.send(b"more")
    assert (reply.started, reply.ended, reply.sent_bytes) == (True, False, 9)


async def test_comments_go_in_order_however_they_are_sent() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=False, head_only=False)
        reply.keep_alive(HEADERS, b": a\n\n", 1.0)
        reply.keep_alive(HEADERS, b": b\n\n", 2.0)
        assert reply.started
        await reply.send(b"first")  # before the comments had their turn
        reply.keep_alive([], b": c\n\n", 3.0)
        await trio.testing.wait_all_tasks_blocked()
        await reply.end(b"last")
    assert sent.messages[0] == {"type": "http.response.start", "status": 200, "headers": HEADERS}
    assert sent.bodies == [b": a\n\n", b": b\n\n", b"first", b": c\n\n", b"last"]
    assert (reply.sent_bytes, reply.commented_s) == (9, 3.0)


async def test_nothing_follows_what_was_cut_short() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=False, head_only=False)
        await reply.start([])
        sent.open = trio.Event()
        with trio.move_on_after(0.01):
            await reply.send(b"cut")
        sent.open.set()
        assert reply.busy
        reply.keep_alive([], b": a\n\n", 1.0)
        with pytest.raises(trio.BrokenResourceError):
            await reply.end(b"last")
    assert not reply.ended
    assert sent.bodies == [b""]


async def test_a_client_who_left_is_told_as_a_broken_connection() -> None:
    sent = Sent()
    async with trio.open_nursery() as nursery:
        reply = AsgiReply(sent, nursery, close=False, head_only=False)
        await reply.start([])
        sent.gone = True
        reply.keep_alive([], b": a\n\n", 1.0)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError):
            await reply.send(b"more")


def _scope(rig: Rig, body: bytes, version: str = "1.1") -> dict[str, Any]:
    return {
        "type": "http", "http_version": version, "method": "POST", "raw_path": b"/v1/chat/completions",
        "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(b"Authorization", b"Bearer " + rig.token.encode()), (b"content-length", b"%d" % len(body))],
    }  # fmt: skip


async def _call(rig: Rig, scope: dict[str, Any], messages: Messages, sent: Sent) -> None:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        if sent.messages and not sent.messages[-1].get("more_body", True):
            return {"type": "http.disconnect"}  # what servers say when the answer is complete
        await trio.sleep_forever()
        raise AssertionError

    with trio.fail_after(10):
        await InferenceApp(rig.appliance.front)(scope, receive, sent)


async def test_a_body_in_parts_and_an_end_that_is_no_leaving(rig: Rig) -> None:
    body = msgspec.json.encode(chat("in parts"))
    parts = [{"type": "http.request", "body": body[at : at + 9], "more_body": True} for at in range(0, len(body), 9)]
    sent = Sent()
    await _call(rig, _scope(rig, body), [*parts, {"type": "http.request"}], sent)
    assert sent.messages[0]["status"] == 200
    assert (b"connection", b"close") in sent.messages[0]["headers"]
    assert not rig.settled[0].request.client_gone
    over_http_2 = Sent()
    await _call(rig, _scope(rig, body, "2"), [{"type": "http.request", "body": body}], over_http_2)
    assert (b"connection", b"close") not in over_http_2.messages[0]["headers"]


async def test_leaving_within_the_body_leaves_nothing(rig: Rig) -> None:
    sent = Sent()
    part = {"type": "http.request", "body": b"{", "more_body": True}
    await _call(rig, _scope(rig, b"{}"), [part, {"type": "http.disconnect"}], sent)
    assert sent.messages == [] and rig.settled == []


async def test_limits_hold_for_what_is_announced_and_for_what_comes(rig: Rig) -> None:
    announced = _scope(rig, b"")
    announced["headers"][1] = (b"content-length", b"99999999999")
    sent = Sent()
    await _call(rig, announced, [], sent)
    assert sent.messages[0]["status"] == 413
    del announced["headers"][1]
    sent = Sent()
    part = {"type": "http.request", "body": b" " * 12_000_000, "more_body": True}
    await _call(rig, announced, [part] * 3, sent)
    assert sent.messages[0]["status"] == 413


async def test_at_a_stop_it_refuses(rig: Rig) -> None:
    rig.appliance.front.stopping = True
    sent = Sent()
    await _call(rig, _scope(rig, b"{}"), [{"type": "http.request", "body": b"{}"}], sent)
    assert sent.messages[0]["status"] == 503
