import pytest

from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.tokens_anthropic import read_usage, served_tier


def test_the_input_is_what_was_read_anew_from_the_cache_and_written_to_it() -> None:
    usage = {
        "input_tokens": 25,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 15,
        "output_tokens": 8,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    assert read_usage(usage) == Tokens(100, 8, 60, 15, 3, "known")
    assert read_usage({"input_tokens": 25, "output_tokens": 8}) == Tokens(25, 8, None, None, None, "known")
    assert read_usage({"output_tokens": 8}, "estimated") == Tokens(None, 8, None, None, None, "estimated")


def test_what_is_kept_for_an_hour_is_told_apart() -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "cache_creation_input_tokens": 15}
    parts = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 10}
    assert read_usage(usage | {"cache_creation": parts}) == Tokens(20, 1, None, 15, None, "known", 10)
    untold: list[object] = [None, [], {}, {"ephemeral_1h_input_tokens": -1}]
    for nonsense in untold:
        assert read_usage(usage | {"cache_creation": nonsense}) == Tokens(20, 1, None, 15, None, "known")


@pytest.mark.parametrize(
    "usage", [None, [], {}, "x", {"input_tokens": None}, {"input_tokens": True}, {"input_tokens": -1}]
)
def test_what_is_not_told_is_unknown(usage: object) -> None:
    assert read_usage(usage) is UNKNOWN_TOKENS


def test_the_fast_speed_has_a_price_of_its_own() -> None:
    assert served_tier({"service_tier": "standard", "speed": "fast"}) == "fast"
    assert served_tier({"service_tier": "priority", "speed": "standard"}) == "priority"
    assert served_tier({}) is served_tier(None) is None
