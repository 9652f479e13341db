import gzip
import time
import zlib
from contextlib import suppress
from typing import Any

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault
from appliance.wire.body import ROUTING_KEYS, RequestBody, decompress

SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text()
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.text().filter(lambda key: key.lower() not in ROUTING_KEYS)
OBJECTS = st.dictionaries(KEYS | st.sampled_from(sorted(ROUTING_KEYS)), JSON, max_size=8)


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


ENCODINGS = {
    b"gzip": gzip.compress,
    b"X-GZIP": gzip.compress,
    b"deflate": zlib.compress,
    b" Deflate ": raw_deflate,
    b"br": brotli.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
    b"identity": bytes,
    b"": bytes,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(min_size=1) | st.binary(min_size=1, max_size=40).map(lambda part: part * 5000))
def test_what_was_compressed_comes_back(encoding: bytes, data: bytes) -> None:
    assert decompress(encoding, ENCODINGS[encoding](data), len(data)) == data
    with pytest.raises(CallerFault) as caught:
        decompress(encoding, ENCODINGS[encoding](data), len(data) - 1)
    assert caught.value.code == "request_too_large"


def test_gzip_members_follow_one_another() -> None:
    both = gzip.compress(b"one") + gzip.compress(b"two")
    assert decompress(b"gzip", both, 6) == b"onetwo"
    with pytest.raises(CallerFault):
        decompress(b"gzip", both, 5)


def test_zstd_frames_follow_one_another_and_skippable_ones_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    both = zstandard.compress(b"one") + skippable + zstandard.compress(b"two")
    assert decompress(b"zstd", both, 6) == b"onetwo"


@pytest.mark.parametrize(
    ("encoding", "empty"), [(b"gzip", gzip.compress(b"", 1)), (b"zstd", zstandard.compress(b""))], ids=["gzip", "zstd"]
)
def test_a_body_of_endless_empty_members_costs_no_more_than_its_bytes(encoding: bytes, empty: bytes) -> None:
    few = empty * 1000
    assert decompress(encoding, few, 10) == b""
    began_s = time.process_time()
    with pytest.raises(CallerFault) as caught:
        decompress(encoding, empty * (16_000_000 // len(empty)), 32_000_000)
    assert caught.value.code == "bad_request"
    assert time.process_time() - began_s < 2, "it was half an hour when each member copied all that followed it"


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_bytes_after_the_end_are_refused(encoding: bytes) -> None:
    for more in (b"x", b"\0", b"{}"):
        with pytest.raises(CallerFault) as caught:
            decompress(encoding, ENCODINGS[encoding](b"{}") + more, 100)
        assert caught.value.code == "bad_request"


def test_a_coding_within_itself_is_undone_once() -> None:
    twice = gzip.compress(gzip.compress(b"{}"))
    assert decompress(b"gzip", twice, 1000) == gzip.compress(b"{}")


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_a_bomb_stops_at_the_limit(encoding: bytes) -> None:
    bomb = ENCODINGS[encoding](b"\0" * 50_000_000)
    with pytest.raises(CallerFault) as caught:
        decompress(encoding, bomb, 1000)
    assert caught.value.status == 413


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br"])
@given(data=st.binary(max_size=200))
def test_garbage_is_the_callers_fault(encoding: bytes, data: bytes) -> None:
    with suppress(CallerFault):
        assert len(decompress(encoding, data, 10_000)) <= 10_000


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_a_body_cut_short_is_refused(encoding: bytes) -> None:
    whole = ENCODINGS[encoding](bytes(range(256)) * 50)
    with pytest.raises(CallerFault) as caught:
        decompress(encoding, whole[:-8], 100_000)
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("encoding", [b"compress", b"gzip, br", b"gzip,gzip", b"utf-8"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(CallerFault) as caught:
        decompress(encoding, b"x", 10)
    assert caught.value.code == "unsupported_encoding"


def test_a_zstd_window_beyond_the_standard_is_refused() -> None:
    wide = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=27))
    data = wide.compressobj()
    with pytest.raises(CallerFault):
        decompress(b"zstd", data.compress(b"x" * 100_000) + data.flush(), 1_000_000)


@given(OBJECTS)
def test_values_and_order_survive(value: dict[str, Any]) -> None:
    body = RequestBody.decode(msgspec.json.encode(value))
    assert body.keys == tuple(value)
    again = body.encode({})
    assert msgspec.json.decode(again) == value
    assert list(msgspec.json.decode(again)) == list(value)
    for key, inner in value.items():
        assert body.value(key) == inner
        assert body.is_set(key) == (inner is not None)


@given(OBJECTS, JSON)
def test_keys_are_set_in_place_and_removed(value: dict[str, Any], other: Any) -> None:
    body = RequestBody.decode(msgspec.json.encode(value))
    got = msgspec.json.decode(body.encode({"model": msgspec.json.encode(other), "start_within": None, "new": b"1"}))
    expected = value | {"model": other, "new": 1}
    expected.pop("start_within", None)
    assert got == expected
    assert list(got) == list(expected)
    assert msgspec.json.decode(body.encode({})) == value


def test_nested_bytes_are_as_they_were_sent() -> None:
    nested = rb'[ 1.0e2,"\u00e9\/",{"b" : 1,"a":-0.0, "a":2}, 123456789012345678901234567890 ]'
    body = RequestBody.decode(b' { "x" : ' + nested + b' , "model":"m" } ')
    assert body.encode({"model": b'"n"'}) == b'{"x":' + nested + b',"model":"n"}'
    raw = body.raw("x")
    assert raw is not None
    assert bytes(raw) == nested
    assert body.raw("y") is None
    assert body.size_bytes == len(b' { "x" :  , "model":"m" } ' + nested)


def test_duplicate_keys_vanish() -> None:
    body = RequestBody.decode(b'{"model":"cheap","x":1,"model":"dear"}')
    assert body.get_str("model") == "dear"
    assert body.encode({}) == b'{"model":"dear","x":1}'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not valid JSON (byte 0: it ends too early)"),
        (b'{"model": "m", "messages": [', "(byte 28: it ends too early)"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":}', "(byte 5)"),
        (b'{"a":1} x', "(byte 9)"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"a":"secret\xff"}', "not UTF-8 (byte 12)"),
        (b'{"secret\xff":1}', "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"\\ud800":1}', "not valid JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
        (b'{"a":' * 100_000, "too deeply"),
    ],
)
def test_what_is_not_a_json_object_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(CallerFault) as caught:
        RequestBody.decode(data)
    assert caught.value.code == "bad_json"
    assert says in caught.value.message
    assert "secret" not in caught.value.message


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f'{{"a":"{text}"}}'.encode("utf-8", "replace")))
def test_any_bytes_are_an_object_or_a_fault(data: bytes) -> None:
    with suppress(CallerFault):
        body = RequestBody.decode(data)
        data.decode()
        assert RequestBody.decode(body.encode({})).keys == body.keys


