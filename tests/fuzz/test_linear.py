"""What hostile bytes cost: four times as many take about four times as long, never the square, and little memory.

CPU time, the best of three, so that other work on the machine does not count.
"""

import gzip
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from appliance.domain.errors import CallerFault
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request import RequestReader
from appliance.http1.response import ResponseReader
from appliance.server.asgi_gate import Gate
from appliance.wire.body import RequestBody, decompress
from appliance.wire.sse import SseSplitter

WIDE = Limits(head_bytes=1 << 24, header_count=1 << 20, body_bytes=1 << 24, trailer_bytes=1 << 20)
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MOST_TIMES = 9.0
"""4 would be linear and 16 the square."""


def _requests(pieces: list[bytes]) -> None:
    reader = RequestReader(WIDE)
    for piece in pieces:
        reader.feed(piece)
        if reader.body_due or reader.next_head() is not None:
            reader.next_body()


def _gate(pieces: list[bytes]) -> None:
    gate = Gate(WIDE)
    for piece in pieces:
        gate.feed(piece)


def _answer(pieces: list[bytes]) -> None:
    reader = ResponseReader(WIDE)
    head = None
    for piece in pieces:
        reader.feed(piece)
        head = head or reader.next_head()
        if head is not None:
            reader.body()


def _events(pieces: list[bytes]) -> None:
    splitter = SseSplitter()
    for piece in pieces:
        splitter.feed(piece)


def _bytes_of(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _again(fields: bytes) -> bytes:
    return RequestBody.decode(b"{" + fields + b"}").encode({})


WAYS: dict[str, Callable[[int], Callable[[], object]]] = {
    "a head in single bytes": lambda n: lambda: _requests(_bytes_of(HEAD + b"a: b\r\n" * n)),
    "a header without end": lambda n: lambda: _requests([HEAD + b"a: "] + [b"x" * 100] * n),
    "pipelined requests": lambda n: lambda: _requests([HEAD + b"\r\n"] * n),
    "chunks of one byte": lambda n: lambda: _requests([CHUNKED] + [b"1\r\na\r\n" * 10] * (n // 10)),
    "chunks in single bytes": lambda n: lambda: _requests([CHUNKED, *_bytes_of(b"1\r\na\r\n" * n)]),
    "trailers": lambda n: lambda: _requests([CHUNKED + b"0\r\n"] + [b"a: b\r\n"] * n),
    "chunks through the gate": lambda n: lambda: _gate([CHUNKED] + [b"1\r\na\r\n" * 10] * (n // 10)),
    "an answer in single bytes": lambda n: (
        lambda: _answer(_bytes_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * n))
    ),
    "an event in single bytes": lambda n: lambda: _events(_bytes_of(b"data: " + b"x" * 5 * n)),
    "lines ended by CR": lambda n: lambda: _events([b"data: x\r", *([b"a\r"] * 5 * n)]),
    "many keys": lambda n: lambda: _again(b",".join(b'"k%d":%d' % (at, at) for at in range(n))),
    "one key many times": lambda n: lambda: _again(b",".join(b'"k":1' for _ in range(5 * n))),
    "empty members": lambda n: lambda: decompress(b"gzip", gzip.compress(b"") * n, 1),
}


def _cpu_s(work: Callable[[], object]) -> float:
    best_s = float("inf")
    for _ in range(3):
        began_s = time.thread_time()
        with suppress(ProtocolRefusal, CallerFault):
            work()
        best_s = min(best_s, time.thread_time() - began_s)
    return best_s


@pytest.mark.parametrize("way", WAYS)
def test_four_times_the_bytes_take_about_four_times_as_long(way: str) -> None:
    make = WAYS[way]
    few = 1000
    while (few_s := _cpu_s(make(few))) < 0.004 and few < 20_000:
        few *= 2
    assert _cpu_s(make(4 * few)) < MOST_TIMES * max(few_s, 0.002), few


@pytest.mark.parametrize("way", ["chunks through the gate", "pipelined requests", "trailers"])
def test_what_is_passed_on_or_dropped_is_not_kept(way: str) -> None:
    work = WAYS[way](20_000)
    tracemalloc.start()
    try:
        with suppress(ProtocolRefusal):
            work()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2_000_000
