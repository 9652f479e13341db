"""Whose health it is. The rule: a text that a stranger chose is no part of it."""

from typing import NamedTuple

from appliance.domain.catalog import Provider, Rung


class RungKey(NamedTuple):
    """Whose breaker it is. `model` is empty for all models together that the provider does not list by name."""

    provider_id: str
    provider: str
    model: str
    tier: str


def rung_key(provider: Provider, rung: Rung) -> RungKey:
    """The key of a rung of this provider."""
    listed = provider.models is not None and rung.model in provider.models  # else its text is a stranger's
    return RungKey(provider.provider_id, provider.name, rung.model if listed else "", rung.tier or "")
