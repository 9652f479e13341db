import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.wire.translation.json_array import ArraySplitter
from tests.wire.streams import cut
from tests.wire.translation.strategies import JSON_OBJECTS


@settings(max_examples=200, deadline=None)
@given(
    objects=st.lists(JSON_OBJECTS, max_size=4),
    places=st.lists(st.integers(0, 10_000), max_size=6),
    gap=st.sampled_from([b",", b",\r\n", b"\n,\n"]),
)
def test_elements_come_out_as_they_are_however_the_array_is_cut(
    objects: list[dict[str, object]], places: list[int], gap: bytes
) -> None:
    elements = [msgspec.json.format(msgspec.json.encode(one), indent=len(objects)) for one in objects]
    splitter = ArraySplitter()
    told = [element for piece in cut(b"[" + gap.join(elements) + b"\n]", places) for element in splitter.feed(piece)]
    assert told == elements and not splitter.broken


def test_what_is_no_object_breaks_it_and_what_came_before_stands() -> None:
    splitter = ArraySplitter()
    assert splitter.feed(b'[{"a":"}\\""},7,{}]') == [b'{"a":"}\\""}']
    assert splitter.broken
    assert splitter.feed(b"{}") == []


def test_an_endless_element_breaks_it() -> None:
    splitter = ArraySplitter(max_bytes=100)
    assert splitter.feed(b'[{"a":"' + b"x" * 101) == []
    assert splitter.broken
