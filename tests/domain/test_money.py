"""Money is exact, unknown is not zero, and a cost says how far it can be trusted."""

from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.money import NANOS_PER_USD, Cost, Rates, cost_of, total_of, usd
from appliance.domain.tokens import NO_TOKENS, UNKNOWN_TOKENS, Tokens

RATES = Rates(input=2_000_000, output=10_000_000, cached=200_000, cache_write=2_500_000)
"""$2, $10, $0.20 and $2.50 per million tokens."""


def known(**counts: int) -> Tokens:
    return Tokens(**counts, certainty="known")


def test_each_kind_of_token_has_its_price() -> None:
    cost = cost_of(known(input=1_000_000, output=100_000, cached=300_000, cache_write=100_000, reasoning=50_000), RATES)
    # 600,000 at $2 + 300,000 at $0.20 + 100,000 at $2.50 + 100,000 at $10 per million
    assert cost.nanos == int((1.2 + 0.06 + 0.25 + 1.0) * NANOS_PER_USD) and cost.state == "known"


def test_cached_tokens_without_a_price_of_their_own_cost_as_input() -> None:
    assert cost_of(known(input=1000, cached=500, cache_write=100), Rates(1_000_000, 0)).nanos == 1_000_000


def test_cache_writes_for_an_hour_have_their_price() -> None:
    tokens = known(input=1000, cached=100, cache_write=500, cache_write_1h=200)
    # 400 at $2, 100 at $0.20, 300 at $2.50, 200 at $4 per million
    assert (
        cost_of(tokens, msgspec.structs.replace(RATES, cache_write_1h=4_000_000)).nanos == 800_000 + 20_000 + 1_550_000
    )
    assert cost_of(tokens, RATES).nanos == 800_000 + 20_000 + 1_250_000, "no price of their own: as other writes"
    plain = Rates(1_000_000, 0, cache_write_1h=2_000_000)
    assert cost_of(tokens, plain).nanos == 1_200_000, "other writes are billed as input"


def test_a_long_context_has_its_own_rates() -> None:
    rates = Rates(1_000_000, 5_000_000, long_context_tokens=1000, long=Rates(2_000_000, 7_500_000))
    assert cost_of(known(input=1000, output=1), rates).nanos == 1_000_000 + 5_000
    assert cost_of(known(input=1001, output=1), rates).nanos == 2_002_000 + 7_500


def test_unknown_is_flagged_and_never_zero() -> None:
    assert cost_of(UNKNOWN_TOKENS, RATES) == cost_of(Tokens(None, None, certainty="known"), RATES)
    assert cost_of(UNKNOWN_TOKENS, RATES).nanos is None and cost_of(UNKNOWN_TOKENS, RATES).state == "unknown_usage"
    assert cost_of(known(input=1), None).nanos is None and cost_of(known(input=1), None).state == "unknown_price"
    assert cost_of(Tokens(1, 1, certainty="estimated"), RATES).state == "estimated"
    assert cost_of(NO_TOKENS, RATES).nanos == 0


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**8), st.integers(0, 10**8))
def test_a_cost_is_exact_to_half_a_nanodollar(given_in: int, given_out: int, rate_in: int, rate_out: int) -> None:
    cost = cost_of(known(input=given_in, output=given_out), Rates(rate_in, rate_out))
    exact = Fraction(given_in * rate_in + given_out * rate_out, 1000)
    assert cost.nanos is not None and abs(cost.nanos - exact) <= Fraction(1, 2)


@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_provider_that_says_nonsense_makes_no_negative_cost(
    whole: int, cached: int, written: int, lasting: int
) -> None:
    tokens = known(input=whole, output=0, cached=cached, cache_write=written, cache_write_1h=lasting)
    cost = cost_of(tokens, RATES)
    assert cost.nanos is not None and 0 <= cost.nanos <= whole * 2_500
    cost = cost_of(tokens, msgspec.structs.replace(RATES, cache_write_1h=4_000_000))
    assert cost.nanos is not None and 0 <= cost.nanos <= whole * 4_000


def test_a_total_is_as_trustworthy_as_its_worst_part() -> None:
    known, guessed, missing = Cost(5, "known"), Cost(7, "estimated"), Cost(None, "unknown_price")
    assert total_of([]) == Cost(0, "not_charged")
    assert total_of([known, guessed]) == Cost(12, "estimated")
    assert total_of([known, missing]) == Cost(5, "unknown_price")
    assert total_of([missing, missing]) == missing


@given(st.integers(-(10**15), 10**15))
def test_dollars_read_back_exactly(nanos: int) -> None:
    text = usd(nanos)
    assert Fraction(text) == Fraction(nanos, NANOS_PER_USD)
    assert "e" not in text and not text.endswith(".")
