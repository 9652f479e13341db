"""The models that can be called, with tiers and prices. The rule: a price that is not known is null, never zero."""

from typing import Any

from starlette.requests import Request

from appliance.domain.catalog import Provider
from appliance.domain.money import NANOS_PER_USD, PICOS_PER_NANO
from appliance.server.admin.desk import Caller, Desk

TOKENS_PRICED = 1_000_000
PICOS_PER_TOKEN_PER_PRICED_USD = NANOS_PER_USD * PICOS_PER_NANO // TOKENS_PRICED


async def list_models(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/models; prices in dollars per million tokens, by tier."""
    if caller.operator and not desk.store.organisations.list():
        return {"models": [], "any": []}
    organisation = desk.organisation(caller, request.query_params.get("organisation"))
    providers = {one.name: one for one in desk.store.providers.list(organisation.organisation_id)}
    models = [
        {
            "id": row.id,
            "provider": row.provider,
            "tiers": row.tiers,
            "flex_race": row.flex_race,
            "prices": _prices(desk, providers[row.provider], row.id),
        }
        for row in desk.gateway.listing.rows(organisation.organisation_id)
    ]
    return {"models": models, "any": [name for name, one in providers.items() if one.models is None]}


def _prices(desk: Desk, provider: Provider, model: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for tier in provider.tiers or ("default",):
        rates = desk.gateway.prices.rates(provider.price_as or provider.kind, model, tier)
        shown[tier] = rates and {
            "input": rates.input / PICOS_PER_TOKEN_PER_PRICED_USD,
            "cached": (rates.input if rates.cached is None else rates.cached) / PICOS_PER_TOKEN_PER_PRICED_USD,
            "output": rates.output / PICOS_PER_TOKEN_PER_PRICED_USD,
        }
    return shown
