"""The one reading of Content-Length and Transfer-Encoding."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http1.framing import body_framing
from appliance.http1.refusal import ProtocolRefusal


@pytest.mark.parametrize(
    ("index", "http_1_1", "expected"),
    [
        ({}, True, (None, False)),
        ({b"content-length": b"0"}, True, (0, False)),
        ({b"content-length": b"007"}, False, (7, False)),
        ({b"content-length": b"9" * 18}, True, (10**18 - 1, False)),
        ({b"transfer-encoding": b"chunked"}, True, (None, True)),
        ({b"transfer-encoding": b"CHUNKED"}, True, (None, True)),
    ],
)
def test_accepted(index: Any, http_1_1: bool, expected: Any) -> None:
    assert body_framing(index, http_1_1, 400) == expected


@pytest.mark.parametrize("status", [400, 502])
@pytest.mark.parametrize(
    ("index", "http_1_1"),
    [
        ({b"content-length": b"1", b"transfer-encoding": b"chunked"}, True),
        ({b"transfer-encoding": b"chunked"}, False),
        ({b"transfer-encoding": b"identity"}, True),
        ({b"transfer-encoding": b"chunked,"}, True),
        ({b"transfer-encoding": b"chunked, chunked"}, True),
        ({b"content-length": b"9" * 19}, True),
    ],
)
def test_refused(index: Any, http_1_1: bool, status: int) -> None:
    with pytest.raises(ProtocolRefusal) as refused:
        body_framing(index, http_1_1, status)
    assert (refused.value.status, refused.value.code) == (status, "bad_framing")


def test_codings_that_we_lack_are_501_to_a_client_and_502_from_a_provider() -> None:
    for status, expected in ((400, (501, "unsupported_transfer_encoding")), (502, (502, "bad_framing"))):
        with pytest.raises(ProtocolRefusal) as refused:
            body_framing({b"transfer-encoding": b"br, gzip ,chunked"}, True, status)
        assert (refused.value.status, refused.value.code) == expected


@given(st.one_of(st.binary(max_size=20), st.text("0123456789+-_ .xe", max_size=20).map(str.encode)))
def test_only_plain_digits_are_a_length(value: bytes) -> None:
    plain = 0 < len(value) <= 18 and all(48 <= byte <= 57 for byte in value)
    try:
        length, _ = body_framing({b"content-length": value}, True, 400)
    except ProtocolRefusal:
        assert not plain
    else:
        assert plain and length == int(value)
