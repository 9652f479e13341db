"""Runs a reader over cut bytes and says all that it did, so that outcomes of different cuts can be compared."""

import itertools
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from appliance.http1.limits import Limits
from appliance.http1.refusal import CODES, ProtocolRefusal, TruncatedBody
from appliance.http1.request import RequestReader
from appliance.http1.response import ResponseReader

Outcome = list[tuple[Any, ...]]

SMALL = Limits(head_bytes=512, header_count=8, body_bytes=64, chunk_line_bytes=16, trailer_bytes=48, interim_count=3)


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def cut_at(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


def _refused(refusal: ProtocolRefusal, statuses: Iterable[int] = (400, 413, 417, 431, 501, 505)) -> tuple[Any, ...]:
    assert refusal.code in CODES
    assert refusal.status in statuses
    return "refused", refusal.status, refusal.code


def requests(pieces: Iterable[bytes], limits: Limits = SMALL) -> Outcome:
    """Every request read, then how it ended: refused, or waiting with the bytes unread."""
    reader = RequestReader(limits)
    seen: Outcome = []
    head = None
    try:
        for piece in pieces:
            reader.feed(piece)
            while True:
                if head is None:
                    head = reader.next_head()
                    if head is None:
                        break
                body = reader.next_body()
                if body is None:
                    break
                assert type(body) is bytes and type(head.raw) is bytes
                seen.append((head.method, head.target, head.version, tuple(head.headers), head.keep_alive, body))
                head = None
    except ProtocolRefusal as refusal:
        return [*seen, _refused(refusal)]
    return [*seen, ("waiting", head is not None)]


def response(pieces: Iterable[bytes], method: bytes = b"POST", eof: bool = True, limits: Limits = SMALL) -> Outcome:
    """The answer read; then refused, truncated, or its body, whether complete, and whether there was a surplus."""
    reader = ResponseReader(limits, method)
    head = None
    body = b""
    facts: Outcome = []
    try:
        for piece in pieces:
            reader.feed(piece)
            if head is None:
                head = reader.next_head()
                if head is not None:
                    facts.append((head.status, head.reason, head.version, tuple(head.headers), head.keep_alive))
            if head is not None:
                got = reader.body()
                assert type(got) is bytes
                body += got
        reusable = reader.reusable
        if eof:
            reader.eof()
            assert not reader.reusable
            body += reader.body()
    except ProtocolRefusal as refusal:
        return [*facts, _refused(refusal, (502,))]
    except TruncatedBody as truncated:
        return [*facts, ("truncated", truncated.phase, body)]
    return [*facts, (body, reader.complete, reader.surplus, reusable)]
