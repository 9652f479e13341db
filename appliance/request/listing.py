"""The models there are, for the asking key. The rule: what is listed can be called, by exactly the id listed."""

from appliance.domain.errors import CallerFault
from appliance.domain.identity import ApiKey
from appliance.policy.access import Access
from appliance.policy.prices import PriceTable
from appliance.policy.route import Route
from appliance.request.plan import Planner
from appliance.wire.models_listing import ModelRow, model_body, models_body, page_of


class Listing:
    """Writes model lists."""

    def __init__(self, planner: Planner, prices: PriceTable) -> None:
        self._planner = planner
        self._prices = prices

    def rows(self, organisation_id: str) -> list[ModelRow]:
        """The models of an organisation's providers, as a listing shows them."""
        return [self._row(route) for route in self._planner.routing(organisation_id).models()]

    def body(self, dialect: str, key: ApiKey, access: Access, model: str = "", query: bytes = b"") -> bytes:
        """The list for a key in a dialect, or one model of it. Raises CallerFault("model_not_found")."""
        if not model:
            rows = [row for row in self.rows(key.organisation_id) if access.allows_model(row.id)]
            return models_body(rows, dialect, page_of(query))
        route = self._planner.routing(key.organisation_id).find(model)
        if not access.allows_model(model, route.model):
            raise CallerFault("model_not_found", param="model")
        return model_body(self._row(route), dialect)

    def _row(self, route: Route) -> ModelRow:
        provider = route.provider
        capable = self._prices.flex_capable(provider.price_as or provider.kind, route.model)
        return ModelRow(
            id=route.model,
            provider=provider.name,
            tiers=provider.tiers,
            flex_race="flex" in provider.tiers and capable is not False,
            created_unix_s=provider.created_unix_s,
        )
