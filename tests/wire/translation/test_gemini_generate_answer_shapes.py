import pytest
from google.genai import types

from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.translation.gemini_generate_answer_shapes import (
    FAILURES,
    STOPS,
    UsageShape,
    stop_of,
    tier_of,
    tokens_of,
    usage_object,
)

NOT_A_REASON = {"FINISH_REASON_UNSPECIFIED", "ESCALATION", "PUP_LIMITED_DISABLED", "NO_IMAGE"}


def test_every_reason_of_the_sdk_means_something() -> None:
    assert {one.value for one in types.FinishReason} == STOPS.keys() | FAILURES | NOT_A_REASON
    assert (stop_of("NO_IMAGE", called=False), stop_of("STOP", called=True)) == ("end", "tool_calls")


def test_usage_there_and_back() -> None:
    told = UsageShape(10, 2, 3, 4, 5)
    assert tokens_of(told) == Tokens(12, 9, 3, None, 5, "known")
    assert tokens_of(UsageShape()) == UNKNOWN_TOKENS
    assert usage_object(Tokens(12, 9, 3, None, 5, "known")) == {
        "promptTokenCount": 12,
        "candidatesTokenCount": 4,
        "totalTokenCount": 21,
        "cachedContentTokenCount": 3,
        "thoughtsTokenCount": 5,
    }
    assert usage_object(UNKNOWN_TOKENS) is None


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        (UsageShape(service_tier="flex"), "flex"),
        (UsageShape(traffic_type="ON_DEMAND_PRIORITY"), "priority"),
        (UsageShape(service_tier="not a word"), None),
        (UsageShape(), None),
    ],
)
def test_the_tier_served(usage: UsageShape, tier: str | None) -> None:
    assert tier_of(usage) == tier
