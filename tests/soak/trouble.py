"""What goes wrong in a soak: providers that fail, clients that stop reading, an operator who changes things.

The rule: all of it is what a running server must take without a trace; each is counted, so that a soak in which
nothing went wrong shows.
"""

from collections import Counter
from contextlib import suppress
from itertools import count
from random import Random

import httpx
import trio

from tests.end_to_end.bad_provider import says
from tests.rig import Client, chat, request
from tests.soak.served import Served
from tests.upstream.scripted import Peer, Play

FAULTS = (
    "cut=3", "cut=0", "reset=2", "reset=0", "stall=2", "never", "refuse=server_error", "refuse=overloaded",
    "refuse=rate_limit_exceeded", "refuse=bad_gateway", "refuse=invalid_request", "error=1", "error=0",
    "fragment_bytes=64", "tokens=400",
)  # fmt: skip
"""In the simulator's words."""

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_GARBAGE: tuple[Play, ...] = (
    says(b"\x16\x03\x01\x00\xff not HTTP at all"),
    says(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{]}[{"),
    says(_HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nda", then="reset"),
    says(_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n"),
    says(_HEAD + b"\r\ndata: {}\n\ndata: }{\n\n"),
    says(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"),
    says(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>", then="silent"),
    says(b"", then="reset"),
    says(b"", then="close"),
    says(b"HTTP/1.1 200 OK\r\ncontent-le", then="silent"),
)

STAYS_S = 12.0
"""How long a client that stops reading stays, if it may."""

UNDONE = "what the operator could not do"
OPERATOR_S = 3.0
BREAKER_PAUSE_S = 0.5
_TRIALS = 20


def garbage(rng: Random) -> Play:
    """A provider whose every connection is another disappointment."""

    async def play(peer: Peer) -> None:
        await rng.choice(_GARBAGE)(peer)

    return play


async def stop_reading(port: int, key: str, counts: Counter[str]) -> None:
    """Ask for a long answer, read nothing of it, and leave after a while."""
    sock = trio.socket.socket()
    sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    with suppress(OSError, trio.BrokenResourceError):
        try:
            await sock.connect(("127.0.0.1", port))
            body = chat(model="plain/gpt-5.4-nano", stream=True, metadata={"simulator": "tokens=30000,tokens_per_s=0"})
            await Client(trio.SocketStream(sock)).send(request(key=key, body=body))
            await trio.sleep(STAYS_S)
        finally:
            sock.close()
    counts["clients that stopped reading"] += 1


async def operate(served: Served, base_urls: list[str], rng: Random, counts: Counter[str]) -> None:
    """Be a busy operator, again and again."""
    for number in count():
        await trio.sleep(OPERATOR_S)
        try:
            counts[await act(served, base_urls, rng, number)] += 1
        except (httpx.TransportError, trio.BrokenResourceError, EOFError):  # judged at the end
            counts[UNDONE] += 1


async def act(served: Served, base_urls: list[str], rng: Random, number: int) -> str:
    """One of the five things that an operator does, in turn: what it was."""
    match number % 5:
        case 0:
            await _key_comes_and_goes(served, number)
            return "keys made, used and revoked"
        case 1:
            await served.admin("PATCH", "providers/moving", {"base_url": rng.choice(base_urls)})
            return "providers changed"
        case 2:
            await served.add_provider("passing", base_urls[0], position=9)
            await served.admin("DELETE", "providers/passing")
            return "providers added and removed"
        case 3:
            await served.admin("GET", "usage", limit=1000, group="model")
            await served.admin("GET", "health")
            return "reports read"
        case _:
            async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
                client = Client(stream)
                await client.send(request("GET", "/v1/models", key="sk-sl-nobody"))
                assert (await client.answer("GET")).status in (401, 429)
            return "wrong keys"


async def _key_comes_and_goes(served: Served, number: int) -> None:
    key_id, key = await served.new_key(f"passing{number}")
    for _ in range(_TRIALS):
        if await _revoked_in_mid_stream(served, key_id, key):
            return
        await trio.sleep(BREAKER_PAUSE_S)
    raise EOFError("the breaker did not close")


async def _revoked_in_mid_stream(served: Served, key_id: str, key: str) -> bool:
    """Whether it came to that: what went wrong before may have left a breaker open."""
    async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
        client = Client(stream)
        body = chat(model="plain/gpt-5.4-nano", stream=True, metadata={"simulator": "start=0,tokens=8,stall=1"})
        await client.send(request(key=key, body=body))
        if (await client.until(b"\r\n")).startswith(b"HTTP/1.1 503"):
            await client.until(b"breaker_open")
            return False
        await client.until(b'"content"')
        await served.admin("POST", f"keys/{key_id}/revoke")
        await client.until(b"revoked_api_key")
        return True
