import pytest

from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.tokens_gemini import read_interaction_usage, read_usage, served_tier


def test_thoughts_are_output_and_what_tools_put_in_is_input() -> None:
    usage = {
        "promptTokenCount": 20,
        "toolUsePromptTokenCount": 4,
        "cachedContentTokenCount": 8,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 64,
    }
    assert read_usage(usage) == Tokens(24, 40, 8, None, 30, "known")
    assert read_usage({"promptTokenCount": 20, "totalTokenCount": 20}) == Tokens(20, 0, certainty="known")
    assert read_usage({"promptTokenCount": 20}) == Tokens(20, None, certainty="known")


def test_interactions_count_the_same_under_other_names() -> None:
    usage = {"total_input_tokens": 20, "total_output_tokens": 5, "total_thought_tokens": 7, "total_cached_tokens": 8}
    assert read_interaction_usage(usage) == Tokens(20, 12, 8, None, 7, "known")


@pytest.mark.parametrize("usage", [None, [], {}, {"promptTokenCount": None}, {"promptTokenCount": True}])
def test_what_is_not_told_is_unknown(usage: object) -> None:
    assert read_usage(usage) is UNKNOWN_TOKENS


def test_the_tier_as_traffic() -> None:
    assert served_tier({"trafficType": "ON_DEMAND_FLEX"}) == "flex"
    assert served_tier({"serviceTier": "priority", "trafficType": "ON_DEMAND"}) == "priority"
    assert served_tier({"trafficType": "PROVISIONED_THROUGHPUT"}) is served_tier(None) is None


def test_a_type_of_traffic_that_is_no_word_is_none() -> None:
    assert served_tier({"trafficType": ["ON_DEMAND"]}) is None
