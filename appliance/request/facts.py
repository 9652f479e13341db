"""What Startline tells the client about its request: the `x-startline-*` headers. The rule: one place writes them.

When a keep-alive comment had to go out before the answer started, the headers are gone already: then the same facts
follow as one comment line, which every SSE client ignores.
"""

from collections.abc import Sequence
from math import ceil

from trio import current_time

from appliance.domain.catalog import Rung
from appliance.domain.errors import Fault
from appliance.domain.money import usd
from appliance.domain.record import REASONS
from appliance.domain.tier import canonical_tier
from appliance.policy.account import plan_line
from appliance.policy.prices import PriceTable
from appliance.request.call import Header
from appliance.request.settle import finish_met, finish_within_s, overhead_s, retries, settled_record
from appliance.request.work import Work
from appliance.wire.faults import fault_header
from appliance.wire.provider_errors import retry_after_s

MODE = (b"x-startline-mode", b"byok")


def race_headers(work: Work, prices: PriceTable) -> list[Header]:
    """The facts that are known when the answer begins."""
    call, winner = work.call, work.winner
    headers: list[Header] = [(b"x-startline-request-id", call.request_id.encode())]
    provider = work.provider
    if provider is None:
        return headers
    headers.append((b"x-startline-provider", provider.name.encode()))
    translation = work.translation
    if translation is not None and (winner is None or translation.dialect(winner.rung.provider) is not None):
        headers += translation.headers()
    elif work.unsealed:
        headers.append((b"x-startline-dropped", b"reasoning.seal"))
    if work.attempts or work.skipped:
        headers.append((b"x-startline-race", (race_line(work) + _why(work)).encode()))
        headers.append((b"x-startline-retries", b"%d" % retries(work)))
    plan = work.plan
    if plan is not None and plan.forecast is not None:
        line = plan_line(plan.forecast, plan.window_s, finish_within_s(work))
        headers.append((b"x-startline-plan", line.encode()))
    if winner is None or winner.started_s is None:
        return headers
    if call.endpoint.kept:
        return [*headers, MODE]
    served = work.tier_served
    tier = canonical_tier(served) if served is not None else winner.rung.tier or "default"
    started_s = winner.started_s - call.arrived_s
    headers += [
        (b"x-startline-model", winner.rung.model.encode()),
        (b"x-startline-tier", tier.encode()),
        (b"x-startline-reason", (work.reason or "").encode()),
        (b"x-startline-started-ms", b"%d" % (started_s * 1e3 + 0.5)),
        (b"x-startline-overhead-ms", b"%.3f" % (overhead_s(work) * 1e3)),
        MODE,
    ]
    window_s = plan.window_s if plan is not None else None
    if window_s is not None:
        headers.append((b"x-startline-deadline-met", b"true" if started_s <= window_s else b"false"))
        finish_s = finish_within_s(work)
        if finish_s is not None and work.admitted is not None and not work.admitted.asked.stream:
            met = finish_met(work, finish_s, winner.end_s or winner.touched_s)
            headers.append((b"x-startline-finish-met", b"true" if met else b"false"))
    if work.tokens.certainty == "known" and len(work.attempts) == 1:
        rates = prices.rates(provider.price_as or provider.kind, winner.rung.model, tier)
        nanos = work.cost_at(work.tokens, rates).nanos
        if nanos is not None:
            headers.append((b"x-startline-cost-usd", usd(nanos).encode()))
    return headers


def cost_facts(work: Work, prices: PriceTable) -> dict[str, object]:
    """What a stream tells at its end of its cost and its way, for a client that sent `include_cost`."""
    request = settled_record(work, prices, current_time()).request
    told: dict[str, object] = {
        "request_id": request.request_id,
        "provider": request.provider,
        "model": request.model_dispatched,
        "tier": request.tier_served or request.tier_sent,
        "reason": request.reason,
        "cost_usd": None if request.cost_nanos is None else usd(request.cost_nanos),
        "cost_state": request.cost_state,
        "retries": request.retries,
    }
    if request.finish_s is not None:
        told["finish_met"] = request.finish_met
    return told


def race_line(work: Work) -> str:
    """One line of what happened: `flex@0.000 lost@7.512, default@5.000 won@7.510`, seconds since the request came.

    A rung that was not asked because its breaker is open comes first: `flex skipped`. Rungs of a ladder in words have
    their provider before them: `local untiered@0.000 lost@0.102`.
    """
    zero_s, named = work.call.arrived_s, work.ladder is not None
    parts = [f"{_rung(rung, named)} skipped" for rung in work.skipped]
    if work.translation is not None:
        parts += [f"{rung.provider} inexpressible" for rung in work.translation.unsaid]
    for attempt in work.attempts:
        if attempt is work.winner:
            ended, at_s = "won", attempt.started_s
        else:
            ended, at_s = work.outcome_of(attempt), attempt.end_s
            if ended == "detached":
                at_s = work.lingering[attempt.ordinal].let_go_s
        told = _rung(attempt.rung, named)
        parts.append(f"{told}@{attempt.start_s - zero_s:.3f} {ended}@{(at_s or zero_s) - zero_s:.3f}")
    return ", ".join(parts)


def _rung(rung: Rung, named: bool) -> str:
    tier = rung.tier or "untiered"
    return f"{rung.provider} {tier}" if named else tier


def _why(work: Work) -> str:
    """Why that came of it, where more than one thing could."""
    reason = work.reason
    return "" if reason is None or reason == "tier_direct" else f"; {REASONS[reason]}"


def stream_facts(work: Work, prices: PriceTable) -> bytes:
    """The headers' facts as one SSE comment line, in which a semicolon ends a fact."""
    pairs = b"; ".join(
        name.removeprefix(b"x-startline-") + b"=" + value.replace(b"; ", b", ")
        for name, value in race_headers(work, prices)
    )
    return b": startline " + pairs.replace(b"\r", b"").replace(b"\n", b"") + b"\n\n"


def fault_headers(fault: Fault) -> list[Header]:
    """The headers of an answer that is a fault: the block, the time to wait, and what the provider said of it."""
    headers = [(b"x-startline-error", fault_header(fault))]
    wait_s = fault.retry_after_s
    if wait_s is None or _told_wait_s(fault.headers) == wait_s:
        headers += fault.headers
    else:  # another rung named a shorter time, or the provider a date: then ours is the one that counts
        headers += [header for header in fault.headers if header[0] not in (b"retry-after", b"retry-after-ms")]
        headers.append((b"retry-after", b"%d" % max(1, ceil(wait_s))))
    if fault.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def _told_wait_s(headers: Sequence[Header]) -> float | None:
    return retry_after_s(dict(reversed(headers)).get)


def fault_facts(work: Work, fault: Fault) -> bytes:
    """The request id, for a stream that ends in an error event."""
    return b": startline request-id=" + work.call.request_id.encode() + b"; error=" + fault.code.encode() + b"\n\n"
