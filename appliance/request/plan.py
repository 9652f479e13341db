"""Second step: who is asked, in which order and when. The rule: what is decided here is decided by `policy`, from data.

Facts that change seldom (routes of an organisation, targets of a provider) are compiled once and kept until the
directory gives another tuple of providers, or the operator other prices.
"""

from collections.abc import Mapping

import msgspec
import trio

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.domain.ladder import Step
from appliance.domain.preset import Preset
from appliance.domain.profile import NO_PROFILES, NOTHING_KNOWN, Profile
from appliance.domain.tier import Window
from appliance.policy.plan import Plan, plan_direct
from appliance.policy.prices import PriceTable
from appliance.policy.route import Routing, dear_place
from appliance.request.admit import Admitted
from appliance.request.breakers import Breakers
from appliance.request.choice import Choice, Chooser
from appliance.request.embed import EmbeddingTranslation, spoken_instead
from appliance.request.engine import Engine
from appliance.request.slots import Slots
from appliance.request.translate import Translation
from appliance.request.work import Work
from appliance.settings import Settings
from appliance.store.ports import Directory
from appliance.upstream.target import Target, target
from appliance.wire.translation.codecs import CODECS

MOST_KEPT = 4096
LONGEST_KEPT_BYTES = 512
MOST_LADDERS = 512
"""Choices kept per organisation, targets, ladders in words; their keys hold callers' texts: a full table is emptied."""


class _Routes:
    """One organisation's compiled routes, and the choices made with them."""

    __slots__ = ("_translated", "aliases", "choices", "ladders", "prices", "providers", "routing")

    def __init__(self, providers: tuple[Provider, ...], aliases: dict[str, str], prices: object) -> None:
        self.prices = prices
        self.providers = providers
        self.aliases = aliases
        self.routing = Routing(providers)
        self._translated: dict[str, bool] = {}
        self.choices: dict[tuple[str, str | None, str | None, bool, str, bool], Choice] = {}
        self.ladders: dict[tuple[tuple[Step, ...], str], tuple[Choice, ...]] = {}

    def translated(self, dialect: str) -> bool:
        """Whether callers of this dialect may have had answers that were translated for them."""
        known = self._translated.get(dialect)
        if known is None:
            known = self._translated[dialect] = any(one.base_for(dialect) is None for one in self.providers)
        return known


