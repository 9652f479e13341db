"""Who serves a model, and the ladder of rungs that a wish stands for. The rule: decided from data, before any call.

A model is named `provider/model`, or by a bare id: then the provider that lists it serves, the first in the operator's
order if several do, and if none does the first that takes any id. The text comes from a stranger and is never echoed.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.domain.ladder import Step
from appliance.domain.tier import StartWithin, Window, canonical_tier

MOST_COMPARED = 200
LONGEST_COMPARED = 64
"""Bounds of the search for near ids, since a caller can ask for it as often as it likes."""


class Route(msgspec.Struct, frozen=True):
    """Who is asked, and for which model."""

    provider: Provider
    model: str


class Routing:
    """The configured providers of one organisation, compiled; make it anew when they change."""

    __slots__ = ("_any", "_by_name", "_listed")

    def __init__(self, providers: Iterable[Provider]) -> None:
        ordered = sorted(providers, key=lambda provider: (provider.position, provider.created_unix_s, provider.name))
        self._by_name = {
            provider.name: (provider, None if provider.models is None else frozenset(provider.models))
            for provider in reversed(ordered)
        }
        self._listed: dict[str, Route] = {}
        for provider in ordered:
            for model in provider.models or ():
                self._listed.setdefault(model, Route(provider, model))
        self._any = next((provider for provider in ordered if provider.models is None), None)

    def find(self, model: str, allows: Callable[[Route], bool] | None = None) -> Route:
        """The route of a model as the caller names it.

        Raises CallerFault model_not_found, naming up to three near ids (of those that `allows`, if given), and
        ApplianceFault no_provider when none is configured.
        """
        name, slash, rest = model.partition("/")
        named = self._by_name.get(name) if slash else None
        if named is not None and rest and (named[1] is None or rest in named[1]):
            return Route(named[0], rest)
        if (listed := self._listed.get(model)) is not None:
            return listed
        if named is None and self._any is not None and model:
            return Route(self._any, model)
        if not self._by_name:
            raise ApplianceFault("no_provider")
        raise CallerFault("model_not_found", self._not_found(rest if named else model, allows), param="model")

    def at(self, name: str, model: str) -> Route:
        """The route of a model at the provider of this name; `model` may be bare or have any provider before it.

        Raises CallerFault invalid_provider_chain or provider_model_mismatch.
        """
        named = self._by_name.get(name)
        if named is None:
            raise CallerFault("invalid_provider_chain", param="provider")
        provider, listed = named
        before, slash, rest = model.partition("/")
        bare = rest if slash and before in self._by_name and (listed is None or model not in listed) else model
        if listed is not None and bare not in listed:
            raise CallerFault("provider_model_mismatch", param="provider")
        return Route(provider, bare)

    def step(self, step: Step, place: int) -> Route:
        """The route of a ladder's step, the `place`-th. Raises CallerFault invalid_ladder."""
        provider, models = self._by_name.get(step.provider, (None, None))
        if provider is None:
            raise CallerFault("invalid_ladder", f"Step {place}: there is no such provider.", param="ladder")
        if models is not None and step.model not in models:
            raise CallerFault("invalid_ladder", f"Step {place}: its provider has no such model.", param="ladder")
        return Route(provider, step.model)

    def listed(self, model: str) -> Route | None:
        """The route of a model that some provider lists, by a bare id or `provider/model`; None: none does."""
        if (route := self._listed.get(model)) is not None:
            return route
        name, _, rest = model.partition("/")
        provider, models = self._by_name.get(name, (None, None))
        return Route(provider, rest) if provider is not None and models is not None and rest in models else None

    def named(self, name: str) -> Provider | None:
        """The provider of this name."""
        found = self._by_name.get(name)
        return None if found is None else found[0]

    def models(self) -> tuple[Route, ...]:
        """What is listed by any provider, each id once, at the provider that a bare id would reach."""
        return tuple(self._listed.values())

    def _not_found(self, asked: str, allows: Callable[[Route], bool] | None) -> str:
        asked = asked[:LONGEST_COMPARED]
        ids = [model for model, route in self._listed.items() if allows is None or allows(route)]
        alike = [model for model in ids if model[:2] == asked[:2]]
        near = difflib.get_close_matches(asked, (alike or ids)[:MOST_COMPARED], n=3, cutoff=0.6)
        return f"No provider here has this model. Near: {', '.join(near)}." if near else ""


