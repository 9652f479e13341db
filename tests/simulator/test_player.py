"""Playing in time, over real sockets on virtual time: when things are sent, and what the journal says of it."""

import contextlib
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from appliance.simulator.journal import Entry
from appliance.simulator.world import Behaviour
from tests.simulator.running import Running, Start, world_of
from tests.simulator.sdk_shapes import frames

BASE = Behaviour(start=4.0, admission_s=1.0, tokens_per_s=2.0, output_tokens=6, refusal_after_s=0.5)
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
RESPONSES: dict[str, Any] = {"model": "m", "input": "x"}


def times(entry: Entry) -> tuple[float | None, ...]:
    """Head, start, content, end: seconds after arrival, to the millisecond."""
    told = (entry.head_s, entry.started_s, entry.content_s, entry.ended_s)
    return tuple(None if at is None else round(at - entry.arrived_s, 3) for at in told)


async def played(start: Start, override: str, path: str, body: dict[str, Any], **options: Any) -> tuple[Running, Entry]:
    running = await start(world_of(default=BASE, flex=BASE), **options)
    with contextlib.suppress(httpx.TransportError):  # where the server breaks off
        await running.client.post(path, json=body, headers={"x-simulator": override})
    await running.journal.idle()
    return running, running.journal[0]


@pytest.mark.parametrize(
    ("override", "path", "body", "outcome", "tokens", "expected"),
    [
        ("", "chat/completions", CHAT, "completed", 6, (7, 7, 7, 7)),
        ("", "chat/completions", CHAT | {"stream": True}, "completed", 6, (4, 4, 4, 6.5)),
        ("early=1", "chat/completions", CHAT | {"stream": True}, "completed", 6, (1, 4, 4, 6.5)),
        ("", "responses", RESPONSES, "completed", 6, (7, 7, 7, 7)),
        ("", "responses", RESPONSES | {"stream": True}, "completed", 6, (1, 4, 4, 6.5)),
        ("early=0", "responses", RESPONSES | {"stream": True}, "completed", 6, (4, 4, 4, 6.5)),
        ("reasoning_tokens=8", "responses", RESPONSES | {"stream": True}, "completed", 6, (1, 4, 8, 10.5)),
        ("reasoning_tokens=8", "responses", RESPONSES, "completed", 6, (11, 11, 11, 11)),
        ("reasoning_tokens=8", "chat/completions", CHAT, "completed", 6, (7, 7, 7, 7)),
        ("refuse", "responses", RESPONSES | {"stream": True}, "refused", 0, (0.5, None, None, 0.5)),
        ("error", "responses", RESPONSES | {"stream": True}, "failed", 0, (1, None, None, 4)),
        ("error=2", "chat/completions", CHAT | {"stream": True}, "failed", 2, (4, 4, 4, 4.5)),
        ("error", "responses", RESPONSES, "refused", 0, (4, None, None, 4)),
        ("cut=3", "chat/completions", CHAT | {"stream": True}, "cut", 3, (4, 4, 4, 5)),
        ("cut", "responses", RESPONSES | {"stream": True}, "cut", 0, (1, None, None, 4)),
        ("reset=3", "chat/completions", CHAT | {"stream": True}, "cut", 3, (4, 4, 4, 5)),
        ("cut=99", "chat/completions", CHAT | {"stream": True}, "cut", 6, (4, 4, 4, 6.5)),
        ("cut", "chat/completions", CHAT, "cut", 0, (7, None, None, 7)),
        ("stall=2,stall_s=20", "chat/completions", CHAT | {"stream": True}, "completed", 6, (4, 4, 4, 26.5)),
        ("stall=2,stall_s=20", "chat/completions", CHAT, "completed", 6, (27, 27, 27, 27)),
        ("tokens_per_s=0,tokens=40", "responses", RESPONSES | {"stream": True}, "completed", 40, (1, 4, 4, 4)),
        ("start=0,tokens_per_s=0,fragment_bytes=7", "responses", RESPONSES | {"stream": True}, "completed", 6,
         (0, 0, 0, 0)),
    ],
)  # fmt: skip
async def test_times(
    autojump_clock: trio.testing.MockClock, start: Start, override: str, path: str, body: dict[str, Any], outcome: str,
    tokens: int, expected: tuple[float | None, ...],
) -> None:  # fmt: skip
    _, entry = await played(start, override, path, body)
    assert (entry.outcome, entry.tokens_sent, times(entry)) == (outcome, tokens, expected)


async def test_the_scale_compresses_time(autojump_clock: trio.testing.MockClock, start: Start) -> None:
    _, entry = await played(start, "", "responses", RESPONSES | {"stream": True}, time_scale=0.01)
    assert times(entry) == (0.01, 0.04, 0.04, 0.065)


@pytest.mark.parametrize(
    ("override", "path", "streamed", "head"),
    [
        ("never", "chat/completions", False, None),
        ("never", "chat/completions", True, None),
        ("never,early=1", "chat/completions", True, 1.0),
        ("never", "responses", True, 1.0),
        ("stall=0", "responses", True, 1.0),
    ],
)
async def test_a_client_that_waits_in_vain_is_seen_to_leave(
    autojump_clock: trio.testing.MockClock, start: Start, override: str, path: str, streamed: bool, head: float | None
) -> None:
    body = (CHAT if path == "chat/completions" else RESPONSES) | {"stream": streamed}
    running = await start(world_of(default=BASE))
    with trio.move_on_after(100):
        await running.client.post(path, json=body, headers={"x-simulator": override})
    await running.journal.idle()
    entry = running.journal[0]
    assert (entry.outcome, entry.tokens_sent, entry.head_s and round(entry.head_s - entry.arrived_s, 3)) == (
        "client_gone", 0, head
    )  # fmt: skip
    assert entry.gone_s is not None
    assert entry.gone_s == pytest.approx(100, abs=1e-3)


async def test_fragments_change_no_byte(autojump_clock: trio.testing.MockClock, start: Start) -> None:
    running = await start()
    body = RESPONSES | {"stream": True}
    whole = await running.client.post("responses", json=body)
    pieces = await running.client.post("responses", json=body, headers={"x-simulator": "fragment_bytes=5"})
    assert whole.content == pieces.content
    assert frames(whole.content)[-1][0] == "response.completed"
