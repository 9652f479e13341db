"""What an attempt came to that ended after its request had settled. The rule: as settle's, of what was seen of it.

It was left running to learn when it starts, and closed then: so it costs what an abandoned attempt costs.
"""

import msgspec

from appliance.domain.money import NOT_CHARGED, Cost, cost_of
from appliance.domain.record import AttemptRecord
from appliance.domain.tier import canonical_tier, recorded_tier
from appliance.domain.tokens import NO_TOKENS, Tokens
from appliance.policy.prices import PriceTable
from appliance.request.observation import Observation
from appliance.request.settle import price_as, tokens_told_or_guessed
from appliance.request.work import outcome_of_lost
from appliance.upstream.attempt import Attempt


def observed_record(one: Observation, before: AttemptRecord, prices: PriceTable) -> AttemptRecord:
    """What an attempt came to that was left running, where its request's record said so much `before`."""
    attempt, zero_s = one.attempt, one.zero_s
    provider, reader, fault, rung = attempt.target.provider, attempt.reader, attempt.fault, attempt.rung
    tier, tokens = _late_tier(attempt), _late_tokens(one)
    cost = late_cost(one, prices)
    priced = tokens is not NO_TOKENS and cost.state != "unknown_price"
    end_s, started_s, content_s = attempt.end_s, attempt.started_s, attempt.content_s
    return msgspec.structs.replace(
        before,
        tier_served=tier,
        end_s=before.end_s if end_s is None else end_s - zero_s,
        outcome="detached" if fault is None else outcome_of_lost(attempt, fault),
        cancel_cause=one.cause,
        to_start_s=started_s - zero_s if started_s is not None else None,
        to_content_s=content_s - zero_s if content_s is not None else None,
        status=attempt.head.status if attempt.head is not None else None,
        error_code=fault.code if fault is not None else None,
        provider_code=fault.provider_code if fault is not None else None,
        tokens=tokens,
        cost_nanos=cost.nanos,
        cost_state=cost.state,
        provider_response_id=reader.response_id if reader is not None else None,
        retries=attempt.retries,
        events=reader.events if reader is not None else 0,
        received_bytes=attempt.received_bytes,
        price_row=prices.row(price_as(provider), rung.model, tier or rung.tier) if priced else None,
    )


def late_cost(one: Observation, prices: PriceTable) -> Cost:
    """What an attempt that was left running cost, as one that is abandoned."""
    tokens, rung = _late_tokens(one), one.attempt.rung
    if tokens is NO_TOKENS:
        return NOT_CHARGED
    provider = one.attempt.target.provider
    return cost_of(tokens, prices.rates(price_as(provider), rung.model, _late_tier(one.attempt) or rung.tier))


def _late_tier(attempt: Attempt) -> str | None:
    served = attempt.tier_told or (attempt.reader.tier if attempt.reader is not None else None)
    return recorded_tier(canonical_tier(served)) if served is not None else None


def _late_tokens(one: Observation) -> Tokens:
    return tokens_told_or_guessed(one.attempt, one.most_output_tokens, one.told)
