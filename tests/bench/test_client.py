"""The bench's own client: answers of known length, chunked streams in any slices, faults that must not pass."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench import workload
from tests.bench.client import Loop, Target, Wire

pytestmark = pytest.mark.sockets


@contextmanager
def answering(*parts: bytes) -> Iterator[Target]:
    """A server that answers one request with these parts, each in a send of its own, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.recv(65_536)
                for part in parts:
                    peer.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Target("fake", listener.getsockname()[1], "bench", (("Authorization", "Bearer x"),))
        thread.join(5)


def asked(target: Target) -> Wire:
    ended: list[Wire] = []
    with Loop() as loop:
        Wire(loop, target).ask(target.request(b"{}"), ended.append)
        assert loop.run(lambda: bool(ended), 5.0)
    return ended[0]


def test_a_request_carries_its_headers_and_length() -> None:
    request = Target("x", 80, "m", (("Authorization", "Bearer k"),)).request(b"{}")
    assert request.endswith(b"Content-Length: 2\r\nAuthorization: Bearer k\r\n\r\n{}")


def test_an_answer_of_known_length() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"he", b"llo") as target:
        wire = asked(target)
    assert (wire.status, wire.body, wire.fault) == (200, b"hello", "")
    assert wire.asked_ns <= wire.first_ns <= wire.ended_ns


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_stream_in_slices_is_counted_whole(size: int) -> None:
    stream = workload.stream_head("") + 4 * workload.stream_event("") + workload.stream_tail("", True)
    slices = [stream[at : at + size] for at in range(0, len(stream), size)]
    with answering(*slices) as target:
        wire = asked(target)
    assert (wire.status, wire.marks, wire.fault) == (200, 4, "")


def test_a_mark_in_the_head_is_no_event() -> None:
    head = b"HTTP/1.1 200 OK\r\nx-path: /~user\r\nTransfer-Encoding: chunked\r\n\r\n"
    with answering(head + workload.stream_event("") + b"0\r\n\r\n") as target:
        assert asked(target).marks == 1


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ((b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",), "status 503"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",), "closed within an answer"),
        ((workload.stream_head("") + workload.stream_event(""),), "closed within an answer"),
        ((b"HTTP/1.1 200 OK\r\n\r\n",), "an answer of unknown length"),
        ((), "closed within an answer"),
    ],
)
def test_what_is_not_a_whole_answer_is_a_fault(parts: tuple[bytes, ...], fault: str) -> None:
    with answering(*parts) as target:
        assert asked(target).fault == fault
