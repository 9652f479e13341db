"""The whole of a request: whatever ends it, it is answered if anyone is left, settled once, and leaves nothing open."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.domain.errors import CallerFault
from appliance.request.answer import REFUSE_S
from appliance.request.call import Call
from appliance.request.endpoint import EMBEDDINGS, MODEL, MODELS
from appliance.request.work import Work
from appliance.upstream.attempt import Attempt
from tests.request.stage import (
    DONE,
    END,
    SECRET,
    SILENCE,
    Client,
    Meanwhile,
    Stage,
    at,
    chunk,
    delta,
    head,
    leaves,
    refuses,
    starts,
    whole,
)
from tests.request.stage import (
    MODEL as NAME,
)

Make = Callable[..., Stage]
COMPLETION = {
    "id": "chatcmpl-whole",
    "object": "chat.completion",
    "model": NAME,
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
}


def goes(_: Call, client: Client) -> None:
    """The client leaves, and nobody hears of it before the next bytes for it."""
    client.gone = True


# -- the client leaves -------------------------------------------------------------------------------------------------


async def test_the_client_leaves_before_dispatch(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    call, client = s.prepare({"stream": True})
    call.leave("client_gone")
    await s.run(call)
    s.check()
    assert not client.started and s.provider.asked == [] and s.provider.dialled == []
    assert (s.request.status, s.request.client_gone, s.attempts[0].cost_state) == (499, True, "not_charged")


async def test_a_pooled_connection_carries_no_request_of_a_client_that_left(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"))
    await s.call(stream=True)
    s.settled.clear()
    s.ledger.settled.clear()
    s.ledger.begun.clear()
    for fields in ({"stream": True}, {"stream": True, "start_within": "10s"}):
        call, _ = s.prepare(fields)
        call.leave("client_gone")
        await s.run(call)
    assert len(s.provider.asked) == 1 and s.pool.idle_count() == 1


async def test_the_client_leaves_while_we_connect(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    s.provider.dials = [5.0]
    client = await s.call(leaves(2.0), stream=True)
    assert not client.started and s.provider.dialled == []
    assert s.story() == [("default", 0.0, "client_gone", 2.0)]
    assert (s.attempts[0].cost_nanos, s.attempts[0].cost_state) == (0, "not_charged")


async def test_the_client_leaves_while_we_send(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    s.provider.deaf = True
    await s.call(leaves(2.0), stream=True, messages=[{"role": "user", "content": "x" * 4_000_000}])
    assert s.story() == [("default", 0.0, "client_gone", 2.0)]
    assert s.attempts[0].cost_state == "not_charged", "the provider never had the whole request"
    assert [stream.closed for stream in s.provider.dialled] == [True]


@pytest.mark.parametrize("fields", [{"stream": True}, {}], ids=["streamed", "whole"])
async def test_the_client_leaves_while_we_wait(clock: MockClock, stage: Make, fields: dict[str, Any]) -> None:
    s = stage(default=SILENCE)
    client = await s.call(leaves(2.0), **fields)
    assert not client.started
    assert s.story() == [("default", 0.0, "client_gone", 2.0)]
    assert s.provider.asked[0].gone_s == 2.0
    assert (s.request.status, s.request.client_gone, s.request.error_code) == (499, True, "client_gone")
    assert s.attempts[0].cost_state == "estimated"


async def test_the_client_leaves_between_the_start_and_its_first_byte(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=9.0))
    call, client = s.prepare({"stream": True})
    client.slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leaves(2.0), call, client)
        await s.run(call)
    s.check()
    assert client.body == b""
    assert s.story() == [("default", 0.0, "client_gone", 2.0)]
    assert s.provider.asked[0].gone_s == 2.0
    assert (s.request.to_start_s, s.request.client_gone) == (1.0, True)
    assert (s.request.status, client.status) == (200, 200), "what was handed over, though nobody has taken it"


async def test_the_client_leaves_in_mid_stream(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", ends_s=9.0))
    client = await s.race(leaves(2.0))
    assert client.text == "Hello" and not client.ended
    assert s.story() == [("flex", 0.0, "client_gone", 2.0)]
    assert s.provider.asked[0].gone_s == 2.0
    assert (s.request.status, s.request.client_gone, s.request.cost_state) == (200, True, "estimated")


async def test_a_client_that_is_found_gone_by_writing_ends_the_same(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=9.0))
    await s.call(at(2.0, goes), stream=True)
    assert s.story() == [("default", 0.0, "client_gone", 9.0)], "found when there was something to write"
    assert (s.request.client_gone, s.request.error_code) == (True, "client_gone")


async def test_the_client_leaves_after_the_terminal_event(clock: MockClock, stage: Make) -> None:
    script = starts(1.0, "default")
    last = script.pop()[1]
    assert isinstance(last, bytes)
    s = stage(default=[*script, (1.0, last.removesuffix(END)), (1.5, END)])
    client = await s.call(leaves(1.03125), stream=True)
    assert client.ended and client.body.endswith(DONE)
    assert (s.request.client_gone, s.request.error_code, s.attempts[0].outcome) == (False, None, "won")


async def test_the_client_leaves_while_the_terminal_event_is_on_its_way(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=2.0))

    def slow(_: Call, client: Client) -> None:
        client.slow()

    call, client = s.prepare({"stream": True})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(at(1.5, slow), call, client)
        nursery.start_soon(leaves(3.0), call, client)
        await s.run(call)
    s.check()
    assert not client.ended
    assert (s.request.client_gone, s.request.status) == (True, 200)


@pytest.mark.parametrize("fields", [{"stream": True}, {}], ids=["streamed", "whole"])
async def test_a_client_that_left_before_the_last_bytes_has_left_though_the_socket_took_them(
    clock: MockClock, stage: Make, fields: dict[str, Any]
) -> None:
    s = stage(default=starts(1.0, "default") if fields else whole(1.0, COMPLETION))
    call, client = s.prepare(fields)
    end = client._end

    def leave_and_end() -> None:  # both in one pass of the event loop: nothing is cancelled any more
        call.leave("client_gone")
        end()

    client._end = leave_and_end  # type: ignore[method-assign]
    await s.run(call)
    s.check()
    assert (s.request.client_gone, s.request.error_code, s.request.status) == (True, "client_gone", 200)
    assert (s.attempts[0].outcome, s.attempts[0].cost_state) == ("won", "known")


async def test_a_client_that_leaves_while_it_is_slow_to_take_a_whole_answer_was_sent_that(
    clock: MockClock, stage: Make
) -> None:
    s = stage(default=whole(1.0, COMPLETION))
    call, client = s.prepare({})
    client.slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leaves(2.0), call, client)
        await s.run(call)
    s.check()
    assert client.body == b""
    assert (s.request.client_gone, s.request.status, client.status) == (True, 200, 200)
    assert s.request.sent_bytes == client.sent_bytes > 0


async def test_a_client_that_left_is_told_of_no_fault_and_the_row_says_that_it_left(
    clock: MockClock, stage: Make
) -> None:
    s = stage(default=refuses(1.0, 503, "overloaded"))
    await s.call(at(0.5, goes))
    assert (s.request.client_gone, s.request.error_code, s.request.status) == (True, "client_gone", 499)
    assert (s.attempts[0].outcome, s.attempts[0].status) == ("refused", 503)


# -- keys, stops, limits -----------------------------------------------------------------------------------------------


async def test_a_key_revoked_before_the_start_gets_its_401(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=SILENCE)
    s.directory.on_change(s.gateway.revoked)
    client = await s.race(at(7.0, lambda *_: s.directory.revoke("key")))
    assert (client.status, client.began_s, client.error["code"]) == (401, 7.0, "revoked_api_key")
    assert [asked.gone_s for asked in s.provider.asked] == [7.0, 7.0]
    assert [one.cancel_cause for one in s.attempts] == ["revoked", "revoked"]
    assert s.request.status == 401


async def test_a_key_revoked_in_mid_stream_ends_it_in_an_error_event(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", ends_s=9.0))
    s.directory.on_change(s.gateway.revoked)
    client = await s.race(at(2.0, lambda *_: s.directory.revoke("key")))
    assert (client.status, client.ended_s, client.error["code"]) == (200, 2.0, "revoked_api_key")
    assert DONE not in client.body and client.text == "Hello"
    assert s.provider.asked[0].gone_s == 2.0
    assert s.story() == [("flex", 0.0, "cancelled", 2.0)]


async def test_a_key_that_got_an_end_in_the_future_goes_on(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", ends_s=9.0))
    s.directory.on_change(s.gateway.revoked)

    def rotate(*_: object) -> None:
        fields = {name: getattr(s.key, name) for name in s.key.__struct_fields__}
        s.directory.put_key(type(s.key)(**fields | {"expires_unix_s": 1_790_003_600}))

    client = await s.race(at(2.0, rotate))
    assert client.body.endswith(DONE)


async def test_a_key_revoked_while_the_body_came_is_refused(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    call, client = s.prepare({})
    s.directory.revoke("key")
    await s.run(call)
    assert (client.status, client.error["code"]) == (401, "revoked_api_key")
    assert s.provider.dialled == [] and s.ledger.begun == []


async def test_a_stop_in_mid_stream_ends_it_in_an_error_event(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", ends_s=9.0))
    call, client = s.prepare({"stream": True, "start_within": "10s"})
    with trio.move_on_after(2.0) as scope:
        await s.run(call)
    assert scope.cancelled_caught, "the cancellation goes on"
    s.check()
    assert (client.ended_s, client.error["code"]) == (2.0, "shutting_down")
    assert (s.request.status, s.request.error_code, s.attempts[0].cancel_cause) == (200, "shutting_down", "shutdown")


async def test_a_stop_does_not_wait_for_a_client_that_takes_nothing(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=9.0))
    call, client = s.prepare({"stream": True})
    client.slow()
    with trio.move_on_after(2.0):
        await s.run(call)
    assert trio.current_time() == 2.0 + REFUSE_S
    s.check()


async def test_a_slow_client_gets_its_refusal_in_its_own_time(clock: MockClock, stage: Make) -> None:
    s = stage(default=refuses(1.0, 500, "server_error"))
    call, client = s.prepare({"stream": True})
    client.slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(at(50.0, lambda _, client: client.quick()), call, client)
        await s.run(call)
    s.check()
    assert (client.ended_s, client.status, client.error["code"]) == (50.0, 500, "server_error")


async def test_a_refusal_cut_short_is_followed_by_nothing(clock: MockClock, stage: Make) -> None:
    s = stage(default=refuses(1.0, 500, "server_error"))
    s.directory.on_change(s.gateway.revoked)
    call, client = s.prepare({"stream": True})
    client.slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(at(2.0, lambda *_: s.directory.revoke("key")), call, client)
        await s.run(call)
    s.check()
    assert not client.ended and client.body == b""
    assert (s.request.status, s.request.error_code) == (500, "provider_error")


async def test_a_whole_answer_cut_short_is_followed_by_nothing(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(1.0, COMPLETION))
    s.directory.on_change(s.gateway.revoked)
    call, client = s.prepare({})
    client.slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(at(2.0, lambda *_: s.directory.revoke("key")), call, client)
        nursery.start_soon(at(3.0, lambda _, client: client.quick()), call, client)
        await s.run(call)
    s.check()
    assert client.started and not client.ended and client.body == b""


async def test_full_slots_serve_default_at_once(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(1.0, "default"), race_slots=1)
    call, _ = s.prepare({"stream": True, "start_within": "10s"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(s.run, call)
        await trio.sleep(1.0)
        assert s.gateway.slots.taken("org_test") == 1
        other, client = s.prepare({"stream": True, "start_within": "10s"})
        other.request_id = "req_other"
        await s.run(other)
        assert (client.began_s, client.headers["x-startline-reason"]) == (2.0, "flex_slots_full")
    s.check()
    assert [one.request.reason for one in s.settled] == ["flex_slots_full", "flex_deadline"]


@pytest.mark.parametrize("fields", [{"audio": {"voice": "x", "format": "wav"}}, {"store": True}])
async def test_what_cannot_be_raced_is_not(clock: MockClock, stage: Make, fields: dict[str, Any]) -> None:
    s = stage(default=whole(1.0, COMPLETION))
    client = await s.call(start_within="10s", **fields)
    assert (client.status, client.headers["x-startline-reason"]) == (200, "not_raced")
    assert (s.request.window_s, s.request.deadline_met) == (10.0, True)


async def test_a_provider_without_tiers_cannot_be_raced(clock: MockClock, stage: Make) -> None:
    s = stage(untiered=SILENCE, provider={"tiers": ()})
    client = await s.race()
    assert (client.status, client.error["code"]) == (400, "flex_unsupported_for_sim")
    assert s.provider.dialled == [] and s.ledger.begun == []


async def test_a_model_that_nobody_has_is_refused_and_not_recorded(clock: MockClock, stage: Make) -> None:
    s = stage()
    client = await s.call(model="a-secret-told-as-model")
    assert (client.status, client.error["code"]) == (404, "model_not_found")
    assert s.request.model_asked == "(unlisted)"


async def test_a_model_that_only_the_caller_named_is_not_kept(clock: MockClock, stage: Make) -> None:
    s = stage(default=refuses(0.5, 404, "model_not_found"), provider={"models": None})
    await s.call(model="a-secret-told-as-model")
    assert s.provider.asked[0].body["model"] == "a-secret-told-as-model"
    assert "secret" not in repr(s.settled) and "secret" not in repr(s.ledger.begun)
    assert (s.request.model_asked, s.attempts[0].model) == ("(unlisted)", "(unlisted)")


async def test_a_failing_store_refuses_before_any_provider_is_called(clock: MockClock, stage: Make) -> None:
    s = stage(default=SILENCE)
    s.ledger.failing = True
    client = await s.call()
    assert (client.status, client.error["code"]) == (503, "store_unavailable")
    assert s.provider.dialled == []


# -- the forms of an answer --------------------------------------------------------------------------------------------


async def test_a_whole_answer_passes_byte_for_byte(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(1.0, COMPLETION))
    client = await s.call()
    assert client.json() == COMPLETION
    assert (client.headers["content-type"], client.headers["x-startline-cost-usd"]) == ("application/json", "0.0004")
    assert (s.request.tokens.input, s.request.tokens.output, s.request.cost_nanos) == (100, 10, 400_000)
    assert s.pool.idle_count() == 1


async def test_an_error_in_a_whole_200_is_an_error(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(1.0, {"error": {"message": "m", "type": "server_error", "code": "x"}}))
    client = await s.call()
    assert client.status == 502
    assert (s.request.error_code, s.attempts[0].outcome) == ("provider_error", "failed")


async def test_an_answer_larger_than_its_bound_is_refused(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(1.0, COMPLETION | {"system_fingerprint": "x" * 5000}), settings={"max_answer_bytes": 4096})
    client = await s.call()
    assert (client.status, client.error["code"]) == (502, "provider_garbled")


async def test_embeddings_go_untiered(clock: MockClock, stage: Make) -> None:
    listed = {"object": "list", "data": [], "model": NAME, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    s = stage(untiered=whole(0.5, listed))
    call, client = s.prepare({"input": "hi"}, endpoint=EMBEDDINGS)
    await s.run(call)
    s.check()
    assert client.json() == listed
    assert (s.request.reason, s.request.tokens.input, s.request.tokens.output) == ("tier_direct", 3, 0)


async def test_models_are_listed_without_a_record(clock: MockClock, stage: Make) -> None:
    s = stage()
    call, client = s.prepare({}, endpoint=MODELS)
    await s.run(call)
    assert [row["id"] for row in client.json()["data"]] == [NAME]
    call, client = s.prepare({}, endpoint=MODEL)
    call.argument = "nobody"
    await s.run(call)
    assert (client.status, s.settled) == (404, [])


async def test_a_stream_broken_in_the_middle_ends_in_an_error_event(clock: MockClock, stage: Make) -> None:
    script = [*starts(1.0, "flex", ends_s=9.0)[:2], (3.0, "close")]
    s = stage(flex=script)
    client = await s.race()
    assert (client.status, client.ended_s, client.error["code"]) == (200, 3.0, "provider_cut_off")
    assert DONE not in client.body
    assert s.story() == [("flex", 0.0, "failed", 3.0)]
    assert (s.request.status, s.request.error_code) == (200, "provider_cut_off")


async def test_the_usage_chunk_that_we_asked_for_is_not_shown(clock: MockClock, stage: Make) -> None:
    cases: list[tuple[dict[str, Any], bool]] = [({}, False), ({"stream_options": {"include_usage": True}}, True)]
    for asked, shown in cases:
        s = stage(default=starts(1.0, "default"))
        client = await s.call(stream=True, **asked)
        assert (b'"choices":[]' in client.body) is shown
        assert s.provider.asked[0].body["stream_options"] == {"include_usage": True}
        assert s.request.tokens.output == 10


async def test_a_provider_that_knows_no_stream_options_is_sent_none(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"), provider={"stream_options": False})
    client = await s.call(stream=True)
    assert "stream_options" not in s.provider.asked[0].body
    assert client.body.endswith(DONE)


async def test_our_own_fields_do_not_reach_the_provider(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    await s.race()
    assert "start_within" not in s.provider.asked[0].body
    assert b"authorization: Bearer " + SECRET.encode() in s.provider.asked[0].head


# -- silence -----------------------------------------------------------------------------------------------------------


async def test_a_silent_stream_gets_comments_and_then_the_facts_as_one(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(50.0, "default"))
    client = await s.call(stream=True)
    assert (client.status, client.began_s, client.comments_s) == (200, 20.0, [20.0, 40.0])
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.body.startswith(b": keep-alive\n\n: keep-alive\n\n: startline request-id=req_0; ")
    assert b"; reason=tier_direct; started-ms=50000" in client.body and client.body.endswith(DONE)


async def test_a_refusal_after_a_comment_is_an_error_event(clock: MockClock, stage: Make) -> None:
    s = stage(default=refuses(30.0, 503, "overloaded"))
    client = await s.call(stream=True)
    assert (client.status, client.ended_s, client.error["code"]) == (200, 30.0, "overloaded")
    assert (s.request.status, s.request.error_code) == (200, "provider_refused")


async def test_an_unstreamed_answer_gets_no_comments(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(50.0, COMPLETION))
    client = await s.call()
    assert client.comments_s == [] and client.json() == COMPLETION


async def test_a_provider_that_falls_silent_is_ended(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=900.0))
    client = await s.call(stream=True)
    assert (client.ended_s, client.error["code"]) == (121.0, "provider_too_slow")
    assert s.story() == [("default", 0.0, "cancelled", 121.0)]
    assert (s.attempts[0].cancel_cause, s.provider.asked[0].gone_s) == ("idle", 121.0)


async def test_a_slow_client_is_not_a_silent_provider(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=230.0))
    call, client = s.prepare({"stream": True})
    client.slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(at(200.0, lambda _, client: client.quick()), call, client)
        await s.run(call)
    s.check()
    assert client.ended_s == 230.0 and client.body.endswith(DONE)


# -- durability --------------------------------------------------------------------------------------------------------


async def test_strict_holds_the_terminal_event_until_the_record_is_safe(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"), settings={"durability": "strict"})
    s.ledger.hold_barriers()

    def look(_: Call, client: Client) -> None:
        assert client.text == "Hello" and DONE not in client.body
        assert len(s.ledger.settled) == 1, "the record goes first"
        s.ledger.let_barriers_go()

    client = await s.call(at(2.5, look), stream=True)
    assert client.pieces[-1] == (2.5, DONE)
    assert s.pool.idle_count() == 1


async def test_strict_holds_the_whole_body(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(1.0, COMPLETION), settings={"durability": "strict"})
    s.ledger.hold_barriers()

    def look(_: Call, client: Client) -> None:
        assert not client.started
        s.ledger.let_barriers_go()

    client = await s.call(at(2.5, look))
    assert client.began_s == 2.5


async def test_strict_ends_in_an_error_event_if_the_record_is_not_safe_in_time(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"), settings={"durability": "strict"})
    s.ledger.hold_barriers()
    client = await s.call(stream=True)
    assert (client.ended_s, client.error["code"]) == (3.0, "store_unavailable")
    assert DONE not in client.body and len(s.settled) == 1


async def test_strict_ends_in_an_error_event_if_the_disk_fails(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=2.0), settings={"durability": "strict"})

    def fail(*_: object) -> None:
        s.ledger.failing = True

    client = await s.call(at(1.5, fail), stream=True)
    assert (client.ended_s, client.error["code"]) == (2.0, "store_unavailable")
    assert DONE not in client.body


# -- and the rest ------------------------------------------------------------------------------------------------------


async def test_a_bug_is_logged_without_content_and_answered(
    clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    s = stage(default=SILENCE)

    def broken(_: object) -> None:
        raise RuntimeError("the prompt, quoted")

    monkeypatch.setattr(s.gateway.planner, "plan", broken)
    client = await s.call()
    assert (client.status, client.error["code"]) == (500, "internal_error")
    assert "the prompt" not in client.body.decode() + capsys.readouterr().out


async def test_who_asks_is_found_by_the_key(clock: MockClock, stage: Make) -> None:
    s = stage()
    token = s.directory.tokens["key"]
    assert s.gateway.identify({b"authorization": b"Bearer " + token.encode()}.get, b"", None) is s.key
    with pytest.raises(CallerFault, match="missing_api_key"):
        s.gateway.identify(lambda _: None, b"", None)


async def test_a_slot_is_given_back_when_the_plan_cannot_be_made(
    clock: MockClock, stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage()

    def broken(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("appliance.request.engine.plan_reserve", broken)
    client = await s.race()
    assert client.status == 500


ENDS: dict[str, tuple[dict[str, Any], dict[str, Any], Meanwhile | None]] = {
    "streamed": ({"default": starts(1.0, "default")}, {"stream": True}, None),
    "whole": ({"default": whole(1.0, COMPLETION)}, {}, None),
    "raced": ({"flex": SILENCE, "default": starts(1.0, "default")}, {"start_within": "10s"}, None),
    "caller's fault": ({}, {"start_within": "0.1s"}, None),
    "refused": ({"default": refuses(1.0, 500, "server_error")}, {}, None),
    "cut": ({"default": [(0.0, "close")]}, {}, None),
    "cut in mid-stream": ({"default": [*starts(1.0, "default")[:2], (2.0, "close")]}, {"stream": True}, None),
    "all rungs refused": (
        {"flex": refuses(1.0, 429, "x", "retry-after: 1"), "default": refuses(1.0, 503, "x", "retry-after: 9")},
        {"start_within": "10s"},
        None,
    ),
    "not assembled": (
        {"flex": [(0.0, head() + chunk(delta("flex", {"audio": {"id": "a"}})) + chunk(DONE) + END)]},
        {"start_within": "10s"},
        None,
    ),
    "client gone": ({"default": starts(1.0, "default", ends_s=9.0)}, {"stream": True}, leaves(2.0)),
    "client gone in a race": ({"flex": SILENCE, "default": SILENCE}, {"start_within": "10s"}, leaves(7.0)),
    "client gone unnoticed, refused": ({"default": refuses(1.0, 500, "server_error")}, {}, at(0.5, goes)),
    "client gone unnoticed, cut": (
        {"default": [*starts(1.0, "default")[:2], (2.0, "close")]},
        {"stream": True},
        at(1.5, goes),
    ),
    "retried": (
        {"default": [refuses(1.0, 503, "overloaded"), starts(1.0, "default")]},
        {"stream": True, "retry": {"count": 1}},
        None,
    ),
}


@pytest.mark.parametrize(("scripts", "fields", "meanwhile"), ENDS.values(), ids=ENDS)
async def test_nothing_of_a_request_waits_for_the_collector(
    clock: MockClock, stage: Make, scripts: dict[str, Any], fields: dict[str, Any], meanwhile: Meanwhile | None
) -> None:
    s = stage(**scripts)
    gc.collect()
    gc.disable()
    try:
        await s.call(meanwhile, **fields)
        left = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, Work | Attempt | Call)]
    finally:
        gc.enable()
    assert left == []
