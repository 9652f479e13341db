"""The worlds that come with the simulator.

Rule: each is made anew by a function (nothing is shared), and each model says in one line what it is for. Names are
names of the price list, so that races in the demo have a cost.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from appliance.simulator.world import Behaviour, Lognormal, Model, World

_EMBEDDING: Final = {"default": Behaviour(start=0.05)}


def _tiers(
    flex: Behaviour, default: Behaviour | None = None, priority: Behaviour | None = None
) -> dict[str, Behaviour]:
    return {
        "flex": flex,
        "default": default or Behaviour(start=0.5, cached_share=0.25),
        "priority": priority or Behaviour(start=0.25),
    }


def _of(family: str, models: dict[str, Model]) -> dict[str, Model]:
    return {name: msgspec.structs.replace(model, family=family) for name, model in models.items()}


def _claude() -> dict[str, Model]:
    """Models as Anthropic has them: no flex; `priority` is what an organisation with a commitment gets for `auto`."""
    standard = Behaviour(start=0.6, cached_share=0.25, cache_write_share=0.1)
    return _of(
        "anthropic",
        {
            "claude-opus-4-8": Model(
                about="Anthropic's, with a Priority Tier commitment: `auto` is served as priority",
                tiers={"default": standard, "priority": Behaviour(start=0.3)},
            ),
            "claude-sonnet-5-5": Model(about="Anthropic's, standard only", tiers={"default": standard}),
            "claude-haiku-5-5": Model(
                about="Anthropic's, overloaded: 529",
                tiers={"default": Behaviour(refusal_rate=1.0, refusal="overloaded")},
            ),
        },
    )


def _gemini() -> dict[str, Model]:
    """Models as Google has them: flex is shed with 503, priority beyond its limit is served as standard."""
    standard = Behaviour(start=0.5, cached_share=0.25, reasoning_tokens=24)
    return _of(
        "gemini",
        {
            "gemini-3.8-flash": Model(
                about="Google's: flex is quick, 0.9 s; thinks",
                tiers=_tiers(Behaviour(start=0.9, reasoning_tokens=24), standard),
            ),
            "gemini-4-argon": Model(
                about="Google's: flex is shed with 503, priority is served as standard",
                tiers=_tiers(Behaviour(refusal_rate=1.0), standard, Behaviour(start=0.4, downgrade_rate=1.0)),
            ),
            "gemini-3.5-flash-lite": Model(
                about="Google's: flex refuses with 429 and no quota in it",
                tiers=_tiers(Behaviour(refusal_rate=1.0, refusal="resource_exhausted")),
            ),
            "gemini-embedding-001": Model(about="embeddings", tiers=_EMBEDDING, dimensions=768),
        },
    )


def demo() -> World:
    """One model per way in which a race can end; times are fixed so that each race ends as told."""
    return World(
        name="demo",
        about="one model per way in which a race can end",
        models=_gpt() | _claude() | _gemini(),
    )


def _gpt() -> dict[str, Model]:
    return _of(
        "openai",
        {
            "gpt-5.4-nano": Model(about="flex is quick: 0.8 s", tiers=_tiers(Behaviour(start=0.8))),
            "gpt-5.4-mini": Model(about="flex is slow: 90 s", tiers=_tiers(Behaviour(start=90.0))),
            "gpt-5.4": Model(about="flex refuses: 429 Resource Unavailable", tiers=_tiers(Behaviour(refusal_rate=1.0))),
            "gpt-5.5": Model(
                about="flex answers 200 and then fails inside the stream",
                tiers=_tiers(Behaviour(start=0.4, early=True, error_rate=1.0, error="server_error")),
            ),
            "gpt-5.6-luna": Model(
                about="flex sends headers and role at once and content after 60 s",
                tiers=_tiers(Behaviour(start=60.0, early=True)),
            ),
            "gpt-5.6-terra": Model(
                about="flex starts after 3.2 s, default after 2 s: flex can still win late",
                tiers=_tiers(Behaviour(start=3.2), Behaviour(start=2.0)),
            ),
            "gpt-5.6-sol": Model(
                about="priority is downgraded and billed as default; thinks before it answers",
                tiers=_tiers(
                    Behaviour(start=Lognormal(6.0, 0.8), reasoning_tokens=48),
                    Behaviour(start=0.7, reasoning_tokens=48),
                    Behaviour(start=0.4, downgrade_rate=1.0, reasoning_tokens=48),
                ),
            ),
            "gpt-4.1": Model(about="has no flex: asking for it is a 400", tiers={"default": Behaviour(start=0.4)}),
            "text-embedding-3-small": Model(about="embeddings", tiers=_EMBEDDING, dimensions=1536),
        },
    )


def instant() -> World:
    """Any model, every tier, no waiting: what is measured is not the provider."""
    quick = Behaviour(start=0.0, admission_s=0.0, tokens_per_s=0.0, output_tokens=16, refusal_after_s=0.0)
    return World(
        name="instant",
        about="any model, every tier, answers at once",
        models={
            "sim-instant": Model(about="answers at once", tiers=_tiers(quick, quick, quick)),
            "text-embedding-3-small": Model(about="embeddings", tiers={"default": quick}, dimensions=1536),
            "*": Model(about="every other name", tiers=_tiers(quick, quick, quick)),
        },
    )


def _realistic_model(about: str, median_s: float, tokens_per_s: float, reasoning: int) -> Model:
    """Flex queues long and is sometimes full; default is steady; priority is quick and at times downgraded."""

    def tier(median: float, sigma: float, speed: float, **rest: float) -> Behaviour:
        return Behaviour(
            start=Lognormal(median, sigma),
            tokens_per_s=tokens_per_s * speed,
            output_tokens=Lognormal(180.0, 0.7),
            reasoning_tokens=reasoning,
            cached_share=0.3,
            obfuscation=True,
            **rest,  # type: ignore[arg-type]  # only rates are given here, and all of them are floats
        )

    return Model(
        about=about,
        tiers={
            "flex": tier(median_s * 8, 1.1, 0.6, refusal_rate=0.06, error_rate=0.01, cut_rate=0.005),
            "default": tier(median_s, 0.45, 1.0, error_rate=0.002),
            "priority": tier(median_s * 0.6, 0.25, 1.6, downgrade_rate=0.05),
        },
    )


def _without(tier: str, model: Model) -> Model:
    return msgspec.structs.replace(model, tiers={name: each for name, each in model.tiers.items() if name != tier})


def realistic() -> World:
    """Lognormal times to start, occasional refusals and failures, usage with cache and reasoning."""
    return World(
        name="realistic",
        about="lognormal latencies, occasional refusals, failures and downgrades",
        models={
            "gpt-5.4-nano": _realistic_model("small and quick", 0.45, 160.0, 0),
            "gpt-5.4-mini": _realistic_model("medium", 0.8, 110.0, 32),
            "gpt-5.4": _realistic_model("large", 1.6, 70.0, 128),
            "gpt-5.6-sol": _realistic_model("large, thinks longer", 2.4, 60.0, 256),
            "text-embedding-3-small": Model(about="embeddings", tiers=_EMBEDDING, dimensions=1536),
        }
        | _of("gemini", {"gemini-3.8-flash": _realistic_model("small and quick", 0.6, 150.0, 64)})
        | _of("anthropic", {"claude-sonnet-5-5": _without("flex", _realistic_model("large", 1.4, 75.0, 128))}),
    )


BUILT_IN: Final[Mapping[str, Callable[[], World]]] = MappingProxyType(
    {"demo": demo, "instant": instant, "realistic": realistic}
)


def built_in(name: str) -> World:
    """A built-in world by name. Raises KeyError for a name that is not in BUILT_IN."""
    return BUILT_IN[name]()
