"""What rungs are expected to cost, beside each other."""

import pytest

from appliance.domain.catalog import AbortBilling
from appliance.domain.money import Rates
from appliance.policy.expense import expense, guessed_tokens

FLEX, DEFAULT = Rates(1_250_000, 7_500_000), Rates(2_500_000, 15_000_000)
TIERS = ("flex", "default")


@pytest.mark.parametrize(("billing", "shares"), [("free", (0.0, 0.0)), ("full", (1.0, 1.0)), ("partial", (0.25, 0.25))])
def test_costs_compare_by_price_and_an_abandoned_attempt_by_its_billing(
    billing: AbortBilling, shares: tuple[float, float]
) -> None:
    # 2,000 tokens in at $2.50 a million are $0.005, 1,000 out at $15 are $0.015
    found = expense(TIERS, (FLEX, DEFAULT), (billing, billing), 2000, 1000)
    assert found.costs == (0.5, 1.0)
    assert found.shares == shares
    assert found.nanos == (10_000_000, 20_000_000) and found.default_nanos == 20_000_000


@pytest.mark.parametrize("rates", [(None, DEFAULT), (FLEX, None), (None, None), (FLEX, Rates(0, 0))])
def test_where_a_price_is_missing_tiers_stand_in(rates: tuple[Rates | None, ...]) -> None:
    found = expense((*TIERS, "priority"), (*rates, None), ("partial", "free", "full"), 2000, 1000)
    assert (found.costs, found.shares, found.nanos) == ((0.5, 1.0, 2.0), (0.5, 0.0, 1.0), None)


@pytest.mark.parametrize(
    ("tiers", "costs"),
    [
        ((None, "default"), (0.5, 1.0)),
        (("flex", "flex", "default"), (0.5, 1.0, 2.0)),
        ((None, "flex", None), (0.5, 1.0, 2.0)),
        (("default", "priority", "default"), (0.5, 1.0, 2.0)),
    ],
)
def test_a_ladder_goes_from_cheap_to_dear_where_tiers_do_not_say_so(
    tiers: tuple[str | None, ...], costs: tuple[float, ...]
) -> None:
    free: AbortBilling = "free"
    found = expense(tiers, (None,) * len(tiers), (free,) * len(tiers), 2000, 1000)
    assert found.costs == costs


def test_what_costs_nothing_is_known_to() -> None:
    found = expense((None, "default"), (Rates(0, 0), DEFAULT), ("partial", "partial"), 2000, 1000)
    assert (found.costs, found.shares, found.nanos) == ((0.0, 1.0), (0.0, 0.25), (0, 20_000_000))


def test_costs_are_in_units_of_the_second_rung_whatever_it_is() -> None:
    assert expense(("default", "priority"), (None, None), ("free", "free"), 1, 1).costs == (0.5, 1.0)


def test_alike_requests_compare_alike() -> None:
    one, other = (expense(TIERS, (FLEX, DEFAULT), ("partial",) * 2, 1000 + more, 300) for more in (0, 9))
    assert (one.costs, one.shares) == (other.costs, other.shares) and one.nanos != other.nanos


def test_an_answer_is_as_long_as_its_limit_or_as_most_are() -> None:
    assert [guessed_tokens(most) for most in (None, 50, 1000, 100_000)] == [300, 50, 1000, 1000]
