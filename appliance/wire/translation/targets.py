"""Which dialect a provider is spoken to in, and how its models depart from it. The rule: the one that loses least.

Of those that a provider speaks its own family's go first, since its tiers are asked for in them. A provider that is
OpenAI itself is asked by Responses where the caller's dialect has signed reasoning, which chat cannot carry; whatever
only says that it is compatible, by chat, the older and the more widely understood of the two.
"""

import re
from typing import Final

from appliance.domain.catalog import Provider
from appliance.domain.chat import DialectName
from appliance.domain.profile import Quirk
from appliance.wire.translation.codecs import CODECS

_USUAL: Final[tuple[DialectName, ...]] = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_generate",
    "gemini_interactions",
)
_SEALED: Final = frozenset({"anthropic_messages", "gemini_generate", "gemini_interactions"})

_CLAUDE = re.compile(r"claude-(?:opus|sonnet|haiku)-(\d+)(?:-(\d))?(?!\d)")
_ADAPTIVE: Final = (4, 6)
"""The first Claude that thinks adaptively. Source: the provider's documentation of adaptive thinking."""

USUAL_OUTPUT_TOKENS: Final = 32_000
_OLD_OUTPUT_TOKENS: Final = (("claude-3-5", 8192), ("claude-3-7", USUAL_OUTPUT_TOKENS), ("claude-3", 4096))
"""The most that old models write. Source: the provider's overview of models."""


def targets(provider: Provider, dialect: str) -> tuple[DialectName, ...]:
    """The dialects in which the provider can be asked for a caller of `dialect`, the best first; () if there are none.

    Only for a dialect that the provider does not speak itself. Where one cannot say a request, the next one may.
    """
    if dialect not in CODECS:
        return ()
    order = _USUAL
    if provider.kind == "openai" and dialect in _SEALED:
        order = ("openai_responses", "openai_chat", *_USUAL[2:])
    spoken = [name for name in order if name in CODECS and provider.base_for(name) is not None]
    own = [name for name in spoken if name.partition("_")[0] == provider.family]
    return tuple(own or spoken)


def home(provider: Provider) -> str:
    """Whose seals the provider takes: its family where it is the family's own, else itself alone."""
    return provider.profile or provider.name if provider.kind == "openai_compatible" else provider.kind


def quirks(provider: Provider, model: str, known: tuple[Quirk, ...] = ()) -> frozenset[Quirk]:
    """How this provider's model departs from its dialect; `known` is what its profile says."""
    found: set[Quirk] = set(known)
    if not provider.stream_options:
        found.add("no_stream_options")
    if (
        "claude-3" in model
        or model.startswith("gemini-2")
        or ((version := _CLAUDE.search(model)) and (int(version[1]), int(version[2] or 0)) < _ADAPTIVE)
    ):
        found.add("thinking_budget")
    return frozenset(found)


def most_output_tokens(model: str) -> int:
    """The limit of the output that is told where the dialect insists on one and the caller named none."""
    return next((most for prefix, most in _OLD_OUTPUT_TOKENS if model.startswith(prefix)), USUAL_OUTPUT_TOKENS)
