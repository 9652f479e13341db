import msgspec
import pytest

from appliance.domain.errors import CallerFault
from appliance.wire.translation.openai_chat_shapes import Request
from appliance.wire.translation.strict import read, top_level, value_of

DECODER = msgspec.json.Decoder(Request)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b'{"model":"m","messages":[{"role":"user","content":"x","mood":1}]}', "inexpressible", "messages[0].mood"),
        (b'{"model":"m","messages":[{"role":"bard","content":"x"}]}', "inexpressible", "messages[0].role"),
        (
            b'{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}',
            "inexpressible",
            "messages[0].content[0].type",
        ),
        (b'{"model":"m","messages":[],"temperature":"hot"}', "bad_request", "temperature"),
        (b'{"messages":[]}', "bad_request", "body"),
        (b'{"model":"m","messages":[],"tool_choice":"never"}', "inexpressible", "tool_choice"),
        (b'{"model":', "bad_json", None),
    ],
)
def test_a_fault_names_the_field_and_never_a_value(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(CallerFault) as raised:
        read(DECODER, body)
    assert (raised.value.code, raised.value.param, raised.value.status) == (code, param, 400)
    for value in ("hot", "bard", "never", "input_audio"):
        assert value not in raised.value.message


def test_a_part_read_alone_names_its_place_in_the_whole() -> None:
    decoder = msgspec.json.Decoder(list[int])
    with pytest.raises(CallerFault) as raised:
        read(decoder, b'[1,"x"]', "input")
    assert raised.value.param == "input[1]"


def test_a_very_long_name_is_cut() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x","%s":1}]}' % (b"a" * 5000)
    with pytest.raises(CallerFault) as raised:
        read(DECODER, body)
    assert len(raised.value.message) < 200


def test_startlines_own_fields_are_left_out() -> None:
    assert list(top_level(b'{"model":"m","start_within":"30s","retry":{},"ladder":[],"preset":"p","x":1}')) == [
        "model",
        "x",
    ]


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":"\xff"}', b'{"a":' * 100_000])
def test_what_is_no_object_in_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(CallerFault) as raised:
        top_level(body)
    assert raised.value.code == "bad_json"


def test_a_field_that_is_left_out_or_null_has_no_value() -> None:
    assert value_of(msgspec.UNSET) is None and value_of(msgspec.Raw(b"null")) is None
    assert value_of(msgspec.Raw(b"0")) == msgspec.Raw(b"0")
