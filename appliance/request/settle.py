"""Last step: what the request was, did and cost, as records. The rule: no await, nothing lost, nothing made up.

Costs are those of the tier *served*, as the provider's answer names it; where it names none, of the tier sent. What an
attempt used is the provider's word, else an estimate that says so; a price or a usage that is not known is never zero.
"""

import msgspec

from appliance.domain.catalog import Provider, Rung
from appliance.domain.money import NOT_CHARGED, Cost, Rates, total_of
from appliance.domain.preset import MARK
from appliance.domain.record import AttemptRecord, Begun, Forecast, RequestRecord, Settled
from appliance.domain.tier import Window, canonical_tier, recorded_tier, start_within_text
from appliance.domain.tokens import NO_TOKENS, Tokens
from appliance.policy.attribution import attribution
from appliance.policy.estimate import Seen, begun_cost, counterfactual, estimate_tokens
from appliance.policy.plan import Plan
from appliance.policy.prices import PriceTable
from appliance.policy.race import is_callers_fault
from appliance.request.work import Work
from appliance.upstream.attempt import Attempt

UNLISTED = "(unlisted)"
"""Stands for a model that only the caller has named: its text could be anything, so it is not kept."""

BROKEN_OFF = frozenset({"provider_cut_off", "provider_garbled", "provider_too_slow"})
"""Faults of attempts that the provider had not refused: it may have worked, and may bill that."""


def begun_record(work: Work, plan: Plan, prices: PriceTable) -> Begun:
    """The archive's record of a request whose first attempt is being dispatched."""
    call, admitted = work.call, work.admitted
    known = _model_known(work, prices)
    rungs = tuple([_recorded_rung(planned.rung, _rung_known(work, planned.rung, known)) for planned in plan.rungs])
    estimate = None
    if admitted is not None and work.provider is not None:
        if work.ladder is not None:
            rates = prices.rates(*work.ladder.reference)
        else:
            rates = prices.rates(price_as(work.provider), work.model or "", rungs[-1].tier)
        most_tokens, billing = admitted.asked.max_output_tokens, work.provider.abort_billing
        estimate = begun_cost(call.received_bytes, most_tokens, rates, billing).nanos
    return Begun(  # by position, as the records below
        call.request_id,
        call.key.organisation_id,
        call.key.key_id,
        call.at_unix_us,
        call.endpoint.name,
        call.endpoint.dialect,
        _model_asked(work, known),
        _tier_asked(work),
        admitted is not None and admitted.asked.stream,
        rungs,
        estimate,
        plan.window_s,
    )


def _recorded_rung(rung: Rung, known: bool) -> Rung:
    tier = recorded_tier(rung.tier)
    if known and tier == rung.tier:
        return rung
    return Rung(rung.provider, rung.model if known else UNLISTED, tier)


def _rung_known(work: Work, rung: Rung, known: bool) -> bool:
    """Whether the model of a rung may be recorded; `known`: that of the request."""
    ladder = work.ladder
    return known if ladder is None else (rung.provider, rung.model) not in ladder.unlisted


def _attempt_known(work: Work, attempt: Attempt) -> bool:
    return attempt.started_s is not None or _rung_known(work, attempt.rung, known=False)


def _recorded_forecast(work: Work, forecast: Forecast, known: bool) -> Forecast:
    if known and work.ladder is None:
        return forecast
    rungs = [_recorded_rung(rung, _rung_known(work, rung, known)) for rung in forecast.rungs]
    return msgspec.structs.replace(forecast, rungs=tuple(rungs))


