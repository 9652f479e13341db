"""A client that goes away, at any moment, ends what was done for it: the provider sees its connection closed."""

import os
import socket

import pytest
import trio

from tests.rig import Client, Rig, chat, request

NEVER = "start=100"
STALLS = "stall=1,tokens=20"


async def _gone(rig: Rig, count: int = 1) -> None:
    """Wait until the provider saw as many clients go, and the records say so."""
    with trio.fail_after(10):
        await rig.journal.wait(lambda journal: len(journal.find(outcome="client_gone")) == count)
    await rig.until(lambda: len(rig.settled) == 1 and not rig.appliance.gateway.live)
    settled = rig.settled[0]
    assert settled.request.client_gone
    assert {attempt.outcome for attempt in settled.attempts} <= {"client_gone", "cancelled"}
    await rig.until(lambda: rig.appliance.listeners.connections == 0)


async def _leave(client: Client, how: str) -> None:
    if how == "close":
        await client.close()
    elif how == "half-close":
        await client.half_close()
    else:
        await client.send(request(key="anything", body=chat()))  # pipelined behind, then gone
        await client.close()


LEAVINGS = ["close", "half-close", "pipelined"]


@pytest.mark.parametrize("how", LEAVINGS)
@pytest.mark.parametrize("stream", [False, True])
async def test_before_the_first_token(rig: Rig, how: str, stream: bool) -> None:
    client = await rig.connect()
    await client.send(request(key=rig.token, body=chat(sim=NEVER, stream=stream)))
    await rig.until(lambda: len(rig.journal) == 1)
    await _leave(client, how)
    await _gone(rig)
    assert rig.settled[0].request.status == 499


@pytest.mark.parametrize("how", LEAVINGS)
async def test_after_the_first_token(rig: Rig, how: str) -> None:
    client = await rig.connect()
    await client.send(request(key=rig.token, body=chat(sim=STALLS, stream=True)))
    await client.until(b'"content"')
    await _leave(client, how)
    await _gone(rig)
    assert rig.settled[0].request.status == 200
    assert rig.settled[0].attempts[0].to_content_s is not None


async def test_in_the_middle_of_a_race_both_contestants_are_closed(rig: Rig) -> None:
    client = await rig.connect()
    body = chat(sim=NEVER, start_within="1s", stream=True)
    await client.send(request(key=rig.token, body=body))
    await rig.until(lambda: len(rig.journal) == 2)
    assert [entry.tier_asked for entry in rig.journal] == ["flex", "default"]
    await client.close()
    await _gone(rig, 2)


async def test_while_a_raced_answer_is_put_together(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request(key=rig.token, body=chat(sim=STALLS, start_within="10s")))
    await rig.journal.wait(lambda journal: any(entry.content_s is not None for entry in journal))
    await client.close()
    await _gone(rig)


async def test_a_request_that_came_together_with_the_end_leaves_nothing_running(rig: Rig) -> None:
    for _ in range(20):  # whether the end or the request is heard of first is a matter of chance
        client = await rig.connect()
        data = request(key=rig.token, body=chat(sim=NEVER))
        await client.send(data[:-9])
        await rig.until(lambda: any(one._phase.name == "BODY" for one in rig.appliance.front.fast))  # type: ignore[attr-defined]
        os.write(client.stream.socket.fileno(), data[-9:])
        client.stream.socket.shutdown(socket.SHUT_WR)  # both before anybody can hear of either
        assert await client.ended() == b""
        await rig.until(lambda: rig.appliance.listeners.connections == 0 and not rig.appliance.gateway.live)
    await rig.journal.idle()
    assert all(entry.outcome == "client_gone" for entry in rig.journal)


async def test_leaving_within_a_body_or_a_head_leaves_nothing_behind(rig: Rig) -> None:
    data = request(key=rig.token, body=chat())
    for size in (0, 1, 30, len(data) - 1):
        client = await rig.connect()
        if size:
            await client.send(data[:size])
        await client.close()
    await rig.until(lambda: rig.appliance.listeners.connections == 0)
    assert len(rig.journal) == 0 and rig.settled == []
    await rig.alive()


async def test_after_the_terminal_event_it_is_complete(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request(key=rig.token, body=chat(stream=True)))
    await client.until(b"data: [DONE]\n\n")
    await client.close()
    await rig.until(lambda: len(rig.settled) == 1)
    assert not rig.settled[0].request.client_gone
    assert rig.settled[0].attempts[0].outcome == "won"


async def test_the_connection_serves_on_after_another_client_left(rig: Rig) -> None:
    staying, leaving = await rig.connect(), await rig.connect()
    await leaving.send(request(key=rig.token, body=chat(sim=NEVER)))
    await rig.until(lambda: len(rig.journal) == 1)
    await staying.send(request(key=rig.token, body=chat()))
    assert (await staying.answer()).status == 200
    await leaving.close()
    await staying.send(request(key=rig.token, body=chat()))
    assert (await staying.answer()).status == 200
