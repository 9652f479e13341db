"""Worlds: how a simulated provider behaves, per model and service tier.

Rule: a world is plain data (frozen structs, readable from TOML); every draw of chance is made from a generator that
the caller seeds, so that one seed gives one history. Times are simulated seconds; the server scales them.
"""

import math
from pathlib import Path
from random import Random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_OUTPUT_TOKENS: Final = 32_768  # of all choices together: bounds the memory of one answer
Rate = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Lognormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="lognormal"):
    """A lognormal distribution by its median and the sigma of its logarithm (queueing times look like this)."""

    median: Annotated[float, Meta(gt=0)]
    sigma: Seconds = 0.5


class Uniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="uniform"):
    """A uniform distribution between two bounds."""

    low: Seconds
    high: Seconds


# A number is that number always; a list is played in order, over and over (a script).
Distribution = Seconds | Annotated[list[Seconds], Meta(min_length=1)] | Lognormal | Uniform


def draw(distribution: Distribution, rng: Random, ordinal: int) -> float:
    """One value of the distribution; `ordinal` counts the requests to this (model, tier) and indexes a list."""
    match distribution:
        case Lognormal(median, sigma):
            return math.exp(rng.gauss(math.log(median), sigma))
        case Uniform(low, high):
            return rng.uniform(low, high)
        case list():
            return distribution[ordinal % len(distribution)]
        case _:
            return distribution


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How one tier of one model answers. The defaults are a healthy, quick provider.

    Fields ending in `_rate` are the share of requests (0 to 1) that meet that fate; `*_after_tokens` says after how
    many content tokens it strikes (0: after the preamble, before any content).
    """

    start: Distribution = 0.2  # arrival to first output
    admission_s: Seconds = 0.02  # arrival to headers and preamble, where these come early
    early: bool | None = None  # preamble at admission? None: as OpenAI does, yes for Responses, no for chat
    tokens_per_s: Seconds = 80.0  # 0: as fast as the socket takes them
    output_tokens: Distribution = 24

    refusal_rate: Rate = 0.0
    refusal: str = "flex_unavailable"  # a name of faults.FAULTS
    refusal_after_s: Seconds = 0.05
    retry_after_s: Seconds = 2.0  # sent with rate_limit_exceeded
    message: str = ""  # error message to use instead of the usual one

    never_rate: Rate = 0.0  # accepts the request and never answers
    stall_rate: Rate = 0.0
    stall_after_tokens: Count = 3
    stall_s: Seconds = math.inf  # how long the silence lasts
    cut_rate: Rate = 0.0
    cut_after_tokens: Count = 3
    cut_reset: bool = False  # RST instead of FIN
    error_rate: Rate = 0.0  # 200, then an error inside the stream
    error_after_tokens: Count = 0
    error: str = "overloaded"  # which; unstreamed it comes as a status
    downgrade_rate: Rate = 0.0  # flex or priority asked, served and echoed as default

    echo_tier: str = ""  # the tier named in the answer, if not the one served
    text: str = ""  # answer with exactly this
    echo: bool = False  # answer with the last user message
    decline_rate: Rate = 0.0  # the model's own refusal (a `refusal` in the message)
    tool_calls: Count = 0  # calls to make when tools are offered; more than 1 are parallel
    preface: str = ""  # words before the calls of tools, in the same turn
    finish: str = ""  # end for this reason, in the dialect's own word (`pause_turn`, `RECITATION`)
    block: str = ""  # Gemini: refuse the prompt inside a 200 for this reason, e.g. "SAFETY"
    redacted: bool = False  # Anthropic: a redacted thinking block after the thinking
    reasoning_tokens: Count = 0
    reasoning_field: str = ""  # chat: stream reasoning in this vendor field, e.g. "reasoning_content"
    cached_share: Rate = 0.0  # of the input tokens
    cache_write_share: Rate = 0.0
    omit_usage: bool = False
    refuse_stream_options: bool = False  # 400 on stream_options, as some compatible servers do
    obfuscation: bool = False  # pad deltas, as OpenAI does
    fragment_bytes: Count = 0  # cut the body in pieces of this size, wherever that falls
    script: list[str] = []  # overrides for the 1st, 2nd, … request, over and over; see override.py


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model: a behaviour per tier. A tier that is not in `tiers` is refused with 400, as OpenAI does."""

    about: str = ""  # one line for people
    family: str = ""  # the provider that has it: openai, anthropic or gemini; empty: each of them
    tiers: dict[str, Behaviour] = {}
    dimensions: int = 0  # above 0: an embedding model with vectors of this length


class World(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The models of a provider, by name; the name `*` stands for every other name."""

    name: str = "custom"
    about: str = ""
    models: dict[str, Model] = {}

    def find(self, model: str, family: str) -> tuple[str, Model] | None:
        """The entry (its key and value) that answers for a model's name at a provider, or None: unknown model."""
        for key in (model, "*"):
            if key in self.models and self.models[key].family in ("", family):
                return key, self.models[key]
        return None

    def names(self, family: str) -> list[str]:
        """The models that a provider lists."""
        return [key for key, model in self.models.items() if key != "*" and model.family in ("", family)]


def load(path: Path) -> World:
    """The world in a TOML file. Raises OSError, or msgspec.DecodeError saying what is wrong and where.

    For example (fields of World, Model and Behaviour; `"*"` is any other model)::

        name = "busy"
        [models."*".tiers.default]
        start = 0.5
        [models."*".tiers.flex]
        start = {kind = "lognormal", median = 8.0, sigma = 1.0}
        refusal_rate = 0.2
    """
    return msgspec.toml.decode(path.read_bytes(), type=World)
