"""What will happen to one request: every draw of chance, made once, on arrival.

Rule: a fate is decided by (seed, model, tier, how many came before it), so that the same requests in the same order
meet the same fates.
"""

from random import Random

import msgspec

from appliance.simulator.world import Behaviour, draw


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """The drawn fate; times are simulated seconds after arrival. `None` for something that does not happen."""

    ordinal: int
    start_s: float
    refused: bool
    downgraded: bool
    never: bool
    stall_after_tokens: int | None
    cut_after_tokens: int | None
    error_after_tokens: int | None


def decide(behaviour: Behaviour, *, seed: int, model: str, tier: str, ordinal: int) -> Fate:
    """The fate of the request with this ordinal (0, 1, …) among those to one (model, tier)."""
    rng = Random(f"{seed}/{model}/{tier}/{ordinal}")
    start_s = draw(behaviour.start, rng, ordinal)
    # Each fate takes its own number from the generator, so that changing one rate does not shift the others.
    refusal, downgrade, never, stall, cut, error = (rng.random() for _ in range(6))
    return Fate(
        ordinal=ordinal,
        start_s=start_s,
        refused=refusal < behaviour.refusal_rate,
        downgraded=tier != "default" and downgrade < behaviour.downgrade_rate,
        never=never < behaviour.never_rate,
        stall_after_tokens=behaviour.stall_after_tokens if stall < behaviour.stall_rate else None,
        cut_after_tokens=behaviour.cut_after_tokens if cut < behaviour.cut_rate else None,
        error_after_tokens=behaviour.error_after_tokens if error < behaviour.error_rate else None,
    )
