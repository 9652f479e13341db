"""Ladders in words: `provider/model` or `provider/model:tier`, the cheapest first. The rule: one grammar, parsed here.

The provider's name ends at the first slash; what stands behind the last colon is the tier if it is a tier word of ours,
else part of the model's name (`ollama/llama3:8b`).
"""

import msgspec

from appliance.domain.tier import TIER_WORDS, TierWord

MOST_STEPS = 6
LONGEST_STEP = 512


class Step(msgspec.Struct, frozen=True):
    """One step: who is asked for which model, in which tier; None: the provider's standard one."""

    provider: str
    model: str
    tier: TierWord | None = None


def parse_ladder(value: object) -> tuple[Step, ...]:
    """Read a ladder: a list of texts. Raises ValueError with a sentence for the caller."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_STEPS:
        raise ValueError(f"ladder must be a list of one to {MOST_STEPS} texts such as provider/model:tier")
    steps = tuple(_step(text, place) for place, text in enumerate(value, 1))
    if len(set(steps)) != len(steps):
        raise ValueError("ladder names one step twice")
    return steps


def _step(text: object, place: int) -> Step:
    if not isinstance(text, str) or len(text) > LONGEST_STEP:
        raise ValueError(f"step {place} of the ladder must be a text such as provider/model:tier")
    provider, _, rest = text.partition("/")
    model, colon, word = rest.rpartition(":")
    if not (colon and word in TIER_WORDS):
        model, word = rest, ""
    if not provider or not model:
        raise ValueError(f"step {place} of the ladder must be written as provider/model or provider/model:tier")
    return Step(provider, model, word or None)  # type: ignore[arg-type]


def ladder_texts(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """The steps as a listing shows them."""
    return tuple(f"{one.provider}/{one.model}" + (f":{one.tier}" if one.tier else "") for one in steps)
