"""The ASGI lane: connections that move to it, and Hypercorn's faults, each as first, second and pipelined request."""

import gc
import struct
from contextlib import suppress
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from hpack import Encoder

from appliance.net.stream import SocketStream
from appliance.server.asgi_lane import AsgiLane, Http1Protocol, exception_names
from appliance.server.asgi_stream import LaneStream
from appliance.server.listen import open_tcp
from tests.rig import Answer, Client, Rig, chat, request, running

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
H2C = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")]
WEBSOCKET = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
]

CHAT_BODY = b'{"model": "m", "messages": []}'


def _http2(path: bytes = b"/admin/v1/keys", *, body_parts: int = 0, resets: int = 0) -> bytes:
    """What a client with prior knowledge of HTTP/2 sends: a request, whose body goes on after any answer; or many."""
    encoder = Encoder()
    parts = [PREFACE]

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> None:
        parts.append(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    for stream in range(1, 2 * max(1, resets) + 1, 2):
        fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
        frame(1, 4, stream, encoder.encode(fields))
        if resets:
            frame(3, 0, stream, b"\x00\x00\x00\x08")
    for _ in range(body_parts):
        frame(0, 0, 1, b"x" * 1000)
    return b"".join(parts)


ATTACKS: dict[str, tuple[bytes, set[int]]] = {
    "h2 preface": (PREFACE, {505}),
    "h2 preface and frames": (PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 500, {505}),
    "PRI as a method": (b"PRI / HTTP/1.1\r\nhost: x\r\n\r\n", {400, 501, 505}),
    "a version to come": (b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n", {505}),
    "h2c upgrade": (request("GET", "/healthz", headers=H2C), {200}),
    "h2c upgrade with a body": (request("POST", "/healthz", headers=H2C, body=b"{}"), {405}),
    "websocket with trailing bytes": (request("GET", "/healthz", headers=WEBSOCKET) + b"\x81\x05hello", {200}),
    "websocket without a key": (request("GET", "/healthz", headers=WEBSOCKET[:2]), {200}),
    "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n", {400, 501}),
    "non-ASCII path": (b"GET /h\xc3\xa4lth HTTP/1.1\r\nhost: x\r\n\r\n", {400}),
    "escaped non-UTF-8 path": (request("GET", "/%ff%fe%00"), {404}),
    "garbage": (b"\x00\x01\x02\x03 nonsense\r\n\r\n", {400}),
    "both lengths": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", {400}),
    "bad chunk": (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", {400, 404, 405}),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
    "h2 body after the answer": (_http2(body_parts=50), {505}),
    "h2 non-ASCII path": (_http2(b"/h\xc3\xa4lth"), {505}),
    "h2 rapid reset": (_http2(resets=500), {505}),
    "h2c upgrade, and as if it were": (request("GET", "/healthz", headers=H2C) + _http2(body_parts=3), {200}),
    "h2c upgrade of inference": (request("POST", "/v1/chat/completions", headers=H2C, body=CHAT_BODY), {401}),
    "h2c upgrade in the path of inference": (request("GET", "/v1/nothing", headers=H2C) + PREFACE, {401}),
    "websocket of inference": (request("GET", "/v1/realtime?model=m", headers=WEBSOCKET) + b"\x81\x05hello", {401}),
    "websocket, frames and a close": (
        request("GET", "/healthz", headers=WEBSOCKET) + b"\x81\x85\x01\x02\x03\x04abcde\x88\x80\x01\x02\x03\x04",
        {200},
    ),
    "websocket of another version": (
        request("GET", "/healthz", headers=[*WEBSOCKET[:2], ("sec-websocket-version", "99")]),
        {200},
    ),
    "websocket over 1.0": (request("GET", "/healthz", headers=WEBSOCKET, version="1.0"), {200}),
    "offers of everything": (
        request("GET", "/healthz", headers=[("connection", "upgrade"), ("upgrade", "TLS/1.0, h2c, websocket, x/1")]),
        {200},
    ),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2, {400}),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", {400, 505}),
    "NULs": (bytes(10_000), {400}),
}
FIRSTS = ["first", "second in the fast lane", "second in the ASGI lane", "pipelined in the fast lane", "pipelined"]


async def _answers(client: Client, count: int) -> list[Answer]:
    return [await client.answer("GET") for _ in range(count)]


@pytest.mark.parametrize("place", FIRSTS)
@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_gets_its_answer_and_the_server_serves_on(rig: Rig, attack: str, place: str) -> None:
    data, statuses = ATTACKS[attack]
    before = request("GET", "/v1/models", key=rig.token) if "fast" in place else request("GET", "/healthz")
    client = await rig.connect()
    with structlog.testing.capture_logs() as logs:
        if place == "first":
            await client.send(data)
        elif place.startswith("second"):
            await client.send(before)
            assert (await client.answer()).status == 200
            await client.send(data)
        else:
            await client.send(before + data)
            assert (await client.answer()).status == 200
        answer = await client.answer("GET")
        assert answer.status in statuses
        assert answer.interim == [], "never 101"
        await client.close()
        await rig.until(lambda: rig.appliance.listeners.connections == 0)
        await rig.alive()
    assert [line for line in logs if line["event"] != "request"] == [], "nothing of it is a fault of ours"


async def test_a_connection_moves_once_with_its_unread_bytes(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(
        request(key=rig.token, body=chat("one", sim="echo=true"))
        + request("GET", "/healthz")
        + request("GET", "/nothing")
        + request(key=rig.token, body=chat("two", sim="echo=true"))
    )
    first, health, nothing, second = [await client.answer() for _ in range(4)]
    assert (first.status, health.status, nothing.status, second.status) == (200, 200, 404, 200)
    assert health.body == b"ok\n"
    assert first.header("connection") is None
    assert second.json["choices"][0]["message"]["content"] == "two"
    assert second.header("connection") == "close", "the next request is to open a fast connection"
    assert await client.ended() == b""


async def test_a_connection_moves_between_two_requests(rig: Rig) -> None:
    client = await rig.connect()
    for path in ("/v1/models", "/v1/models", "/healthz", "/healthz"):
        await client.send(request("GET", path, key=rig.token))
        assert (await client.answer()).status == 200


async def test_every_byte_of_the_move_may_come_alone(rig: Rig) -> None:
    client = await rig.connect()
    await client.send_slowly(request("GET", "/v1/models", key=rig.token) + request("GET", "/healthz") * 2)
    assert [answer.status for answer in await _answers(client, 3)] == [200, 200, 200]


async def test_the_body_of_the_request_that_moves_goes_along(rig: Rig) -> None:
    client = await rig.connect()
    large = request("POST", "/admin/v1/keys", key=rig.management_token, body=b'{"name": "' + b"x" * 200_000 + b'"}')
    await client.send(request("GET", "/v1/models", key=rig.token))
    assert (await client.answer()).status == 200
    await client.send(large)
    assert (await client.answer()).status in (200, 201, 400, 413)


async def test_a_large_body_that_nobody_reads_holds_up_nothing(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request("POST", "/healthz", headers=[("content-length", "30000000")]))

    async def pour() -> None:
        try:
            for _ in range(100):
                await client.send(b" " * 65_536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pour)
        answer = await client.answer()
        assert answer.status == 405
        nursery.cancel_scope.cancel()
    await client.close()
    await rig.until(lambda: rig.appliance.listeners.connections == 0)


async def _flood(scope: Any, _: Any, send: Any) -> None:
    """An application that answers without end, to a client that takes nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        scope["state"]["sent"].append(1)
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})


async def test_a_client_that_stops_reading_holds_little_and_ends_its_own_connection(rig: Rig) -> None:
    sent: list[int] = []

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["sent"] = sent
        await _flood(scope, receive, send)

    lane = AsgiLane(flood, send_timeout_s=0.3)
    client, served = await _pair()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.serve, served)
            await client.send(request("GET", "/"))
    await client.close()
    assert len(sent) * 65_536 < 20_000_000


async def test_a_stop_does_not_wait_for_a_client_that_stopped_reading() -> None:
    lane = AsgiLane(_endless, send_timeout_s=60)
    client, served = await _pair()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.serve, served)
            await client.send(request("GET", "/"))
            await client.until(b"\r\n\r\n")
            await lane.stop()
            nursery.cancel_scope.deadline = trio.current_time() + 0.3
    await client.close()


async def _endless(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})


async def test_an_answer_in_work_at_a_stop_says_that_it_is_the_last() -> None:
    asked, go_on = trio.Event(), trio.Event()

    async def patient(_: Any, __: Any, send: Any) -> None:
        asked.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"keep-alive")]})
        await send({"type": "http.response.body", "body": b"done"})

    lane = AsgiLane(patient, send_timeout_s=5)
    client, served = await _pair()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.serve, served)
            await client.send(request("GET", "/"))
            await asked.wait()
            await lane.stop()
            go_on.set()
            answer = await client.answer()
            assert (answer.body, answer.complete) == (b"done", True)
            assert [value for name, value in answer.headers if name == "connection"] == ["close"]
            assert await client.ended() == b""
            await client.close()


async def _pair() -> tuple[Client, SocketStream]:
    """Both ends of a TCP connection."""
    (listener,) = open_tcp("127.0.0.1:0")
    with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
        return Client(client), SocketStream(listener.accept()[0])


async def test_leaving_ends_an_answer_of_the_reference_too(rig: Rig) -> None:
    for pipelined in (b"", request("GET", "/healthz")):
        for sim in ("start=100", "stall=1,tokens=9"):
            rig.journal.clear()
            client = await rig.connect()
            await client.send(request("GET", "/healthz"))
            assert (await client.answer()).status == 200
            await client.send(request(key=rig.token, body=chat(sim=sim, stream=True)) + pipelined)
            await rig.until(lambda: len(rig.journal) == 1)
            if "stall" in sim:
                await client.until(b'"content"')
            await client.close()
            with trio.fail_after(10):
                await rig.journal.wait(lambda journal: len(journal.find(outcome="client_gone")) == 1)
            await rig.until(lambda: rig.appliance.listeners.connections == 0)


async def test_a_client_that_leaves_with_the_last_byte_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client, served = await _pair()
    send_all = LaneStream.send_all

    async def send_and_see_it_leave(self: LaneStream, data: bytes) -> None:
        await send_all(self, data)
        if b"done" in data:
            await client.close()
            await trio.testing.wait_all_tasks_blocked(0.01)

    async def quick(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    monkeypatch.setattr(LaneStream, "send_all", send_and_see_it_leave)
    await client.send(request("GET", "/"))
    with trio.fail_after(5):
        await AsgiLane(quick).serve(served)


@pytest.mark.parametrize("more", [b"", b"POST / HTTP/1.1\r\n", b"\x00\r\n\r\n"], ids=["orderly", "begun", "garbage"])
async def test_a_connection_that_ended_leaves_no_rings_for_the_collector(rig: Rig, more: bytes) -> None:
    async def visit() -> None:
        client = await rig.connect()
        await client.send(request("GET", "/healthz"))
        assert (await client.answer("GET")).status == 200
        await client.send(request(key=rig.token, body=chat(stream=True)) + more)
        assert (await client.answer()).status == 200
        await client.close()
        await rig.until(lambda: rig.appliance.listeners.connections == 0)

    await visit()
    gc.collect()
    gc.disable()
    try:
        await visit()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = {type(one).__qualname__ for one in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left & {"LaneServer", "LaneStream", "Http1Protocol", "Inbox", "SocketStream", "Gate", "Call"} == set()


async def test_an_application_that_begins_as_its_client_leaves_is_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leaves_now(self: Http1Protocol, event: Any) -> None:
        if event.method == b"POST":  # its head is being handled: nobody has been told of an application yet
            for hung_up in [*rig.appliance.front.hangups._watched.values()]:
                hung_up()
            for _ in range(5):
                await trio.lowlevel.cancel_shielded_checkpoint()

    monkeypatch.setattr(Http1Protocol, "_check_protocol", leaves_now)
    client = await rig.connect()
    await client.send(request("GET", "/healthz"))
    assert (await client.answer("GET")).status == 200
    await client.send(request(key=rig.token, body=chat())[:-1])
    assert await client.ended() == b""
    await rig.until(lambda: rig.appliance.listeners.connections == 0 and not rig.appliance.lane.inboxes)
    assert rig.settled == [] and len(rig.journal) == 0


async def test_leaving_is_seen_behind_more_than_is_read_ahead(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request("GET", "/healthz"))
    assert (await client.answer()).status == 200
    await client.send(request(key=rig.token, body=chat(sim="start=100")))
    await rig.until(lambda: len(rig.journal) == 1)
    behind = request("GET", "/healthz", headers=[("x-padding", "x" * 8_000)])
    await client.send(behind * 28)  # more than the lane reads ahead, and less than the kernel takes beside it
    await client.close()
    with trio.fail_after(5):
        await rig.journal.wait(lambda journal: len(journal.find(outcome="client_gone")) == 1)
    await rig.until(lambda: rig.appliance.listeners.connections == 0)
    assert rig.settled[0].request.client_gone


async def test_a_silent_client_is_given_up(rig: Rig) -> None:
    async with running(keep_alive_s=0.3) as impatient:
        for data in (b"", b"GET /heal"):
            client = await impatient.connect()
            await client.send(request("GET", "/healthz"))
            assert (await client.answer()).status == 200
            if data:
                await client.send(data)
            assert await client.ended() == b""


async def test_a_client_that_pauses_within_a_body_is_given_up_and_one_that_only_listens_is_not() -> None:
    async with running(body_timeout_s=0.2) as rig:
        paused, listening = [await rig.connect() for _ in range(2)]
        for client in (paused, listening):
            await client.send(request("GET", "/healthz"))
            assert (await client.answer()).status == 200
        await paused.send(request(key=rig.token, body=chat())[:-5])
        answer = await paused.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await paused.ended() == b""
        await listening.send(request(key=rig.token, body=chat(sim="start=0.7")))
        assert (await listening.answer()).status == 200


async def test_a_body_that_drips_has_one_time_for_all_of_it_in_this_lane_too() -> None:
    async with running(body_total_s=0.4, body_timeout_s=10) as rig:
        client = await rig.connect()
        await client.send(request("GET", "/healthz"))
        assert (await client.answer()).status == 200
        data = request(key=rig.token, body=chat("x" * 1_000))
        await client.send(data[:-900])

        async def drip() -> None:
            with suppress(trio.BrokenResourceError):
                for at in range(len(data) - 900, len(data)):
                    await client.send(data[at : at + 1])
                    await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            answer = await client.answer()
            assert (answer.status, answer.code) == (408, "request_timeout")
            assert "longer than 0.4 seconds" in answer.json["error"]["message"]
            assert await client.ended() == b""
            nursery.cancel_scope.cancel()
        assert rig.settled == []
        await rig.alive()


async def test_a_fault_of_the_application_is_logged_without_its_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a secret of somebody")

    with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(rig.appliance.lane.application, "app", broken)
        client = await rig.connect()
        await client.send(request("GET", "/healthz"))
        assert (await client.answer()).status == 500
    assert [(line["event"], line["exceptions"]) for line in logs] == [("asgi_application_failed", ["RuntimeError"])]
    assert "secret" not in repr(logs)
    await rig.alive()


def test_groups_are_told_by_the_classes_in_them() -> None:
    group = BaseExceptionGroup("a", [ValueError("x"), BaseExceptionGroup("b", [KeyError("y"), ValueError("z")])])
    assert exception_names(group) == ["KeyError", "ValueError"]
