"""Who is asked, and for which rungs: what follows from a model, or a ladder in words, and a wish alone. The rule: from
data, and no word of the plan, which also depends on the moment.
"""

import msgspec

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import CallerFault
from appliance.domain.ladder import Step
from appliance.policy.plan import Plan, plan_direct
from appliance.policy.prices import PriceTable
from appliance.policy.route import CHEAP_TIERS, Route, Routing, default_rung, ladder, step_fault
from appliance.request.admit import Admitted
from appliance.request.embed import spoken_instead
from appliance.request.endpoint import Endpoint
from appliance.request.translate import in_other_words
from appliance.request.work import OnLadder, Work
from appliance.settings import Settings
from appliance.wire.provider_errors import family_of
from appliance.wire.translation.targets import targets


class Choice(msgspec.Struct, frozen=True):
    """What follows from a model and a wish alone: who serves, the rungs, and the plan where no race is wished.

    `spoken`: the dialects to ask the provider in, the best first; empty: the caller's own.
    """

    provider: Provider
    model: str
    rungs: tuple[Rung, ...]
    direct: Plan | None
    spoken: tuple[str, ...] = ()


class Chooser:
    """Makes choices; the planner keeps them."""

    def __init__(self, prices: PriceTable, settings: Settings) -> None:
        self._prices = prices
        self._settings = settings

    def choose(self, route: Route, work: Work, admitted: Admitted, endpoint: Endpoint) -> Choice:
        """The rungs of a model's route for a wish. Raises CallerFault."""
        provider, model = work.provider, work.model = route.provider, route.model  # for the record of a refusal below
        spoken: tuple[str, ...] = ()
        if provider.base_for(endpoint.dialect) is None:
            spoken = targets(provider, endpoint.dialect)
            instead = spoken_instead(endpoint.dialect, work.call.argument)
            if instead is not None and provider.base_for(instead) is not None:
                spoken = (instead,)
            if not spoken:
                raise CallerFault("dialect_unsupported", provider=provider.name, param="model")
            admitted = in_other_words(admitted)
        if provider.family != family_of(
            spoken[0] if spoken else endpoint.dialect
        ):  # tiers are of its own dialect alone
            provider = msgspec.structs.replace(provider, tiers=())
        price_as = provider.price_as or provider.kind
        if self._settings.unpriced_models == "refuse" and self._prices.rates(price_as, model, "default") is None:
            raise CallerFault("model_unpriced", provider=provider.name, param="model")
        give_up_s, reason = self._settings.first_content_timeout_s, "tier_direct"
        if not endpoint.tiered:
            rungs: tuple[Rung, ...] = (Rung(provider.name, model, None),)
        else:
            try:
                rungs = ladder(
                    provider,
                    model,
                    admitted.wish,
                    service_tier=admitted.passed_tier,
                    allow_priority=work.call.key.priority,
                    flex_capable=self._prices.flex_capable(price_as, model),
                )
            except CallerFault:
                if not admitted.by_default:
                    raise
                rungs, reason = (default_rung(provider, model),), "not_raced"
        direct = plan_direct(rungs[0], give_up_s, reason) if len(rungs) == 1 else None
        return Choice(route.provider, model, rungs, direct, spoken)

    def steps(self, routing: Routing, work: Work, admitted: Admitted, steps: tuple[Step, ...]) -> tuple[Choice, ...]:
        """Who is asked at each step. Raises CallerFault invalid_ladder, and others that tell of a provider."""
        choices = []
        for place, step in enumerate(steps, 1):
            wish = msgspec.structs.replace(admitted, wish=step.tier or "default", passed_tier=None, by_default=False)
            try:
                choices.append(self.choose(routing.step(step, place), work, wish, work.call.endpoint))
            except CallerFault as fault:
                raise step_fault(fault, place) from None
        return tuple(choices)

    def on_ladder(self, choices: tuple[Choice, ...], strange: bool, asked_listed: bool) -> OnLadder:
        """What the records must know. `strange`: the caller itself has written the ladder.

        Always-default is the first step that is not cheap: neither by its tier nor, as a model of one's own is, for
        having no price.
        """
        dear = [one for one in choices if one.rungs[0].tier not in CHEAP_TIERS]
        reference = next(filter(self._priced, dear), dear[0] if dear else choices[-1])
        unlisted = [one for one in choices if strange and not self._listed(one)]
        return OnLadder(
            (reference.provider.price_as or reference.provider.kind, reference.model, reference.rungs[0].tier),
            frozenset([(one.provider.name, one.model) for one in unlisted]),
            asked_listed,
        )

    def _priced(self, choice: Choice) -> bool:
        price_as = choice.provider.price_as or choice.provider.kind
        rates = self._prices.rates(price_as, choice.model, choice.rungs[0].tier)
        return rates is not None and rates.input + rates.output > 0

    def _listed(self, choice: Choice) -> bool:
        provider, model = choice.provider, choice.model
        listed = provider.models is not None and model in provider.models
        return listed or self._prices.names(provider.price_as or provider.kind, model)
