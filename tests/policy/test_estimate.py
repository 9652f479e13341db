"""Tokens of attempts that told no usage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import AbortBilling
from appliance.domain.money import Cost, Rates, cost_of
from appliance.domain.tokens import NO_TOKENS, Tokens
from appliance.policy.estimate import Seen, begun_cost, counterfactual, estimate_tokens, tokens_of_bytes

RATES = Rates(1_000_000, 4_000_000)


@pytest.mark.parametrize(
    ("seen", "billing", "read", "written", "certainty"),
    [
        (Seen(4000, accepted=False), "full", 0, 0, "known"),
        (Seen(4000, accepted=True), "free", 0, 0, "estimated"),
        (Seen(4000, accepted=True), "partial", 1000, 0, "estimated"),
        (Seen(4001, accepted=True), "partial", 1001, 0, "estimated"),
        (Seen(4000, accepted=True, deltas=7), "partial", 1000, 7, "estimated"),
        (Seen(4000, accepted=True, deltas=7, text_bytes=100), "partial", 1000, 25, "estimated"),
        (Seen(4000, accepted=True, deltas=70, most_output_tokens=50), "partial", 1000, 50, "estimated"),
        (Seen(4000, accepted=True, deltas=7, most_output_tokens=500), "full", 1000, 500, "estimated"),
        (Seen(4000, accepted=True, deltas=7), "full", 1000, None, "unknown"),
    ],
)
def test_estimates(seen: Seen, billing: AbortBilling, read: int, written: int | None, certainty: str) -> None:
    tokens = estimate_tokens(seen, billing)
    assert (tokens.input, tokens.output, tokens.certainty) == (read, written, certainty)


def test_what_was_not_accepted_is_known_to_cost_nothing() -> None:
    assert estimate_tokens(Seen(10, accepted=False), "partial") is NO_TOKENS


def test_an_output_that_cannot_be_told_has_no_cost_rather_than_a_low_one() -> None:
    assert cost_of(estimate_tokens(Seen(4000, accepted=True), "full"), RATES) == Cost(None, "unknown_usage")


@given(
    st.builds(
        Seen,
        st.integers(0, 10**7),
        accepted=st.just(True),
        deltas=st.integers(0, 10**5),
        text_bytes=st.integers(0, 10**6),
        most_output_tokens=st.none() | st.integers(1, 10**5),
    )
)
def test_free_costs_no_more_than_partial_and_partial_no_more_than_full(seen: Seen) -> None:
    costs = [cost_of(estimate_tokens(seen, billing), RATES) for billing in ("free", "partial", "full")]
    assert all(cost.state == ("estimated" if cost.nanos is not None else "unknown_usage") for cost in costs)
    nanos = [cost.nanos for cost in costs if cost.nanos is not None]
    assert nanos == sorted(nanos)


def test_the_counterfactual_is_the_same_tokens_at_defaults_rates() -> None:
    assert counterfactual(Tokens(1000, 100, certainty="known"), RATES) == Cost(1_400_000, "known")
    assert counterfactual(Tokens(1000, 100, certainty="estimated"), RATES) == Cost(1_400_000, "estimated")
    assert counterfactual(Tokens(1000, 100, certainty="known"), None) == Cost(None, "unknown_price")


def test_before_a_request_the_most_is_estimated_or_without_an_output_limit_the_least() -> None:
    assert (
        begun_cost(4000, 100, RATES, "partial") == begun_cost(4000, 100, RATES, "full") == Cost(1_400_000, "estimated")
    )
    assert begun_cost(4000, None, RATES, "partial") == cost_of(Tokens(1000, 0, certainty="estimated"), RATES)
    assert begun_cost(4000, None, RATES, "full") == Cost(None, "unknown_usage")
    assert begun_cost(4000, 100, None, "partial") == Cost(None, "unknown_price")


def test_tokens_are_rounded_up() -> None:
    assert [tokens_of_bytes(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
