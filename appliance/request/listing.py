"""The models there are, for the asking key. The rule: what is listed can be called, by exactly the id listed."""

from collections.abc import Mapping

import msgspec

from appliance.domain.errors import CallerFault, Fault
from appliance.domain.identity import ApiKey
from appliance.domain.ladder import parse_ladder
from appliance.domain.preset import MARK, Preset
from appliance.domain.profile import NO_PROFILES, NOTHING_KNOWN, Profile
from appliance.policy.access import Access
from appliance.policy.modalities import Modalities
from appliance.policy.prices import PICOS_PER_USD_PER_MILLION, PriceTable
from appliance.policy.route import Route
from appliance.request.plan import Planner
from appliance.wire.models_listing import ModelRow, model_body, models_body, page_of


class Listing:
    """Writes model lists."""

    def __init__(
        self,
        planner: Planner,
        prices: PriceTable,
        profiles: Mapping[str, Profile] = NO_PROFILES,
        modalities: Modalities | None = None,
    ) -> None:
        self._planner = planner
        self._prices = prices
        self._profiles = profiles
        self._modalities = modalities or Modalities()

    def rows(self, organisation_id: str) -> list[ModelRow]:
        """The models of an organisation's providers, as a listing shows them."""
        routing, aliases = self._planner.routing(organisation_id), self._planner.aliases(organisation_id)
        rows = [self._row(route) for route in routing.models() if route.model not in aliases]
        for alias, model in aliases.items():
            if (route := routing.listed(model)) is not None:
                rows.append(msgspec.structs.replace(self._row(route), id=alias))
        presets = self._planner.presets(organisation_id).values()
        return rows + [row for preset in presets if (row := self._preset_row(organisation_id, preset)) is not None]

    def _preset_row(self, organisation_id: str, preset: Preset) -> ModelRow | None:
        """A preset as a model; None: it cannot be called by its name alone, or nobody serves what it names.

        Of a ladder it tells what is known of the last step, which serves when all others fail.
        """
        routing, aliases = self._planner.routing(organisation_id), self._planner.aliases(organisation_id)
        try:
            if preset.ladder:
                steps = [routing.step(step, place) for place, step in enumerate(parse_ladder(preset.ladder), 1)]
                row = msgspec.structs.replace(self._row(steps[-1]), flex_race=len(steps) > 1)
            elif preset.model:
                row = self._row(routing.find(aliases.get(preset.model, preset.model)))
            else:
                return None
        except Fault:
            return None
        return msgspec.structs.replace(row, id=MARK + preset.name)

    def _may_call(self, key: ApiKey, access: Access, row: ModelRow) -> bool:
        """Whether a key may call a row of the list by its id."""
        if access.allows_model(row.id):
            return True
        preset = self._planner.presets(key.organisation_id).get(row.id.removeprefix(MARK))
        if not row.id.startswith(MARK) or preset is None:
            return False
        if not preset.ladder:
            return preset.model is not None and access.allows_model(preset.model)
        steps = parse_ladder(preset.ladder)
        return all(access.allows_model(step.model, f"{step.provider}/{step.model}") for step in steps)

    def body(self, dialect: str, key: ApiKey, access: Access, model: str = "", query: bytes = b"") -> bytes:
        """The list for a key in a dialect, or one model of it. Raises CallerFault("model_not_found")."""
        if not model:
            rows = [row for row in self.rows(key.organisation_id) if self._may_call(key, access, row)]
            return models_body(rows, dialect, page_of(query))
        if model.startswith(MARK):
            preset = self._planner.presets(key.organisation_id).get(model.removeprefix(MARK))
            named = None if preset is None else self._preset_row(key.organisation_id, preset)
            if named is None or not self._may_call(key, access, named):
                raise CallerFault("model_not_found", param="model")
            return model_body(named, dialect)
        aliases = self._planner.aliases(key.organisation_id)
        route = self._planner.routing(key.organisation_id).find(aliases.get(model, model))
        if not access.allows_model(model, route.model):
            raise CallerFault("model_not_found", param="model")
        row = self._row(route)
        if model in aliases:
            row = msgspec.structs.replace(row, id=model)
        return model_body(row, dialect)

    def _row(self, route: Route) -> ModelRow:
        provider = route.provider
        price_as = provider.price_as or provider.kind
        capable = self._prices.flex_capable(price_as, route.model)
        policy = self._profiles.get(provider.profile, NOTHING_KNOWN).policy
        return ModelRow(
            id=route.model,
            provider=provider.name,
            tiers=provider.tiers,
            flex_race="flex" in provider.tiers and capable is not False,
            created_unix_s=provider.created_unix_s,
            context_tokens=self._prices.context_tokens(price_as, route.model),
            prices={tier: self._usd(price_as, route.model, tier) for tier in provider.tiers or ("default",)},
            modalities=self._modalities.of(price_as, route.model),
            policy={"trains": policy.trains, "retains": policy.retains, "zdr": policy.zdr},
        )

    def _usd(self, price_as: str, model: str, tier: str) -> dict[str, float] | None:
        rates = self._prices.rates(price_as, model, tier)
        if rates is None:
            return None
        cached = rates.input if rates.cached is None else rates.cached
        named = {"input": rates.input, "cached": cached, "output": rates.output}
        return {name: picos / PICOS_PER_USD_PER_MILLION for name, picos in named.items()}