CHEAP_TIERS = frozenset({"flex", "batch", "deferred"})
"""Tiers that a provider sells for less because it may be late."""


def dear_place(ladder: Sequence[Rung]) -> int:
    """Which rung of a ladder of two or more serves where none may be raced: the first behind the cheapest that is on no
    cheap tier, else the last.
    """
    dear = (place for place, rung in enumerate(ladder) if place and rung.tier not in CHEAP_TIERS)
    return next(dear, len(ladder) - 1)


_STEP_FAULTS = {
    "flex_unsupported": "its provider has no cheap tier",
    "flex_model_not_capable": "its model has no flex tier",
    "tier_not_allowed": "its provider has no priority tier",
    "auto_unsupported": "its provider has no auto",
}


def step_fault(fault: CallerFault, place: int) -> CallerFault:
    """A fault of a ladder's step, the `place`-th, as the ladder's; what tells of a provider stays as it is."""
    why = _STEP_FAULTS.get(fault.kind.code)
    return fault if why is None else CallerFault("invalid_ladder", f"Step {place}: {why}.", param="ladder")


def default_rung(provider: Provider, model: str) -> Rung:
    """The standard tier, asked for by the provider's own word: leaving it out means `auto` at OpenAI, which may be any.

    Source: OpenAI's type of `service_tier`, where no value means the project's setting.
    """
    return Rung(provider.name, model, _word(provider, "default"))


def ladder(
    provider: Provider,
    model: str,
    wish: StartWithin,
    *,
    service_tier: str | None = None,
    allow_priority: bool = False,
    flex_capable: bool | None = None,
) -> tuple[Rung, ...]:
    """The rungs from cheap to dear: one for a tier word, flex, default and perhaps priority for a duration.

    `service_tier`: a value of the caller's that is none of our words; it passes unchanged and alone. A provider
    without declared tiers is sent none. `flex_capable` None: not known, tried. Raises CallerFault with
    flex_unsupported (suffixed `_for_<provider>`), flex_model_not_capable or tier_not_allowed.
    """
    if service_tier is not None:
        return (Rung(provider.name, model, service_tier),)
    if isinstance(wish, Window):
        flex = Rung(provider.name, model, _flex(provider, flex_capable))
        rungs = (flex, default_rung(provider, model))
        priority = _word(provider, "priority") if allow_priority else None
        return rungs if priority is None else (*rungs, Rung(provider.name, model, priority))
    if wish == "default" or not provider.tiers:
        return (default_rung(provider, model),)
    if wish == "auto":
        if provider.kind == "gemini":  # it has no setting that `auto` could mean; others ignore or honour the word
            raise CallerFault("auto_unsupported", suffix="_for_gemini", param="service_tier")
        word = "auto" if provider.kind == "openai" or "auto" in provider.tiers else None
        return (Rung(provider.name, model, word),)
    if wish == "flex":
        return (Rung(provider.name, model, _flex(provider, flex_capable)),)
    word = _word(provider, wish)
    if word is None and provider.kind == "anthropic" and "auto" in provider.tiers:
        word = "auto"  # its priority tier is a commitment of the account, which `auto` uses; the word itself is refused
    if word is None:
        raise CallerFault("tier_not_allowed", "This provider has no priority tier.", status=400, param="service_tier")
    return (Rung(provider.name, model, word),)


def _flex(provider: Provider, flex_capable: bool | None) -> str:
    word = _word(provider, "flex")
    if word is None:
        raise CallerFault("flex_unsupported", suffix=f"_for_{provider.name}", param="start_within")
    if flex_capable is False:
        raise CallerFault("flex_model_not_capable", param="model")
    return word


def _word(provider: Provider, tier: str) -> str | None:
    """The provider's own word for a tier of ours, None where it has none."""
    return next((word for word in provider.tiers if canonical_tier(word) == tier), None)