class Planner:
    """Makes the plan of each request."""

    def __init__(
        self,
        directory: Directory,
        prices: PriceTable,
        slots: Slots,
        breakers: Breakers,
        engine: Engine,
        settings: Settings,
        profiles: Mapping[str, Profile] = NO_PROFILES,
    ) -> None:
        self._directory = directory
        self._prices = prices
        self._slots = slots
        self._breakers = breakers
        self._engine = engine
        self._settings = settings
        self._chooser = Chooser(prices, settings)
        self._profiles = profiles
        self._routes: dict[str, _Routes] = {}
        self._targets: dict[tuple[str, str, bytes], tuple[Provider, Target]] = {}

    def routing(self, organisation_id: str) -> Routing:
        """The compiled routes of an organisation."""
        return self._of(organisation_id).routing

    def aliases(self, organisation_id: str) -> dict[str, str]:
        """What callers may call a model, and what is meant: an id, perhaps with a provider before it."""
        return self._of(organisation_id).aliases

    def presets(self, organisation_id: str) -> Mapping[str, Preset]:
        """The organisation's presets by name."""
        return self._directory.presets(organisation_id)

    def _of(self, organisation_id: str) -> _Routes:
        providers = self._directory.providers(organisation_id)
        routes = self._routes.get(organisation_id)
        if routes is None or routes.providers is not providers or routes.prices is not self._prices.overrides:
            if routes is not None:
                self._forget_targets(
                    {one.provider_id for one in routes.providers} - {one.provider_id for one in providers}
                )
            aliases = self._settings.model_aliases | self._directory.organisation(organisation_id).aliases
            routes = self._routes[organisation_id] = _Routes(providers, aliases, self._prices.overrides)
        return routes

    def _forget_targets(self, removed: set[str]) -> None:
        for kept in [kept for kept in self._targets if kept[0] in removed]:
            del self._targets[kept]

    def target(self, provider: Provider, dialect: str, path: bytes) -> Target:
        """Where calls of this path go at this provider, spoken to in this dialect."""
        key = (provider.provider_id, dialect, path)
        known = self._targets.get(key)
        if known is None or known[0] is not provider:
            headers = self._profiles.get(provider.profile, NOTHING_KNOWN).tier_headers
            refusal = self._refusal(provider)
            known = (provider, target(provider, path, dialect=dialect, refusal=refusal, tier_headers=headers))
            if len(path) > LONGEST_KEPT_BYTES:  # a model's name or a query may be of any length
                return known[1]
            if len(self._targets) >= MOST_KEPT:
                self._targets.clear()
            self._targets[key] = known
        return known[1]

    def kept_target(self, provider: Provider, dialect: str, path: bytes, method: bytes) -> Target:
        """Where a call to something that the provider keeps goes; each has a path of its own, so none is remembered."""
        return target(provider, path, method, dialect, self._refusal(provider))

    def _refusal(self, provider: Provider) -> frozenset[str]:
        """What means "no capacity" at this provider, in the form of `read_error`."""
        refusal = self._profiles.get(provider.profile, NOTHING_KNOWN).refusal
        return frozenset([*map(str, refusal.statuses), *refusal.codes])

    def plan(self, work: Work) -> Plan:
        """Route the request and plan its rungs; takes a race slot if it races. Raises CallerFault, ApplianceFault."""
        call, admitted = work.call, work.admitted
        if admitted is None:
            raise ApplianceFault("internal_error")
        if call.endpoint.kept:
            return self._kept(work)
        key, wish, asked = call.key, admitted.wish, admitted.asked
        window = wish if isinstance(wish, Window) else None
        routes = self._of(key.organisation_id)
        work.stamps = routes.translated(call.endpoint.dialect)
        word = wish if window is None else None
        if asked.options.chain:
            return self._chain(routes, work, admitted, window)
        if admitted.ladder is not None and call.endpoint.tiered:
            return self._ladder(routes, work, admitted, admitted.ladder, window)
        chosen = (admitted.model, word, admitted.passed_tier, key.priority, call.endpoint.dialect, admitted.by_default)
        choice = routes.choices.get(chosen)  # type: ignore[arg-type]
        if choice is None:
            choice = self._chooser.choose(
                routes.routing.find(routes.aliases.get(admitted.model, admitted.model)), work, admitted, call.endpoint
            )
            if len(routes.choices) >= MOST_KEPT:
                routes.choices.clear()
            routes.choices[chosen] = choice  # type: ignore[index]
        work.provider, work.model = choice.provider, choice.model
        if choice.spoken:
            self._translate(work, admitted, (choice,))
        give_up_s = self._settings.first_content_timeout_s
        if self._breakers.suspects and (detour := self._detour(work, choice, window)) is not None:
            return detour
        if choice.direct is not None:
            return (
                choice.direct
                if window is None
                else plan_direct(choice.rungs[0], give_up_s, "not_raced", window.seconds, window.target)
            )
        if window is None:
            raise ApplianceFault("internal_error")
        if not asked.raceable:
            return plan_direct(choice.rungs[1], give_up_s, "not_raced", window.seconds, window.target)
        return self._race(work, (choice.provider,) * len(choice.rungs), choice.rungs, window)

    def _kept(self, work: Work) -> Plan:
        """Ask those who may have it, one after the other: an id says nothing of its provider.

        Raises ApplianceFault no_provider or breaker_open, CallerFault dialect_unsupported.
        """
        endpoint, now_s = work.call.endpoint, trio.current_time()
        all_of_them = self._directory.providers(work.call.key.organisation_id)
        providers = [one for one in all_of_them if one.base_for(endpoint.dialect) is not None]
        if not all_of_them:
            raise ApplianceFault("no_provider")
        if not providers:
            raise CallerFault("dialect_unsupported", provider=all_of_them[0].name)
        work.provider, work.model = providers[0], ""
        asked = {provider.name: (Rung(provider.name, "", None),) for provider in providers}
        rungs = [rung for one in providers for rung in self._breakers.usable(one, asked[one.name], now_s)]
        if not rungs:
            raise self._breakers.fault(providers[0], asked[providers[0].name], now_s)
        return plan_direct(rungs[0], self._settings.first_content_timeout_s, "tier_direct").then(tuple(rungs[1:]))

    def _race(self, work: Work, providers: tuple[Provider, ...], rungs: tuple[Rung, ...], window: Window) -> Plan:
        """What the engine decides over these rungs, each of the provider at the same place; the dearer one directly if
        that is a race and no slot is free, or all tiers failed together lately.
        """
        key, give_up_s, only = work.call.key, self._settings.first_content_timeout_s, None
        if self._breakers.races.suspects:
            left = self._breakers.raced(work, providers, rungs, trio.current_time())
            if len(left) > 1:
                providers, rungs = tuple([providers[place] for place in left]), tuple([rungs[place] for place in left])
            else:
                only = left[0]
        organisation = self._directory.organisation(key.organisation_id)
        explore = organisation.explore and not work.rehearsed
        plan = self._engine.plan(work, rungs, providers, window, give_up_s, explore, only)
        if not plan.races:
            return plan
        slots = self._settings.race_slots if organisation.race_slots is None else organisation.race_slots
        if work.rehearsed:
            free = self._slots.taken(organisation.organisation_id) < slots
        else:
            free = work.racing = self._slots.take(organisation.organisation_id, slots)
        if not free:
            self._engine.purses.forgo(work)
            dear = rungs[dear_place(rungs)]
            return plan_direct(dear, give_up_s, "flex_slots_full", window.seconds, window.target)
        return plan

    def _detour(self, work: Work, choice: Choice, window: Window | None) -> Plan | None:
        """The plan around rungs whose breakers are open; None where all that would be asked are well.

        Raises ApplianceFault("breaker_open") if none is left.
        """
        admitted, give_up_s, now_s = work.admitted, self._settings.first_content_timeout_s, trio.current_time()
        raced = choice.direct is None and admitted is not None and admitted.asked.raceable
        rungs = choice.rungs if raced or choice.direct is not None else choice.rungs[1:2]
        usable = self._breakers.usable(choice.provider, rungs, now_s, work.rehearsed)
        if len(usable) == len(rungs):
            return None
        work.skipped = tuple([rung for rung in rungs if rung not in usable])
        if not usable:
            raise self._breakers.fault(choice.provider, rungs, now_s)
        window_s, target = (None, None) if window is None else (window.seconds, window.target)
        if usable[0] is not rungs[0]:
            return plan_direct(usable[0], give_up_s, "flex_breaker_open", window_s, target)
        if len(usable) == 1 or window is None:
            return plan_direct(usable[0], give_up_s, "flex_won", window_s, target)
        return self._race(work, (choice.provider,) * len(usable), usable, window)

    def _chain(self, routes: _Routes, work: Work, admitted: Admitted, window: Window | None) -> Plan:
        """The plan of a request that names its providers: the first may race, the others are asked when it is lost."""
        asked, give_up_s, endpoint = admitted.asked, self._settings.first_content_timeout_s, work.call.endpoint
        first, *others = [
            routes.routing.at(name, routes.aliases.get(admitted.model, admitted.model)) for name in asked.options.chain
        ]
        later = admitted if window is None else msgspec.structs.replace(admitted, wish="default")
        fallbacks = [self._chooser.choose(route, work, later, endpoint) for route in others]
        choice = self._chooser.choose(first, work, admitted, endpoint)
        self._translate(work, admitted, (choice, *fallbacks))
        rungs, suspects, now_s = choice.rungs, self._breakers.suspects, trio.current_time()
        following = [one.rungs[0] for one in fallbacks]
        if suspects:
            rungs = self._breakers.usable(choice.provider, rungs, now_s, work.rehearsed)
            following = [
                rung
                for one in fallbacks
                for rung in self._breakers.usable(one.provider, one.rungs, now_s, work.rehearsed)
            ]
            work.skipped = tuple([rung for rung in choice.rungs if rung not in rungs])
        window_s, target = (None, None) if window is None else (window.seconds, window.target)
        if len(rungs) > 1 and window is not None and asked.raceable:
            return self._race(work, (choice.provider,) * len(rungs), rungs, window).then(tuple(following))
        if rungs:
            reason = "not_raced" if len(rungs) > 1 or window is not None else "tier_direct"
            return plan_direct(rungs[-1], give_up_s, reason, window_s, target).then(tuple(following))
        if not following:
            raise self._breakers.fault(choice.provider, choice.rungs, now_s)
        return plan_direct(following[0], give_up_s, "chain_advanced", window_s, target).then(tuple(following[1:]))

    def _ladder(
        self, routes: _Routes, work: Work, admitted: Admitted, steps: tuple[Step, ...], window: Window | None
    ) -> Plan:
        """The plan over a ladder in words: a race over all its rungs, or without a deadline a chain."""
        asked, give_up_s, now_s = admitted.asked, self._settings.first_content_timeout_s, trio.current_time()
        wanted = (steps, work.call.endpoint.dialect)
        choices = routes.ladders.get(wanted)
        if choices is None:
            choices = self._chooser.steps(routes.routing, work, admitted, steps)
            if len(routes.ladders) >= MOST_LADDERS:
                routes.ladders.clear()
            routes.ladders[wanted] = choices
        work.provider, work.model = choices[0].provider, choices[0].model
        asked_listed = routes.routing.listed(asked.model) is not None
        work.ladder = self._chooser.on_ladder(choices, steps is asked.options.ladder, asked_listed)
        if any(choice.spoken for choice in choices):
            self._translate(work, admitted, choices)
        places = [(choice.provider, choice.rungs[0]) for choice in choices]
        if self._breakers.suspects:
            places = [(one, rung) for one, rung in places if self._breakers.usable(one, (rung,), now_s, work.rehearsed)]
            rungs = tuple([rung for _, rung in places])
            work.skipped = tuple([choice.rungs[0] for choice in choices if choice.rungs[0] not in rungs])
            if not rungs:
                raise self._breakers.fault(choices[0].provider, choices[0].rungs, now_s)
        rungs = tuple([rung for _, rung in places])
        whole = rungs[0] is choices[0].rungs[0]
        if window is None:
            return plan_direct(rungs[0], give_up_s, "tier_direct" if whole else "chain_advanced").then(rungs[1:])
        if len(rungs) == 1:
            reason = "flex_breaker_open" if not whole else "flex_won" if work.skipped else "not_raced"
            return plan_direct(rungs[0], give_up_s, reason, window.seconds, window.target)
        if not asked.raceable:
            direct = plan_direct(rungs[dear_place(rungs)], give_up_s, "not_raced", window.seconds, window.target)
            return direct.then(_others(rungs))
        plan = self._race(work, tuple([one for one, _ in places]), rungs, window)
        if plan.reason_hint != "flex_slots_full":
            return plan
        left = tuple([rung for rung in rungs if rung not in work.skipped])  # the plan's is the dear one of these
        return plan.then(_others(left))

    def _translate(self, work: Work, admitted: Admitted, choices: tuple[Choice, ...]) -> None:
        """Note which providers are asked in another dialect than the caller's."""
        foreign = {choice.provider.name: (choice.provider, choice.spoken) for choice in choices if choice.spoken}
        if not foreign:
            return
        call = work.call
        if call.endpoint.dialect not in CODECS:
            if spoken_instead(call.endpoint.dialect, call.argument) is None:  # of the same dialect, but no embedding
                raise CallerFault("dialect_unsupported", provider=choices[0].provider.name, param="model")
            work.translation = EmbeddingTranslation(call.endpoint.dialect, admitted.asked, frozenset(foreign))
        else:
            lenient = admitted.ladder is not None
            work.translation = Translation(call, admitted.asked, foreign, self._profiles, lenient=lenient)

    def named(self, organisation_id: str, name: str) -> Provider:
        """The provider of a rung. Raises ApplianceFault if it was removed meanwhile."""
        found = self._of(organisation_id).routing.named(name)
        if found is None:
            raise ApplianceFault("no_provider")
        return found


def _others(ladder: tuple[Rung, ...]) -> tuple[Rung, ...]:
    """Who follows when the dear rung was lost: those dearer, then the cheaper ones, the cheapest last."""
    dear = dear_place(ladder)
    return (*ladder[dear + 1 :], *ladder[:dear][::-1])
