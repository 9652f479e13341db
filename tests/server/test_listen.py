"""The listeners: a stop that is bounded and polite, sockets of both kinds, faults that stay in their connection."""

import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from appliance.server.listen import open_tcp, open_unix
from tests.rig import Client, Rig, chat, request, running

SLOW = "start=0.4,tokens=3"


async def test_idle_connections_are_closed_at_once() -> None:
    async with running(shutdown_s=30) as rig:
        idle, used, half, moved = [await rig.connect() for _ in range(4)]
        await used.send(request("GET", "/v1/models", key=rig.token))
        assert (await used.answer()).status == 200
        await half.send(b"POST /v1/chat")
        await moved.send(request("GET", "/healthz"))
        assert (await moved.answer()).status == 200
        await rig.until(lambda: rig.appliance.listeners.connections == 4)
        began = trio.current_time()
        rig.serving.cancel()
        for client in (idle, used, half, moved):
            assert await client.ended() == b""
        await rig.stopped.wait()
        assert trio.current_time() - began < 10, "nobody had to be waited for"


async def test_answers_in_work_end_and_say_that_they_are_the_last() -> None:
    async with running(shutdown_s=30) as rig:
        whole, stream, raced = [await rig.connect() for _ in range(3)]
        await whole.send(request(key=rig.token, body=chat(sim=SLOW)))
        await stream.send(request(key=rig.token, body=chat(sim=SLOW, stream=True)))
        await raced.send(request(key=rig.token, body=chat(sim=SLOW, start_within="20s")))
        await rig.until(lambda: len(rig.journal) == 3)
        rig.serving.cancel()
        for client in (whole, stream, raced):
            answer = await client.answer()
            assert (answer.status, answer.complete, answer.header("connection")) == (200, True, "close")
            assert await client.ended() == b""
        await rig.stopped.wait()
        assert [settled.request.status for settled in rig.settled] == [200, 200, 200]


async def test_a_request_half_sent_is_refused_with_a_fault_that_may_be_retried() -> None:
    async with running(shutdown_s=30) as rig:
        client = await rig.connect()
        await client.send(request(key=rig.token, body=chat())[:-5])
        await rig.until(lambda: any(one._phase.name == "BODY" for one in rig.appliance.front.fast))  # type: ignore[attr-defined]
        rig.serving.cancel()
        answer = await client.answer()
        assert (answer.status, answer.code, answer.header("connection")) == (503, "shutting_down", "close")
        assert answer.json["error"]["startline"]["retryable"] is True


async def test_the_pipelined_rest_is_not_begun() -> None:
    async with running(shutdown_s=30) as rig:
        client = await rig.connect()
        await client.send(request(key=rig.token, body=chat(sim=SLOW)) * 3)
        await rig.until(lambda: len(rig.journal) == 1)
        rig.serving.cancel()
        assert (await client.answer()).header("connection") == "close"
        assert await client.ended() == b""
        assert len(rig.journal) == 1


async def test_stubborn_answers_are_cut_off_and_settled() -> None:
    async with running(shutdown_s=0.3, send_buffer_bytes=32_768) as rig:
        silent, stream, lazy = [await rig.connect() for _ in range(3)]
        await silent.send(request(key=rig.token, body=chat(sim="start=100")))
        await stream.send(request(key=rig.token, body=chat(sim="stall=1,tokens=9", stream=True)))
        await stream.until(b'"content"')
        await _stop_reading(lazy, rig)
        rig.serving.cancel()
        with trio.fail_after(5):
            await rig.stopped.wait()
        assert (await silent.answer()).code == "shutting_down"
        left = await stream.ended()
        assert b'"code":"shutting_down"' in left and b"[DONE]" not in left, "an answer cut short says so"
        assert not (await lazy.ended()).endswith(b"0\r\n\r\n"), "nothing is written into the middle of an event"
        assert len(rig.settled) == 3
        await rig.until(lambda: all(entry.outcome != "open" for entry in rig.journal))
        causes = {attempt.cancel_cause for settled in rig.settled for attempt in settled.attempts}
        assert causes == {"shutdown"}


