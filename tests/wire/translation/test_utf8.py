import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.translation.utf8 import as_utf8


@given(st.text().map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary())
def test_what_comes_out_is_utf8_and_what_was_stays_the_same_bytes(data: bytes) -> None:
    mended = as_utf8(data)
    mended.decode()
    try:
        data.decode()
    except UnicodeDecodeError:
        assert "\ufffd".encode() in mended
    else:
        assert mended is data


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3", b"\xe2\x82"])
def test_half_a_character_is_one_mark_and_swallows_nothing(wrong: bytes) -> None:
    assert as_utf8(b'{"a":"x' + wrong + b'"}\n\n').decode() == '{"a":"x\ufffd"}\n\n'
