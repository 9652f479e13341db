"""Whether a model is worth racing: what a race came to, for a breaker of each (provider, model). The rule: facts in,
verdicts out.

Theory of operation
===================

A race asks a second tier when the first is slow or lost. Where the whole model is in trouble, or its provider, that one
is lost too: each request then asks twice, doubles the load on who can least bear it, and gains nothing. The breakers of
the tiers (policy/health.py) see each tier by itself, and take refusals for what cheap tiers do now and then; that all
were lost together is seen in races alone. So a breaker of the same kind, with the same rules, is told what became of
each race, and while it is open the model is not raced: the dear rung is asked once, as if nothing cheaper were there.
After the pause one race is the probe.

| what became of a race's attempts at one model | word | why |
|---|---|---|
| one has started | well | the model answers, on whatever tier |
| two tiers or more were lost, none started, and nothing else is to be said of any | failed | they failed together |
| anything else: a client that left, a quota, a caller's fault, one tier only | nothing | nobody knows |

Lost are those that were refused, that failed, and that were silent until the request was given up.
"""

from collections.abc import Collection, Sequence

from appliance.domain.catalog import Rung
from appliance.policy.health import Word

Pair = tuple[str, str]
"""A provider's name and a model: tiers of the same pair may fail together."""

_LOST = frozenset({"failed", "refused"})


def race_word(ends: Sequence[tuple[Rung, Word]]) -> Word:
    """What a race came to at one model: its attempts' rungs, and what became of each by the table of `health`."""
    if any(word in ("began", "well") for _, word in ends):
        return "well"
    together = len({rung for rung, _ in ends}) > 1 and all(word in _LOST for _, word in ends)
    return "failed" if together else "nothing"


def raced(ladder: Sequence[Rung]) -> list[Pair]:
    """Of whom a ladder has several rungs."""
    pairs = [(rung.provider, rung.model) for rung in ladder]
    return [pair for pair in dict.fromkeys(pairs) if pairs.count(pair) > 1]


def asked_once(ladder: Sequence[Rung], paused: Collection[Pair]) -> list[int]:
    """The places that are left of a ladder, from cheap to dear: of each paused pair its second rung alone, the dear one
    that serves where nothing is raced.
    """
    seen: dict[Pair, int] = {}
    left = []
    for place, rung in enumerate(ladder):
        pair = rung.provider, rung.model
        seen[pair] = seen.get(pair, 0) + 1
        if pair not in paused or seen[pair] == 2:
            left.append(place)
    return left