async def _stop_reading(client: Client, rig: Rig) -> None:
    """Ask for an endless answer and take none of it, until the server has to wait."""
    before = len(rig.journal)
    await client.send(request(key=rig.token, body=chat(sim="tokens=32000,start=0", stream=True)))
    await rig.until(lambda: len(rig.journal) > before and any(call.reply.busy for call in rig.appliance.gateway.live))


async def test_a_client_that_stops_reading_holds_little_memory_and_is_given_up() -> None:
    async with running(write_timeout_s=0.5, send_buffer_bytes=32_768) as rig:
        client = await rig.connect()
        await _stop_reading(client, rig)
        call = next(iter(rig.appliance.gateway.live))
        sent = call.reply.sent_bytes
        assert sent < 2_000_000, "no more than the kernel takes"
        await rig.until(lambda: not rig.appliance.gateway.live)
        await rig.until(lambda: rig.appliance.listeners.connections == 0)
        assert rig.settled[0].request.client_gone
        await rig.alive()


async def test_a_fault_in_a_connection_stays_there_and_is_logged_without_its_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as rig:
        clients = [await rig.connect() for _ in range(2)]
        await clients[0].send(request("GET", "/v1/models", key=rig.token))
        assert (await clients[0].answer()).status == 200

        def broken(*_: object) -> None:
            raise RuntimeError("a secret of somebody")

        with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
            patched.setattr("appliance.server.fast.find", broken)
            await clients[1].send(request("GET", "/v1/models", key=rig.token))
            assert await clients[1].ended() == b""
        assert [(line["event"], line["exceptions"]) for line in logs] == [("connection_failed", ["RuntimeError"])]
        assert "secret" not in repr(logs)
        await clients[0].send(request("GET", "/v1/models", key=rig.token))
        assert (await clients[0].answer()).status == 200


async def test_a_fault_is_logged_with_the_lane_that_it_happened_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of somebody")

    async with running(operator=True) as rig:
        with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
            patched.setattr(rig.appliance.lane, "serve", broken)
            client = await rig.connect()
            await client.send(request("GET", "/healthz"))
            assert await client.ended() == b""
            assert await (await rig.connect_operator()).ended() == b""
        assert [(line["event"], line["lane"]) for line in logs] == [("connection_failed", "asgi")] * 2


async def test_accepting_rests_when_descriptors_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [OSError(24, "Too many open files"), OSError(103, "Software caused connection abort")]
    accept = socket.socket.accept

    def failing(self: socket.socket) -> Any:
        if failures:
            raise failures.pop(0)
        return accept(self)

    async with running() as rig:
        with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", failing)
            await rig.alive()
        assert [line["event"] for line in logs] == ["accept_paused", "accept_resumed"]


def test_listening_on_names_and_ports() -> None:
    for listen in ("127.0.0.1:0", "[::1]:0"):
        (listener,) = open_tcp(listen)
        with listener:
            assert listener.getsockname()[0] == listen.rpartition(":")[0].strip("[]")
    for listen in ("127.0.0.1", "127.0.0.1:http", ":"):
        with pytest.raises(ValueError, match="an address and a port"):
            open_tcp(listen)


def test_an_address_that_is_taken_leaves_no_socket_open() -> None:
    (first,) = open_tcp("127.0.0.1:0")
    with first, pytest.raises(OSError, match="in use"):
        open_tcp(f"127.0.0.1:{first.getsockname()[1]}")


def test_the_operators_socket_is_for_its_owner_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        with open_unix(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_operators_socket_belongs_to_the_asgi_lane_and_ignores_the_limit() -> None:
    async with running(operator=True, max_connections=1) as rig:
        client = await rig.connect()
        await client.send(request("GET", "/v1/models", key=rig.token))
        assert (await client.answer()).status == 200
        operator = await rig.connect_operator()
        await operator.send(request("GET", "/healthz"))
        assert (await operator.answer()).status == 200
