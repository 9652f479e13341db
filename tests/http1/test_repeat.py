"""A head that is recognised means exactly what parsing it would have told."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.http1.request import RequestHead, RequestReader

FACTS = [slot for slot in RequestHead.__slots__ if slot not in ("get", "kin")]
LINES = st.sampled_from(
    [
        b"Authorization: Bearer one",
        b"Authorization: Bearer two",
        b"accept: application/json",
        b"Expect: 100-continue",
        b"Connection: close",
        b"x-content-length: 7",
        b"Upgrade: h2c",
        b"X-A: content-length: 9",
    ]
)
LENGTHS = st.sampled_from([b"5", b"12", b"123", b"0", b"007", b"+5", b"5 5", b"0x5", b"", b"9" * 30, b"-1", b"1_0"])
LENGTH_LINES = st.sampled_from([b"Content-Length: %b", b"content-length:%b", b"CONTENT-LENGTH:\t %b "])


def facts(head: RequestHead) -> dict[str, Any]:
    told = {slot: getattr(head, slot) for slot in FACTS}
    told["table"] = {name: head.get(name) for name, _ in head.headers}
    return told


def read(reader: RequestReader, raw: bytes) -> Any:
    """The facts of one request, its body read; or how it was refused."""
    reader.feed(raw)
    try:
        head = reader.next_head()
        assert head is not None
        told = facts(head)
        if head.has_body:
            reader.feed(b"x" * (head.content_length or 0))
            assert len(reader.next_body() or b"") == head.content_length
    except ProtocolRefusal as refusal:
        return refusal.status, refusal.code
    return told


@given(st.lists(st.tuples(st.lists(LINES, max_size=3), LENGTH_LINES, LENGTHS), min_size=2, max_size=8), st.booleans())
def test_a_connection_says_what_fresh_connections_would(
    requests: list[tuple[list[bytes], bytes, bytes]], same: bool
) -> None:
    shared = RequestReader(Limits(body_bytes=1000))
    for lines, length_line, length in requests:
        if same:
            lines, length_line, _ = requests[0]
        head = [b"POST /v1/x HTTP/1.1", b"Host: a", *lines, length_line % length]
        raw = b"\r\n".join(head) + b"\r\n\r\n"
        alone = read(RequestReader(Limits(body_bytes=1000)), raw)
        assert read(shared, raw) == alone
        if isinstance(alone, tuple):
            return  # a refused connection is closed


def post(length: bytes, token: bytes = b"one") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\nContent-Length: %b\r\n\r\n" % (token, length)


def kin(*heads: bytes) -> list[object]:
    reader = RequestReader(Limits())
    found = []
    for raw in heads:
        reader.feed(raw)
        head = reader.next_head()
        assert head is not None
        reader.feed(b"x" * (head.content_length or 0))
        reader.next_body()
        found.append(head.kin)
    return found


def test_heads_are_kin_if_only_their_lengths_differ() -> None:
    first, second, third = kin(post(b"5"), post(b"77"), post(b"5"))
    assert first is second is third


def test_another_credential_is_never_kin() -> None:
    first, second, third = kin(post(b"5"), post(b"5", b"two"), post(b"5", b"onE"))
    assert first is not second and second is not third and first is not third


def test_a_client_whose_heads_always_differ_is_not_watched_for_ever() -> None:
    reader = RequestReader(Limits())
    for number in range(10):
        reader.feed(post(b"5", b"%d" % number) + b"xxxxx")
        assert reader.next_head() is not None
        reader.next_body()
    assert reader._last._head is None


def test_a_twin_is_whole() -> None:
    reader = RequestReader(Limits())
    reader.feed(post(b"5"))
    head = reader.next_head()
    assert head is not None
    twin = head.twin()
    assert all(getattr(twin, slot) == getattr(head, slot) for slot in RequestHead.__slots__)
