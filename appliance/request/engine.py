"""The deadline engine in the way of a request: plans by what was learned, and learns. The rule: ask only where it pays.

`policy` decides; here are the facts that it needs, and what must be remembered between requests: how long attempts took
to start (policy/latency.py), how long a key's answers are, and decisions, which hold until a curve has moved. Attempts
are counted where their model is raced here, raced or not; a request for any other model pays for one look at a table.
"""

from collections.abc import Sequence

import msgspec

from appliance.domain.catalog import Provider, Rung
from appliance.domain.money import cost_of
from appliance.domain.record import RequestRecord
from appliance.domain.tier import Window, canonical_tier, recorded_tier
from appliance.domain.tokens import Tokens
from appliance.policy.expense import Expense, expense
from appliance.policy.explanation import Outlook
from appliance.policy.foresight import (
    Foresight,
    Prospect,
    after_loss,
    anew,
    beside,
    fixed,
    forecast,
    foresee,
    just,
)
from appliance.policy.hedges import Hedges
from appliance.policy.latency import IDLE_S, PRIOR_MASS, Flight, LatencyModel, Series, size_class
from appliance.policy.moves import Replanned
from appliance.policy.plan import Plan, Reserves, plan_decided, plan_direct, plan_reserve
from appliance.policy.prices import PriceTable
from appliance.policy.race import is_callers_fault
from appliance.policy.route import dear_place
from appliance.policy.survival import Curve
from appliance.request.answers import Answers
from appliance.request.purses import Purses
from appliance.request.work import Work
from appliance.settings import Settings
from appliance.upstream.attempt import Attempt

MOST_KEPT = 4096
"""Models that are watched; a full table is emptied."""

MOST_DECIDED = 512
"""Decisions that are kept, beyond it the oldest is dropped. Callers choose windows as they like, and each may hold
curves of its time: 30 KiB. One that is older than `IDLE_S` rests on curves that are built anew when next asked for, so
it is dropped."""

LONGEST_MODEL = 200
"""Characters of a model that is watched: where a provider lists none it is a stranger's text."""

UNLISTED = ""
"""Stands for all models together that neither the provider nor the price list names: their text is a stranger's."""


