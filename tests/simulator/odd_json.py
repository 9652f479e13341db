"""Strategies for JSON that is well formed and means something else than expected."""

from typing import Any

from hypothesis import strategies as st

_KEYS = (
    "type properties items enum anyOf allOf $ref minItems maxLength minimum maximum format const role content text "
    "name function parameters schema json_schema summary effort user tool function_call_output json_object x"
).split()
_WORDS = ("object", "array", "string", "integer", "number", "function", "user", "json_schema", "#", "#/x", "required")


def odd_json() -> st.SearchStrategy[Any]:
    """Any JSON value, rich in the words that requests and schemas are made of."""
    leaves = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(_WORDS) | st.text()
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
        max_leaves=16,
    )


def odd_bodies(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields, with any values."""
    return st.dictionaries(st.sampled_from(fields), odd_json(), min_size=1, max_size=3)
