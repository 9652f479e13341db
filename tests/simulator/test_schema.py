"""Values that fit schemas: by construction, bounded, decided by the generator."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator.schema import Fitter
from tests.simulator.odd_json import odd_json


def fit(schema: object, seed: int = 0, text: str = "") -> Any:
    return Fitter(schema, Random(seed), text).value()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": 7}, 7),
        ({"enum": ["only"]}, "only"),
        ({"type": "null"}, None),
        ({"type": ["null", "string"], "format": "date"}, "2026-01-02"),
        ({"type": "integer", "minimum": 5, "maximum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7}, 6),
        ({"type": "string", "minLength": 30, "maxLength": 30}, None),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 1),
        ({"allOf": [{"type": "object"}, {"properties": {"a": {"const": 1}}}]}, {"a": 1}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 3}}}, 3),
        ({"type": "array", "items": {"const": 1}, "minItems": 3}, [1, 1, 1]),
        ({"type": "array", "items": {"const": 1}, "maxItems": 1}, [1]),
        ("nonsense", None),
        ({"$ref": "elsewhere"}, None),
        ({"type": "martian"}, None),
    ],
)
def test_cases(schema: object, expected: object) -> None:
    value = fit(schema)
    if isinstance(schema, dict) and "minLength" in schema:
        assert len(value) == 30
    else:
        assert value == expected


def test_an_object_has_all_its_properties() -> None:
    schema = {"type": "object", "properties": {"b": {"type": "boolean"}, "n": {"type": "number", "maximum": 1}}}
    value = fit(schema)
    assert isinstance(value["b"], bool)
    assert 0 <= value["n"] <= 1


def test_a_recursive_schema_ends() -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    depth = 0
    value = fit(node)
    while value is not None:
        value = value["next"]
        depth += 1
    assert 1 <= depth <= 6


def test_a_schema_that_explodes_is_bounded() -> None:
    wide = {"type": "array", "minItems": 32, "items": {"$ref": "#"}}
    assert isinstance(fit(wide), list)


def test_free_strings_take_the_text() -> None:
    assert fit({"type": "object", "properties": {"a": {"type": "string"}}}, text="told") == {"a": "told"}


@given(odd_json(), st.integers(0, 99))
def test_no_schema_makes_it_fail_and_one_seed_makes_one_value(schema: object, seed: int) -> None:
    assert fit(schema, seed) == fit(schema, seed)