@pytest.mark.parametrize("key", ["Model", "STREAM", "start_Within", "Service_tier", "stream_Options", "Provider"])
def test_a_routing_key_in_another_case_is_refused(key: str) -> None:
    with pytest.raises(CallerFault) as caught:
        RequestBody.decode(msgspec.json.encode({key: 1, "model": "m"}))
    assert caught.value.param == key.lower()


def test_typed_values() -> None:
    body = RequestBody.decode(b'{"s":"x","b":true,"i":3,"n":null,"f":1.5,"w":  false  ,"h":1e999}')
    assert body.get_str("s") == "x"
    assert body.get_bool("b") is True
    assert body.get_bool("w") is False
    assert body.get_int("i") == 3
    assert [body.get_str("n"), body.get_bool("n"), body.get_int("n"), body.get_str("absent")] == [None] * 4
    assert body.value("absent") is None
    assert "s" in body
    assert "absent" not in body
    for read, key in ((body.get_str, "i"), (body.get_bool, "s"), (body.get_int, "f")):
        with pytest.raises(CallerFault) as caught:
            read(key)
        assert caught.value.param == key
    with pytest.raises(CallerFault):
        body.value("h")


@pytest.mark.parametrize("key", ["Model", "STREAM", "Service_Tier", "ſtream", "ſtart_within", "\\u017ftart_within"])
def test_a_key_that_some_reader_takes_for_a_routing_key_is_refused(key: str) -> None:
    with pytest.raises(CallerFault) as caught:
        RequestBody.decode(f'{{"model":"m","{key}":1}}'.encode())
    assert (caught.value.code, caught.value.param in ROUTING_KEYS) == ("bad_request", True)
    assert f"Write the key {caught.value.param} in lower case" in caught.value.message
