"""A provider family as data: what is known of it before it is configured. The rule: a fact carries its grade.

The file format is described in docs/profiles.md; a profile's name is that of its file.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from appliance.domain.catalog import AbortBilling, ProviderKind

Quirk = Literal[
    "max_tokens",  # wants `max_tokens` where OpenAI has `max_completion_tokens`
    "no_developer",  # knows no role `developer`
    "no_stream_options",  # refuses `stream_options`
    "cache_breakpoints",  # takes `prompt_cache_breakpoint` on parts
    "reasoning_content",  # takes past reasoning as text (DeepSeek, Moonshot, vLLM)
    "reasoning_details",  # takes past reasoning with its seals (OpenRouter)
    "top_k",  # takes `top_k` beyond its dialect
    "thinking_budget",  # thinks within a budget of tokens, and knows no adaptive thinking (older Claude models)
]
"""How a provider departs from its dialect's official form; asked when a request is translated for it."""

Grade = Literal["S", "D", "T", "K", "?"]
"""S: a shipped SDK or specification; D: official documentation; T: third party; K: general knowledge; ?: open."""

_PLACE = re.compile(r"\{([a-z_]+)\}")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider does with data, in its own words where they are short; unknown is to be read as the worst."""

    trains: str = "unknown"
    retains: str = "unknown"
    zdr: str = "unknown"
    grade: Grade = "?"


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Statuses and error codes that mean "no capacity on this tier", beside those that all providers share."""

    statuses: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of one family. Fields as those of `Provider`; `served_tier`, `refused` and `note` are for people.

    `base_url` may hold `{parts}` of the operator's own. `dialects`: the base URL of each dialect spoken (empty: the
    base URL itself); none: all of the kind's. `tier_headers`: where tiers are asked for by a header instead of a field,
    each tier's name and value; a tier that is not in it is asked for by saying nothing. `key`: whether
    it asks for one; `variable`: where its SDK looks for it.
    """

    title: str
    base_url: str
    kind: ProviderKind = "openai_compatible"
    variable: str = ""
    key: bool = True
    auth: str = ""
    price_as: str = ""
    tiers: tuple[str, ...] = ()
    tier_headers: dict[str, tuple[str, str]] = {}
    served_tier: str = ""
    refused: str = ""
    stream_options: bool = True
    abort_billing: AbortBilling = "partial"
    dialects: dict[str, str] = {}
    quirks: tuple[Quirk, ...] = ()
    refusal: Refusal = Refusal()
    policy: Policy = Policy()
    note: str = ""
    sources: tuple[str, ...] = ()

    @property
    def own_parts(self) -> tuple[str, ...]:
        """The parts of the base URL that the operator must fill in."""
        return tuple(dict.fromkeys(_PLACE.findall(self.base_url)))


NOTHING_KNOWN = Profile("", "")
"""Stands for the profile of a provider that has none."""

NO_PROFILES: Mapping[str, Profile] = MappingProxyType({})
