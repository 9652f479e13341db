"""Records: nothing lost, nothing made up; costs are those of the tier served, by the provider's word or an estimate."""

from collections.abc import Callable

from trio.testing import MockClock

from tests.request.stage import SILENCE, Stage, leaves, refuses, starts

Make = Callable[..., Stage]
INPUT_FLEX = 1250  # nanodollars for a token


async def test_a_request_that_was_never_dispatched_has_a_record_and_no_cost(clock: MockClock, stage: Make) -> None:
    s = stage()
    await s.call(start_within="0.1s")
    request = s.request
    assert (s.attempts, request.cost_nanos, request.cost_state) == ((), 0, "not_charged")
    assert (request.status, request.error_code, request.error_class, request.error_origin) == (
        400,
        "invalid_start_within",
        "validation",
        "startline",
    )
    assert (request.tier_asked, request.model_asked, request.provider) == ("", "(unlisted)", None)


async def test_a_begun_record_says_what_may_come(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    await s.race(max_completion_tokens=1000)
    (begun,) = s.ledger.begun
    assert [(rung.tier, rung.model) for rung in begun.rungs] == [("flex", "gpt-5.4"), ("default", "gpt-5.4")]
    assert (begun.window_s, begun.tier_asked, begun.streamed) == (10.0, "10s", True)
    assert begun.estimate_nanos is not None and begun.estimate_nanos > 1000 * 15_000


async def test_a_begun_record_without_an_output_limit_knows_what_the_input_costs(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    await s.race()
    (begun,) = s.ledger.begun
    assert begun.estimate_nanos and begun.estimate_nanos < 1_000_000


async def test_a_silent_loser_is_charged_its_input_as_an_estimate(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(1.0, "default"))
    await s.race()
    loser = s.attempts[0]
    assert loser.tokens.input and loser.cost_nanos == loser.tokens.input * INPUT_FLEX
    assert (loser.tokens.output, loser.cost_state, loser.tier_sent, loser.tier_served) == (0, "estimated", "flex", None)


async def test_a_provider_that_bills_abandoned_calls_in_full_leaves_the_cost_open(
    clock: MockClock, stage: Make
) -> None:
    s = stage(flex=SILENCE, default=starts(1.0, "default"), provider={"abort_billing": "full"})
    await s.race()
    assert (s.attempts[0].cost_nanos, s.attempts[0].cost_state) == (None, "unknown_usage")
    assert s.request.cost_state == "unknown_usage"
    assert s.request.cost_nanos == s.attempts[1].cost_nanos


async def test_a_price_that_nobody_knows_is_not_zero(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"), provider={"models": ("llama-of-ours",)})
    await s.call(stream=True, model="llama-of-ours")
    assert (s.request.cost_nanos, s.request.cost_state) == (None, "unknown_price")
    assert s.request.model_asked == "llama-of-ours"


async def test_a_strangers_tier_is_not_kept(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    s.provider._scripts = {"a secret": [refuses(0.0, 400, "invalid_value")]}
    await s.call(service_tier="a secret")
    assert "a secret" not in repr(s.settled) + repr(s.ledger.begun)
    assert (s.request.tier_asked, s.attempts[0].tier_sent) == ("(other)", "(other)")


async def test_content_is_in_no_record(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", ends_s=5.0, words=("canary-answer", "canary-more")))
    await s.race(leaves(2.0), messages=[{"role": "user", "content": "canary-prompt"}], user="canary-user")
    assert "canary" not in repr(s.settled) + repr(s.ledger.begun)


async def test_times_are_since_the_request_came(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", ends_s=5.0))
    client = await s.race()
    request, (attempt,) = s.request, s.attempts
    assert (request.to_start_s, request.to_content_s, request.total_s, request.overhead_s) == (1.0, 1.0, 5.0, 0.0)
    assert (attempt.start_s, attempt.to_start_s, attempt.end_s, attempt.events) == (0.0, 1.0, 5.0, 2)
    assert (request.sent_bytes, request.provider_response_id) == (len(client.body), "chatcmpl-flex")
    assert attempt.received_bytes > request.sent_bytes


async def test_opening_a_connection_is_not_our_time(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    s.provider.dials = [2.0]
    client = await s.race()
    assert (client.began_s, s.request.overhead_s, client.headers["x-startline-overhead-ms"]) == (3.0, 0.0, "0.000")