def settled_record(work: Work, prices: PriceTable, now_s: float) -> Settled:
    """The records of a request that has ended, whichever way, at the monotonic time `now_s`."""
    call, admitted, plan, winner, fault = work.call, work.admitted, work.plan, work.winner, work.fault
    zero_s = call.arrived_s
    known = (winner is not None and winner.started_s is not None) or _model_known(work, prices)
    attempts: list[AttemptRecord] = []
    costs: list[Cost] = []
    default_nanos = None
    provider = work.provider
    for attempt in work.attempts:
        known_here = known if work.ladder is None else _attempt_known(work, attempt)
        record, cost, rates = _attempt_record(work, attempt, prices, known_here, now_s)
        attempts.append(record)
        costs.append(cost)
        if attempt is winner and provider is not None:
            reference = (price_as(provider), work.model or "", "default")
            default_rates = prices.rates(*(reference if work.ladder is None else work.ladder.reference))
            same = rates is not None and rates is default_rates
            default_nanos = (cost if same else counterfactual(record.tokens, default_rates)).nanos
    shown = attempts[winner.ordinal - 1] if winner is not None else (attempts[-1] if attempts else None)
    total = total_of(costs)
    window_s = plan.window_s if plan is not None else None
    to_start_s = shown.to_start_s if winner is not None and shown is not None else None
    finish_s = finish_within_s(work) if window_s is not None else None
    key, endpoint = call.key, call.endpoint
    request = RequestRecord(  # by position: by name it takes three times as long
        call.request_id,
        key.organisation_id,
        key.key_id,
        call.at_unix_us,
        endpoint.name,
        endpoint.dialect,
        _model_asked(work, known),
        shown.model if shown is not None else None,
        provider.name if provider is not None else None,
        provider.base_url if provider is not None else None,
        _tier_asked(work),
        shown.tier_sent if shown is not None else None,
        shown.tier_served if shown is not None and winner is not None else None,
        work.reason,
        admitted is not None and admitted.asked.stream,
        work.status or 499,
        fault.code if fault is not None else None,
        fault.klass if fault is not None else None,
        fault.origin if fault is not None else None,
        shown.tokens if shown is not None else NO_TOKENS,
        total.nanos,
        total.state,
        default_nanos,
        shown.provider_response_id if shown is not None else None,
        to_start_s,
        shown.to_content_s if winner is not None and shown is not None else None,
        now_s - zero_s,  # total_s
        overhead_s(work),
        call.received_bytes,
        call.reply.sent_bytes,
        shown.retries if len(attempts) == 1 and shown is not None else retries(work),
        window_s,
        _deadline_met(work, window_s, to_start_s, now_s - zero_s),
        work.client_gone,
        *attribution(call.get),
        plan.target if plan is not None else None,
        finish_s,
        finish_met(work, finish_s, now_s),
        None if plan is None or plan.forecast is None else _recorded_forecast(work, plan.forecast, known),
        admitted.preset if admitted is not None else None,
        work.size,
    )
    return Settled(request, tuple(attempts))


def finish_within_s(work: Work) -> float | None:
    """Within what time the last byte of an answer that has a window should have come; None: nobody said."""
    wish = work.admitted.wish if work.admitted is not None else None
    return wish.finish_s if isinstance(wish, Window) else None


def finish_met(work: Work, finish_s: float | None, now_s: float) -> bool | None:
    """Whether the provider's last byte came in time; None without a deadline, or if the caller ended it before."""
    winner, zero_s = work.winner, work.call.arrived_s
    if finish_s is None:
        return None
    if winner is not None and winner.end == "complete" and winner.end_s is not None:
        return winner.end_s - zero_s <= finish_s
    return None if _callers_doing(work) and now_s - zero_s <= finish_s else False


def _deadline_met(work: Work, window_s: float | None, to_start_s: float | None, total_s: float) -> bool | None:
    """Whether the answer started in time; None without a deadline, or if the caller ended it before the deadline."""
    if window_s is None:
        return None
    if to_start_s is not None:
        return to_start_s <= window_s
    return None if _callers_doing(work) and total_s <= window_s else False


def _callers_doing(work: Work) -> bool:
    """Whether a request that failed did so for a reason of its caller's, or of ours."""
    fault = work.fault
    return work.client_gone or (fault is not None and (fault.origin == "startline" or is_callers_fault(fault)))


def retries(work: Work) -> int:
    """Tries that were made again: by `retry`, and connections that were stale and replaced, over all attempts."""
    attempts = work.attempts
    return work.retried + (
        attempts[0].retries if len(attempts) == 1 else sum([attempt.retries for attempt in attempts])
    )


def overhead_s(work: Work) -> float:
    """Time that was ours: from the body's last byte to the first dispatch, and from the start to the client's bytes.

    Opening a connection is the network's time, as waiting for the answer is.
    """
    call = work.call
    if not work.attempts:
        return (work.answered_s or call.arrived_s) - call.arrived_s
    first = work.attempts[0]
    own_s = first.start_s - call.arrived_s
    if first.sent_s is not None:
        own_s = first.sent_s - call.arrived_s - first.opening_s
    winner = work.winner
    if winner is not None and work.answered_s is not None:
        streamed = work.admitted is not None and work.admitted.asked.stream
        ready_s = winner.started_s if streamed else winner.end_s
        own_s += work.answered_s - (ready_s or work.answered_s)
    return own_s


