import msgspec
import pytest

from appliance.wire.openai_stream import content_bytes, decode_event, short_id


@pytest.mark.parametrize(
    ("value", "size"),
    [(b'""', 0), (b"null", 0), (b"[]", 0), (b"{}", 0), (b'"abc"', 3), (b'[{"a":1}]', 9), (b'" "', 1)],
)
def test_empty_values_are_no_content(value: bytes, size: int) -> None:
    assert content_bytes(msgspec.Raw(value)) == size


def test_half_a_surrogate_pair_reads_as_a_replacement() -> None:
    decoder = msgspec.json.Decoder()
    assert decode_event(decoder, rb'{"a":"x\ud83d"}') == {"a": "x\ufffd"}
    assert decode_event(decoder, rb'{"a":"\ud83d\ude00"}') == {"a": "\U0001f600"}
    for broken in (b"{", rb'{"a":"\ud83d"'):
        with pytest.raises(msgspec.DecodeError):
            decode_event(decoder, broken)


@pytest.mark.parametrize("value", ["", "x" * 129, "a\r\nb", "é", None, 3, {}])
def test_odd_ids_are_dropped(value: object) -> None:
    assert short_id(value) is None
    assert short_id("chatcmpl-1") == "chatcmpl-1"
