"""Providers, their models and the rungs of a ladder. The rule: what a provider can do is data, known before a call."""

from typing import Literal

import msgspec

ProviderKind = Literal["openai", "openai_compatible", "anthropic", "gemini"]
"""What a provider's base URL speaks; `openai_compatible` is OpenAI's dialect without its tiers and promises."""

ModelSource = Literal["provider", "operator", "any"]
"""Who said which models a provider has: itself, somebody by hand; or any id is passed on."""

AbortBilling = Literal["free", "partial", "full"]
"""What a provider bills for a call that was abandoned: nothing, what it had generated, or the whole answer."""


class Provider(msgspec.Struct, frozen=True):
    """One configured provider of one organisation. Its secret lives in the vault, never here.

    `models` None: not known, any id is passed on. `price_as`: whose price list holds. `position`: the operator's order.
    `profile`: the profile that its facts came from. `auth`: the header of its credential (`bearer`: Authorization);
    empty: the usual one of the dialect. `dialects`: (dialect, base URL; empty: `base_url`) of each that it speaks;
    none: all of its kind's family, at `base_url`.
    `public_only`: its base URL was not set by the operator, so it is reached at public addresses alone.
    `proxy`: the HTTP proxy that it is behind, such as http://proxy.example:3128; empty: none.
    """

    provider_id: str
    organisation_id: str
    name: str
    kind: ProviderKind
    base_url: str
    tiers: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    price_as: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    stream_options: bool = True
    abort_billing: AbortBilling = "partial"
    position: int = 0
    created_unix_s: int = 0
    profile: str = ""
    auth: str = ""
    dialects: tuple[tuple[str, str], ...] = ()
    model_source: ModelSource = "provider"
    public_only: bool = False
    proxy: str = ""

    def base_for(self, dialect: str) -> str | None:
        """The base URL where this dialect is spoken; None: it is not."""
        if not self.dialects:
            return self.base_url if self.family == dialect.partition("_")[0] else None
        base = dict(self.dialects).get(dialect)
        return base if base is None else base or self.base_url

    @property
    def family(self) -> str:
        """The family of dialects that its base URL speaks."""
        return "openai" if self.kind == "openai_compatible" else self.kind

    def __repr__(self) -> str:
        return f"Provider({self.provider_id!r}, {self.name!r}, {self.base_url!r})"  # headers stay out of tracebacks


class Rung(msgspec.Struct, frozen=True):
    """One step of a ladder: who is asked for what. `tier` None: no service tier is sent to this provider."""

    provider: str
    model: str
    tier: str | None
