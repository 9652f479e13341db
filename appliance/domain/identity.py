"""Organisations and API keys as the request path sees them. The rule: a key's secret is never part of a noun."""

from typing import Literal

import msgspec

KeyKind = Literal["inference", "management"]
KEY_PREFIXES: dict[str, KeyKind] = {"sk-sl-": "inference", "mk-sl-": "management"}


class Organisation(msgspec.Struct, frozen=True):
    """A tenant. `start_within`: the default of its keys (text of domain.tier). `race_slots`: how many races may run.

    None: what the settings of the same names say. `aliases`: what its callers may call a model, and what is meant;
    they go before the setting `model_aliases`. `start_target` and `finish_within` (text of a duration) are defaults of
    its keys, too. `explore` False: nothing is spent on learning how long rungs take.
    """

    organisation_id: str
    name: str
    start_within: str | None = None
    race_slots: int | None = None
    created_unix_s: int = 0
    aliases: dict[str, str] = {}
    start_target: float | None = None
    finish_within: str | None = None
    explore: bool = True


class ApiKey(msgspec.Struct, frozen=True):
    """An API key without its secret: `public_id` is the 12 base62 characters in the key, `salt` and `digest` verify it.

    `models` and `addresses` None: all allowed. `priority`: whether a race may climb to the priority tier.
    `started_at`: "output" or "content", what counts as the start of an answer. `start_within`, `start_target`,
    `finish_within`, `preset` (a name) and `ladder` (texts of domain.ladder) hold where a request says nothing.
    """

    key_id: str
    public_id: str
    kind: KeyKind
    organisation_id: str
    name: str
    salt: bytes
    digest: bytes
    created_unix_s: int
    expires_unix_s: int | None = None
    revoked_unix_s: int | None = None
    start_within: str | None = None
    models: tuple[str, ...] | None = None
    addresses: tuple[str, ...] | None = None
    priority: bool = False
    started_at: Literal["output", "content"] = "output"
    start_target: float | None = None
    finish_within: str | None = None
    preset: str | None = None
    ladder: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"ApiKey({self.key_id!r}, {self.kind!r}, {self.name!r})"  # what verifies it stays out of tracebacks
