"""What is written is one head with the given headers, whatever is in the values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http1.limits import Limits
from appliance.http1.request import RequestReader
from appliance.http1.response import ResponseReader
from appliance.http1.write import LAST_CHUNK, chunk, request_head, response_head, safe_target, safe_value


def test_a_response_head() -> None:
    assert response_head(200, [(b"a", b"b"), (b"c", b"")]) == b"HTTP/1.1 200 OK\r\na: b\r\nc: \r\n\r\n"
    assert response_head(529, []) == b"HTTP/1.1 529 \r\n\r\n"
    assert response_head(404, iter([(b"a", b"b")])) == b"HTTP/1.1 404 Not Found\r\na: b\r\n\r\n"


def test_a_request_head() -> None:
    assert request_head(b"POST", b"/v1?a=b", [(b"host", b"a")]) == b"POST /v1?a=b HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", b"plain"),
        ("text é", b"text %C3%A9"),
        (b"a\r\nb: c", b"a%0D%0Ab: c"),
        (b"a\x00b\x7f", b"a%00b%7F"),
        (b" \tspace\t inside \t", b"space\t inside"),
        (b"100%", b"100%"),
        ("\ud800", b"?"),
        (b"", b""),
    ],
)
def test_safe_value(value: bytes | str, expected: bytes) -> None:
    assert safe_value(value) == expected


def test_safe_target_leaves_no_space_and_no_fragment() -> None:
    assert safe_target("/v1/models/a b#c\r\n\té") == b"/v1/models/a%20b%23c%0D%0A%09%C3%A9"


_HOSTILE = st.one_of(
    st.binary(max_size=20), st.lists(st.sampled_from([b"\r\n", b"\n", b"a", b": ", b"\x00"])).map(b"".join)
)


@given(st.lists(_HOSTILE, max_size=5))
def test_no_value_ends_its_line_in_an_answer(values: list[bytes]) -> None:
    headers = [(b"x-%d" % i, value) for i, value in enumerate(values)]
    reader = ResponseReader(Limits(), b"HEAD")
    reader.feed(response_head(200, headers))
    head = reader.next_head()
    assert head is not None and reader.complete and not reader.surplus
    assert head.headers == [(name, safe_value(value)) for name, value in headers]


@given(_HOSTILE, st.lists(_HOSTILE, max_size=3))
def test_no_value_or_target_ends_its_line_in_a_request(target: bytes, values: list[bytes]) -> None:
    headers = [(b"host", b"a"), *[(b"x-%d" % i, value) for i, value in enumerate(values)]]
    reader = RequestReader(Limits())
    reader.feed(request_head(b"GET", b"/" + target, headers))
    head = reader.next_head()
    assert head is not None and reader.idle
    assert head.target == safe_target(b"/" + target)
    assert head.headers == [(name, safe_value(value)) for name, value in headers]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"\xe9", b"a\x00"])
def test_names_are_tokens(name: bytes) -> None:
    with pytest.raises(ValueError, match="header name"):
        response_head(200, [(name, b"v")])
    with pytest.raises(ValueError, match="header name"):
        request_head(b"GET", b"/", [(name, b"v")])


@pytest.mark.parametrize(("method", "target"), [(b"", b"/"), (b"GE T", b"/"), (b"GET", b""), (b"GET\r\n", b"/")])
def test_request_lines_are_checked(method: bytes, target: bytes) -> None:
    with pytest.raises(ValueError, match="request line"):
        request_head(method, target, [])


@pytest.mark.parametrize("status", [0, 99, 600, -1])
def test_status_codes_are_checked(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        response_head(status, [])


def test_chunks() -> None:
    assert chunk(b"hello world, 16b") == b"10\r\nhello world, 16b\r\n"
    assert chunk(b"") == b""  # an empty chunk would end the body
    assert LAST_CHUNK == b"0\r\n\r\n"
