"""Server-sent events as they are framed here."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator.script import padding, sse


def test_frames() -> None:
    assert sse({"a": "b\nc"}) == b'data: {"a":"b\\nc"}\n\n'
    assert sse({}, "x.y") == b"event: x.y\ndata: {}\n\n"


@given(st.text(), st.integers(0, 1000))
def test_padding_hides_the_length(text: str, index: int) -> None:
    assert (len(text.encode()) + len(padding(text, index))) % 16 == 0
    assert padding(text, index)
