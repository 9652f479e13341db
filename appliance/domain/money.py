"""Money: rates in picodollars per token, costs in nanodollars, both integers. The rule: no float ever holds money.

One US dollar per million tokens is 1,000,000 picodollars per token. Costs are rounded half up to a nanodollar
(a thousandth of a micro-dollar), once, at the end.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from appliance.domain.tokens import Tokens

NANOS_PER_USD = 1_000_000_000
PICOS_PER_NANO = 1_000

CostState = Literal["known", "estimated", "unknown_price", "unknown_usage", "not_charged"]
"""`known` rests on the provider's usage and a known price; `unknown_*` means that the figure is missing, not zero."""


class Rates(msgspec.Struct, frozen=True):
    """Prices of one (provider, model, tier), in picodollars per token.

    `long_context_tokens`: above that many input tokens `long` holds instead. `cache_write` None: billed as input;
    `cache_write_1h` None: as `cache_write`.
    """

    input: int
    output: int
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    long_context_tokens: int | None = None
    long: "Rates | None" = None


class Cost(msgspec.Struct, frozen=True, gc=False):
    """A cost in nanodollars, None when it cannot be told, and how far it can be trusted."""

    nanos: int | None
    state: CostState


NOT_CHARGED = Cost(0, "not_charged")

_WORST_FIRST: tuple[CostState, ...] = ("unknown_usage", "unknown_price", "estimated", "known", "not_charged")


def cost_of(tokens: Tokens, rates: Rates | None) -> Cost:
    """What `tokens` cost at `rates`. `tokens.input` includes cached and cache-write tokens, `output` reasoning."""
    if tokens.certainty == "unknown" or (tokens.input is None and tokens.output is None):
        return Cost(None, "unknown_usage")
    if rates is None:
        return Cost(None, "unknown_price")
    whole = tokens.input or 0
    if rates.long is not None and rates.long_context_tokens is not None and whole > rates.long_context_tokens:
        rates = rates.long
    picos = whole * rates.input + (tokens.output or 0) * rates.output
    if tokens.cached or tokens.cache_write:  # of the input, what is billed at a rate of its own
        cached = min(tokens.cached or 0, whole)
        written = min(tokens.cache_write or 0, whole - cached)
        picos += cached * ((rates.input if rates.cached is None else rates.cached) - rates.input)
        write_rate = rates.input if rates.cache_write is None else rates.cache_write
        picos += written * (write_rate - rates.input)
        if tokens.cache_write_1h and rates.cache_write_1h is not None:
            picos += min(tokens.cache_write_1h, written) * (rates.cache_write_1h - write_rate)
    nanos = (picos + PICOS_PER_NANO // 2) // PICOS_PER_NANO
    return Cost(nanos, "known" if tokens.certainty == "known" else "estimated")


def total_of(costs: Sequence[Cost]) -> Cost:
    """The sum of what is known of several costs, as trustworthy as the least trustworthy of them."""
    if not costs:
        return NOT_CHARGED
    if len(costs) == 1:
        return costs[0]
    state = min((cost.state for cost in costs), key=_WORST_FIRST.index)
    known = [cost.nanos for cost in costs if cost.nanos is not None]
    return Cost(sum(known) if known else None, state)


def usd(nanos: int) -> str:
    """Nanodollars as a decimal number of dollars, exact, without trailing zeros beyond cents' micro part."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    digits = f"{nanos:010d}"
    part = digits[-9:].rstrip("0")
    return f"{sign}{digits[:-9]}.{part}" if part else sign + digits[:-9]
