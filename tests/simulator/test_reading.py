"""Fields of requests, of the right type and of every other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator.faults import Rejected
from appliance.simulator.reading import boolean, format_schema, last_user_text, objects, positive, stop_sequences


def test_booleans() -> None:
    assert [boolean(body, "a") for body in ({}, {"a": None}, {"a": False}, {"a": True})] == [False, False, False, True]
    with pytest.raises(Rejected):
        boolean({"a": 1}, "a")


@pytest.mark.parametrize("value", [-1, "1", 1.5, True, []])
def test_positive_refuses(value: Any) -> None:
    with pytest.raises(Rejected):
        positive({"a": value}, "a")


def test_positive_accepts() -> None:
    assert [positive(body, "a") for body in ({}, {"a": None}, {"a": 0}, {"a": 3})] == [None, None, None, 3]


def test_stop_sequences() -> None:
    assert stop_sequences("x") == ("x",)
    assert stop_sequences(["x", 1, "y"]) == ("x", "y")
    assert stop_sequences(None) == ()


def test_formats_of_both_dialects() -> None:
    schema = {"type": "object"}
    assert format_schema({"type": "json_schema", "json_schema": {"schema": schema}}, nested=True) == (schema, False)
    assert format_schema({"type": "json_schema", "schema": schema}, nested=False) == (schema, False)
    assert format_schema({"type": "json_object"}, nested=True) == (None, True)
    assert format_schema({"type": "text"}, nested=True) == (None, False)


def test_the_last_user_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "input_text", "text": "b"}]
    assert last_user_text([{"role": "user", "content": parts}, {"role": "assistant", "content": "x"}]) == "ab"
    assert last_user_text([{"role": "system", "content": "x"}, 7]) == ""


@given(st.recursive(st.none() | st.text() | st.integers(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_strange_values_are_left_out(value: Any) -> None:
    assert all(isinstance(one, dict) for one in objects(value))
    stop_sequences(value)
