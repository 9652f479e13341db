"""What each rung of a ladder is expected to cost for one request. The rule: prices decide, tier words only stand in.

What matters to a decision is how the rungs' costs compare, and what of them is billed for an attempt that was given up
while silent. Where a price is missing no rung's is used: an unknown one beside a known one compares nothing. What is
known then is that a ladder goes from cheap to dear, or a model of one's own would never be asked before a provider's.
"""

import msgspec

from appliance.domain.catalog import AbortBilling
from appliance.domain.money import Rates, cost_of
from appliance.domain.tier import canonical_tier
from appliance.domain.tokens import Tokens

USUAL: dict[str, float] = {"flex": 0.5, "batch": 0.5, "deferred": 0.5, "priority": 2.0}
"""What tiers cost beside default where no price is known (OpenAI's and Google's price lists)."""

STEP = 2.0
"""So many times as dear as the rung before is one whose tier's word does not say that it is dearer."""

UNPRICED_INPUT_SHARE = 0.5

MOST_GUESSED_TOKENS = 1000
GUESSED_TOKENS = 300
"""The length of an answer of which nothing is known: its limit up to the first, else the second."""


class Expense(msgspec.Struct, frozen=True):
    """Of each rung, from cheap to dear: `costs` in units of the second rung's, and the share of it that an abandoned
    attempt is billed, both rounded so that alike requests compare alike; `nanos` in money, None where not priced.
    `default_nanos`: what always-default would cost, which is not the second rung of every ladder. `usual`: the place of
    the rung that serves where nothing is raced.
    """

    costs: tuple[float, ...]
    shares: tuple[float, ...]
    nanos: tuple[int, ...] | None
    default_nanos: int | None = None
    usual: int = 1


def guessed_tokens(most_tokens: int | None) -> int:
    """The length of an answer, by its limit alone."""
    return GUESSED_TOKENS if most_tokens is None else min(most_tokens, MOST_GUESSED_TOKENS)


def expense(
    tiers: tuple[str | None, ...],
    rates: tuple[Rates | None, ...],
    billing: tuple[AbortBilling, ...],
    input_tokens: int,
    output_tokens: int,
) -> Expense:
    """The expense of a request of that size. The ladder has at least two rungs."""
    nanos: list[int] = []
    inputs: list[float] = []
    whole = Tokens(input_tokens, output_tokens, 0, 0, None, "estimated")
    for of_rung in rates:
        cost = cost_of(whole, of_rung).nanos
        if of_rung is None or cost is None:
            break
        nanos.append(cost)
        inputs.append(min(input_tokens * of_rung.input / (cost * 1000.0), 1.0) if cost > 0 else 0.0)
    if len(nanos) == len(rates) and (unit := nanos[1]) > 0:
        costs = tuple([round(cost / unit, 2) for cost in nanos])
        shares = tuple([_share(how, part) for how, part in zip(billing, inputs, strict=True)])
        return Expense(costs, shares, (*nanos,), unit)
    usual: list[float] = []
    for tier in tiers:
        word = USUAL.get(canonical_tier(tier or "default"), 1.0)
        usual.append(word if not usual or word > usual[-1] else usual[-1] * STEP)
    shares = tuple([_share(how, UNPRICED_INPUT_SHARE) for how in billing])
    return Expense(tuple([cost / usual[1] for cost in usual]), shares, None)


def _share(how: AbortBilling, input_share: float) -> float:
    """What of its cost is billed for a silent attempt: nothing, its input, or all (policy/estimate.py)."""
    if how == "partial":
        return round(input_share * 20.0) / 20.0
    return 1.0 if how == "full" else 0.0
