"""Second step: who is asked, in which order and when. The rule: what is decided here is decided by `policy`, from data.

Facts that change seldom (routes of an organisation, targets of a provider) are compiled once and kept until the
directory gives another tuple of providers.
"""

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import ApplianceFault
from appliance.domain.tier import Window
from appliance.policy.plan import Plan, Reserves, plan_direct, plan_race
from appliance.policy.prices import PriceTable
from appliance.policy.route import Routing, default_rung, ladder
from appliance.request.slots import Slots
from appliance.request.work import Work
from appliance.settings import Settings
from appliance.store.ports import Directory
from appliance.upstream.target import Target, target


class Planner:
    """Makes the plan of each request."""

    def __init__(self, directory: Directory, prices: PriceTable, slots: Slots, settings: Settings) -> None:
        self._directory = directory
        self._prices = prices
        self._slots = slots
        self._settings = settings
        self._reserves = Reserves(settings.reserve_s)
        self._routing: dict[str, tuple[tuple[Provider, ...], Routing]] = {}
        self._targets: dict[tuple[str, bytes], tuple[Provider, Target]] = {}

    def routing(self, organisation_id: str) -> Routing:
        """The compiled routes of an organisation."""
        providers = self._directory.providers(organisation_id)
        known = self._routing.get(organisation_id)
        if known is None or known[0] is not providers:
            known = (providers, Routing(providers))
            self._routing[organisation_id] = known
        return known[1]

    def target(self, provider: Provider, path: bytes) -> Target:
        """Where calls of this path go at this provider."""
        key = (provider.provider_id, path)
        known = self._targets.get(key)
        if known is None or known[0] is not provider:
            known = (provider, target(provider, path))
            self._targets[key] = known
        return known[1]

    def plan(self, work: Work) -> Plan:
        """Route the request and plan its rungs; takes a race slot if it races. Raises CallerFault, ApplianceFault."""
        call, admitted = work.call, work.admitted
        if admitted is None:
            raise ApplianceFault("internal_error")
        route = self.routing(call.key.organisation_id).find(admitted.asked.model)
        provider, model = work.provider, work.model = route.provider, route.model
        give_up_s = self._settings.first_content_timeout_s
        if call.endpoint.dialect == "openai_embeddings":  # embeddings know no tiers
            return plan_direct(Rung(provider.name, model, None), give_up_s, "tier_direct")
        wish = admitted.wish
        rungs = ladder(
            provider,
            model,
            wish,
            service_tier=admitted.passed_tier,
            allow_priority=call.key.priority,
            flex_capable=self._prices.flex_capable(provider.price_as or provider.kind, model),
        )
        if not isinstance(wish, Window):
            return plan_direct(rungs[0], give_up_s, "tier_direct")
        if not admitted.asked.raceable:
            return plan_direct(default_rung(provider, model), give_up_s, "not_raced", wish.seconds)
        organisation = self._directory.organisation(call.key.organisation_id)
        if not self._slots.take(organisation.organisation_id, organisation.race_slots):
            return plan_direct(default_rung(provider, model), give_up_s, "flex_slots_full", wish.seconds)
        work.racing = True
        return plan_race(rungs, wish.seconds, self._reserves, give_up_s)
