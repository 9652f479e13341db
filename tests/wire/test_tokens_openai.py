import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.tokens_openai import read_usage


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Tokens(5, 2, certainty="known")),
        ({"input_tokens": 5, "output_tokens": 2}, Tokens(5, 2, certainty="known")),
        (
            {"prompt_tokens": 5, "completion_tokens": 2,
             "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
             "completion_tokens_details": {"reasoning_tokens": 1}},
            Tokens(5, 2, 3, 1, 1, "known"),
        ),
        (
            {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}},
            Tokens(5, 2, 0, None, 0, "known"),
        ),
        ({"prompt_tokens": 8, "total_tokens": 8}, Tokens(8, 0, certainty="known")),
        ({"prompt_tokens": 8}, Tokens(8, None, certainty="known")),
        ({"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 4}, Tokens(5, 2, 4, certainty="known")),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}, Tokens(5, 2, certainty="known")),
        ({"prompt_tokens": -1, "completion_tokens": 2**70}, UNKNOWN_TOKENS),
        ({"prompt_tokens": 1.5, "completion_tokens": True}, UNKNOWN_TOKENS),
        ({}, UNKNOWN_TOKENS),
        (None, UNKNOWN_TOKENS),
        ([1], UNKNOWN_TOKENS),
    ],
)  # fmt: skip
def test_usage_of_either_shape(usage: object, tokens: Tokens) -> None:
    assert read_usage(usage) == tokens


@given(st.recursive(st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(
    st.sampled_from(["prompt_tokens", "input_tokens", "prompt_tokens_details", "cached_tokens", "x"]), v)))  # fmt: skip
def test_any_value_is_read(usage: object) -> None:
    tokens = read_usage(usage)
    assert (tokens.certainty == "known") == (tokens.input is not None or tokens.output is not None)