class Engine:
    """One for the process. Times are monotonic."""

    def __init__(self, prices: PriceTable, settings: Settings) -> None:
        self.model = LatencyModel()
        self.watched: dict[str, None] = {}
        """Models that were raced here: of their attempts the times to the start are counted."""
        self.hedges = Hedges(settings.hedges_per_s, settings.hedges_per_key_per_s)
        self._prices = prices
        self.purses = Purses()
        self._reserves = Reserves(settings.reserve_s)
        self._decided: dict[tuple[object, ...], tuple[float, Foresight]] = {}  # and when; the newest at the end
        self.answers = Answers()

    # -- before an attempt ---------------------------------------------------------------------------------------------

    def plan(
        self,
        work: Work,
        ladder: tuple[Rung, ...],
        providers: Sequence[Provider],
        window: Window,
        give_up_s: float,
        explore: bool = False,
        only: int | None = None,
    ) -> Plan:
        """The plan over a ladder of two rungs or more, each of the provider at the same place.

        `explore`: a skipped cheap rung may be started beside the first, and the first be left running if it loses, if
        the organisation's purse has the money; `purses.forgo` gives it back. None is started beside
        one that must end in time. `only`: the place of the rung that is asked alone, since all failed together lately.
        """
        call, window_s = work.call, window.seconds
        now_s, key_id = call.arrived_s, call.key.key_id
        if not work.rehearsed:
            for rung in ladder:
                self._watch(rung.model)
        size = self._size(work)
        series = tuple([self._series(rung, of, size) for rung, of in zip(ladder, providers, strict=True)])
        tokens = self._tokens(work, series[0])
        costs = self._expense(work, ladder, providers, *tokens)
        found = self._foresee(work, series, costs, window, now_s)
        prospect = work.prospect = Prospect(ladder, series, costs, window, found)
        decision, why, hint = None, "", None
        reserve_s = self._reserves(ladder[1])
        if reserve_s is not None:
            plan = plan_reserve(ladder, window_s, reserve_s, give_up_s)
            decision, why = fixed(found, plan.rungs[1].launch_s or 0.0), "reserve"
        else:
            plan = plan_decided(ladder, found.decision, window_s, give_up_s)
        if only is not None:
            decision, why, hint = just(found, only), "joint_failure", "joint_failure"
        elif plan.races:
            if not self.hedges.may(key_id, now_s):
                self.hedges.capped += not work.rehearsed
                decision, why, hint = just(found, dear_place(ladder)), "hedges_capped", "hedges_capped"
        elif (
            found.decision.first > 0
            and explore
            and found.rest is None  # it might win, and then end too late
            and self.hedges.may(key_id, now_s)
            and self.purses.take_beside(work, prospect)
        ):
            decision, why, hint = beside(found), "explored", "flex_skipped"
        if only is not None:
            plan = plan_direct(ladder[only], give_up_s, "joint_failure", window_s)
        elif hint is not None and decision is not None:
            plan = plan_decided(ladder, decision, window_s, give_up_s)
        told = forecast(prospect, *tokens, decision, why)
        plan = msgspec.structs.replace(plan, target=window.target, forecast=told, reason_hint=hint or plan.reason_hint)
        first = plan.first
        if explore and plan.races and (work.reserved or self.purses.take_linger(work, prospect, first)):
            plan = msgspec.structs.replace(plan, linger=frozenset({first}))
        return plan

    # -- while it runs -------------------------------------------------------------------------------------------------

    def again(self, work: Work, rung: int, launch_s: float, now_s: float) -> Replanned | None:
        """Decide anew by what is known now, with the first rung silent, and `rung` to be launched at the monotonic
        `launch_s`; None: it stays as planned.
        """
        prospect, plan = work.prospect, work.plan
        told = None if plan is None else plan.forecast
        if prospect is None or told is None:
            return None
        found = self._foresee(work, prospect.series, prospect.costs, prospect.window, now_s)
        zero_s = work.call.arrived_s
        moved = anew(found, told.first, (rung, launch_s - zero_s))
        return None if moved is None else self._replanned(work, *moved, now_s - zero_s)

    def after_loss(self, work: Work, running: Sequence[int], waiting: Sequence[int], now_s: float) -> Replanned | None:
        """When the next dearer rung is launched now that a rung was lost and another runs alone; None: as planned."""
        prospect, plan = work.prospect, work.plan
        if prospect is None or len(running) != 1 or plan is None or plan.forecast is None:
            return None
        if plan.forecast.why == "reserve":
            return None
        last = running[0]
        if last + 1 not in waiting or last + 1 >= len(prospect.series):
            return None
        if any(one.rung != rung for one, rung in zip(plan.rungs, prospect.ladder, strict=False)):
            return None  # rungs that cannot be asked were left out: places are not those of the prospect
        since_s = now_s - work.call.arrived_s
        found = self._foresee(work, prospect.series, prospect.costs, prospect.window, now_s)
        return self._replanned(work, last + 1, after_loss(found, last, last + 1, since_s), since_s)

    def _replanned(self, work: Work, rung: int, launch_s: float, since_s: float) -> Replanned:
        plan = work.plan
        if plan is not None and plan.forecast is not None:
            told = plan.forecast
            told = msgspec.structs.replace(told, replans=(*told.replans, (since_s, launch_s)))
            work.plan = msgspec.structs.replace(plan, forecast=told)
        return Replanned(rung, launch_s)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _size(self, work: Work) -> int:
        """The size class of the prompt."""
        if work.admitted is not None:
            work.size = size_class(work.admitted.asked.body.size_bytes)
        return work.size

    def _watch(self, model: str) -> None:
        if model not in self.watched and len(model) <= LONGEST_MODEL:
            if len(self.watched) >= MOST_KEPT:
                self.watched.clear()
            self.watched[model] = None

    def _series(self, rung: Rung, provider: Provider, size: int, behind: bool = False) -> Series:
        model, listed = rung.model, provider.models
        if (listed is None or model not in listed) and not self._prices.names(
            provider.price_as or provider.kind, model
        ):
            model = UNLISTED
        tier = recorded_tier(canonical_tier(rung.tier)) if rung.tier is not None else None
        return Series(provider.provider_id, model, tier, size, behind)

    def _tokens(self, work: Work, series: Series) -> tuple[int, int]:
        """Expected tokens of prompt and answer."""
        prompt = work.admitted.asked.estimated_input_tokens if work.admitted is not None else 0
        return prompt, self.answers.tokens(work, series)

    def _expense(
        self,
        work: Work,
        ladder: tuple[Rung, ...],
        providers: Sequence[Provider],
        input_tokens: int,
        output_tokens: int,
    ) -> Expense:
        rates, billing = [], []
        for rung, provider in zip(ladder, providers, strict=True):
            rates.append(self._prices.rates(provider.price_as or provider.kind, rung.model, rung.tier))
            billing.append(provider.abort_billing)
        tiers = tuple([rung.tier for rung in ladder])
        found = expense(tiers, tuple(rates), tuple(billing), input_tokens, output_tokens)
        if work.ladder is None:
            return found  # flex, default and perhaps priority: the second is default
        tokens = Tokens(input_tokens, output_tokens, 0, 0, None, "estimated")
        default = cost_of(tokens, self._prices.rates(*work.ladder.reference))
        return msgspec.structs.replace(found, default_nanos=default.nanos, usual=dear_place(ladder))

    def _foresee(
        self, work: Work, series: tuple[Series, ...], costs: Expense, window: Window, now_s: float
    ) -> Foresight:
        """The decision, made anew only if a curve has moved since an alike request."""
        curves: list[Curve] = []
        look = self.model.peek if work.rehearsed else self.model.curve
        for place, alone in enumerate(series):
            curve = look(alone, now_s)
            curves.append(curve)
            behind = Series(alone.provider, alone.model, alone.tier, alone.size, True)
            curves.append(look(behind, now_s) if place else curve)
        key: tuple[object, ...] = (*series, window.seconds, window.target, costs.costs, costs.shares)
        rest = None
        if window.finish_s is not None:
            rest = self.answers.rest(work, series, window.finish_s, now_s)
            key = (*key, window.finish_s, *rest.generations)
        _, known = self._decided.get(key, (0.0, None))
        if known is None or any(new is not old for new, old in zip(curves, known.curves, strict=True)):
            known = foresee(tuple(curves), costs, window.seconds, window.target, rest)
            if work.rehearsed:
                return known
            self._keep(key, known, now_s)
        return known

    def _keep(self, key: tuple[object, ...], found: Foresight, now_s: float) -> None:
        decided = self._decided
        decided.pop(key, None)
        while decided and next(iter(decided.values()))[0] < now_s - IDLE_S:
            del decided[next(iter(decided))]
        if len(decided) >= MOST_DECIDED:
            del decided[next(iter(decided))]
        decided[key] = now_s, found

    def outlook(self, work: Work, rung: Rung, provider: Provider, behind: bool) -> Outlook:
        """What is known of one rung by itself. `behind`: it is launched while a cheaper one is silent."""
        series, now_s = self._series(rung, provider, self._size(work)), work.call.arrived_s
        curve = self.model.peek(series, now_s)
        later = self.model.peek(msgspec.structs.replace(series, behind=True), now_s) if behind else curve
        tokens = Tokens(*self._tokens(work, series), 0, 0, None, "estimated")
        cost = cost_of(tokens, self._prices.rates(provider.price_as or provider.kind, rung.model, rung.tier))
        return Outlook(curve, later, max(curve.number - PRIOR_MASS, 0.0), cost.nanos)

    # -- attempts ------------------------------------------------------------------------------------------------------

    def launched(self, work: Work, attempt: Attempt, behind: bool) -> Flight:
        """An attempt is on its way, perhaps behind a silent cheaper one; end the flight by `landed`."""
        series = self._series(attempt.rung, attempt.target.provider, self._size(work), behind)
        return self.model.begin(series, attempt.start_s)

    def landed(self, flight: Flight, attempt: Attempt, cut_off: bool, now_s: float) -> None:
        """What became of an attempt until its start. `cut_off`: it was ended for a reason of its request's own.

        What was the caller's fault or ours says nothing of the provider, and neither does a stop.
        """
        fault = attempt.fault
        if attempt.started_s is not None:
            flight.end("started", attempt.started_s)
        elif fault is not None:
            if is_callers_fault(fault) or fault.origin == "startline":
                flight.forget()
            else:
                flight.end("lost", attempt.end_s or now_s)
        elif cut_off:
            flight.end("censored", attempt.end_s or now_s)
        else:
            flight.forget()

    def settled(self, work: Work, request: RequestRecord, now_s: float) -> None:
        """A request that was planned here, or for a model that is watched, has ended."""
        if work.prospect is not None:
            self.purses.settled(work, work.prospect, request)
        winner = work.winner
        if winner is not None:
            self.answers.settled(work, self._series(winner.rung, winner.target.provider, work.size), now_s)