def _attempt_record(
    work: Work, attempt: Attempt, prices: PriceTable, known: bool, now_s: float
) -> tuple[AttemptRecord, Cost, Rates | None]:
    provider = attempt.target.provider
    reader, fault, rung = attempt.reader, attempt.fault, attempt.rung
    zero_s = work.call.arrived_s
    if attempt is work.winner:
        served, response_id = work.tier_served, work.response_id
    else:
        served = attempt.tier_told or (reader.tier if reader is not None else None)
        response_id = reader.response_id if reader is not None else None
    outcome = work.outcome_of(attempt)
    tokens = _tokens(work, attempt)
    tier = recorded_tier(canonical_tier(served)) if served is not None else None
    rates, cost = None, NOT_CHARGED
    if tokens is not NO_TOKENS:
        rates = prices.rates(price_as(provider), rung.model, tier or rung.tier)
        cost = work.cost_at(tokens, rates)
    start_s, end_s, started_s, content_s = attempt.start_s, attempt.end_s, attempt.started_s, attempt.content_s
    record = AttemptRecord(  # by position, as above
        work.call.request_id,
        attempt.ordinal,
        provider.name,
        provider.base_url,
        rung.model if known else UNLISTED,
        recorded_tier(rung.tier),
        tier,
        start_s - zero_s,
        (end_s if end_s is not None else now_s) - zero_s,
        outcome,
        work.cause_of(attempt, outcome),
        started_s - zero_s if started_s is not None else None,
        content_s - zero_s if content_s is not None else None,
        attempt.head.status if attempt.head is not None else None,
        fault.code if fault is not None else None,
        fault.provider_code if fault is not None else None,
        tokens,
        cost.nanos,
        cost.state,
        response_id,
        attempt.retries,
        reader.events if reader is not None else 0,
        attempt.received_bytes,
        prices.row(price_as(provider), rung.model, tier or rung.tier) if rates is not None else None,
    )
    return record, cost, rates


def _tokens(work: Work, attempt: Attempt) -> Tokens:
    """The provider's word, else an estimate; nothing for what was refused before any work."""
    if work.call.endpoint.kept:
        return NO_TOKENS  # counted when it was made
    if attempt is work.winner and work.tokens.certainty == "known":
        return work.tokens
    most_tokens = work.admitted.asked.max_output_tokens if work.admitted is not None else None
    return tokens_told_or_guessed(attempt, most_tokens, work.tokens)


def tokens_told_or_guessed(attempt: Attempt, most_output_tokens: int | None, told: Tokens) -> Tokens:
    """`told`: what the winner was told, who was asked the same."""
    reader, fault = attempt.reader, attempt.fault
    if reader is not None and reader.usage is not None:
        return reader.usage
    refused = fault is not None and attempt.started_s is None and fault.kind.code not in BROKEN_OFF
    tokens = estimate_tokens(
        Seen(
            request_bytes=attempt.body_bytes,
            accepted=attempt.sent_s is not None and not refused,
            deltas=reader.events if reader is not None else 0,
            text_bytes=reader.output_bytes_estimate if reader is not None else len(attempt.whole or b""),
            most_output_tokens=most_output_tokens,
        ),
        # an answer that came to its end is billed as it came
        "partial" if attempt.end == "complete" else attempt.target.provider.abort_billing,
    )
    if reader is not None and (early := reader.early) is not None and tokens.certainty == "estimated":
        return Tokens(
            early.input, tokens.output, early.cached, early.cache_write, None, "estimated", early.cache_write_1h
        )
    if tokens.input and tokens.certainty == "estimated" and told.certainty == "known" and told.input is not None:
        # better than any guess from bytes
        return Tokens(told.input, tokens.output, 0, 0, None, "estimated")
    return tokens


def price_as(provider: Provider) -> str:
    """The name by which the price list knows a provider."""
    return provider.price_as or provider.kind


def _model_known(work: Work, prices: PriceTable) -> bool:
    """Whether the model is one we have heard of from someone else than the caller, whose free text is not kept."""
    provider, model = work.provider, work.model
    if provider is None or model is None:
        return False
    return (provider.models is not None and model in provider.models) or prices.names(price_as(provider), model)


def _model_asked(work: Work, known: bool) -> str:
    admitted = work.admitted
    if admitted is None:
        return UNLISTED
    asked = admitted.asked.model
    if admitted.preset is not None and asked == MARK + admitted.preset:
        return asked
    return asked if (known if work.ladder is None else work.ladder.asked_listed) else UNLISTED


def _tier_asked(work: Work) -> str:
    admitted = work.admitted
    if admitted is None:
        return ""
    return recorded_tier(admitted.passed_tier) or start_within_text(admitted.wish)
