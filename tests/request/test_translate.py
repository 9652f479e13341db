"""A caller of one dialect before a provider of another: what is sent, what comes back, and what is refused at once."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from appliance.domain.chat import Seal
from appliance.domain.tokens import Tokens
from appliance.request.endpoint import COUNT_TOKENS, GENERATE, MESSAGES, RESPONSES
from appliance.wire.translation.seals import stamp
from tests.request.stage import (
    END,
    SECRET,
    Client,
    Stage,
    chat_event,
    chunk,
    delta,
    head,
    leaves,
    refuses,
    role,
    starts,
    whole,
)
from tests.request.test_answer_anthropic import CLAUDE, MESSAGE, PROVIDER, streamed

Make = Callable[..., Stage]
GPT = "gpt-5.4"
COMPLETION = {
    "id": "chatcmpl-whole",
    "object": "chat.completion",
    "created": 1,
    "model": GPT,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    "service_tier": "default",
}
COMPATIBLE: dict[str, Any] = {"kind": "openai_compatible", "tiers": ("flex", "default", "priority")}


async def ask_messages(s: Stage, meanwhile: Any = None, **fields: Any) -> Client:
    call, client = s.prepare({"model": GPT, "max_tokens": 100} | fields, endpoint=MESSAGES, query=b"beta=true")
    if meanwhile is not None:
        s.nursery.start_soon(meanwhile, call, client)
    await s.run(call)
    s.check()
    return client


def events(client: Client) -> list[Any]:
    return [msgspec.json.decode(line[6:]) for line in client.body.split(b"\n") if line.startswith(b"data: {")]


async def test_chat_before_anthropic_whole(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": whole(1.0, MESSAGE)}, provider=PROVIDER)
    client = await s.call(model=CLAUDE, metadata={"a": "b"}, max_completion_tokens=50, prompt_cache_key="k")
    told = client.json()
    assert told["object"] == "chat.completion"
    assert told["choices"][0]["message"]["content"] == "Hello"
    assert told["usage"]["prompt_tokens"] == 100
    assert client.headers["x-startline-translated"] == "anthropic_messages"
    assert client.headers["x-startline-dropped"] == "metadata, cache_key"
    (asked,) = s.provider.asked
    lines = asked.head.split(b"\r\n")
    assert lines[0] == b"POST /v1/messages HTTP/1.1"
    assert b"x-api-key: " + SECRET.encode() in lines and b"anthropic-version: 2023-06-01" in lines
    assert asked.body["max_tokens"] == 50 and "metadata" not in asked.body
    request = s.request
    assert (request.dialect, request.tier_served, request.cost_state) == ("openai_chat", "default", "known")
    assert request.tokens == Tokens(100, 10, certainty="known")
    assert request.provider_response_id == "msg_whole"


async def test_chat_before_anthropic_streamed(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": streamed()}, provider=PROVIDER)
    client = await s.call(model=CLAUDE, stream=True)
    assert client.text and client.body.endswith(b"data: [DONE]\n\n")
    assert all(not event.get("usage") for event in events(client)), "usage was not asked for"
    assert s.request.tokens == Tokens(100, 15, 65, 10, None, "known")


async def test_usage_is_told_in_a_chat_stream_only_where_it_was_asked_for(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": streamed()}, provider=PROVIDER)
    client = await s.call(model=CLAUDE, stream=True, stream_options={"include_usage": True})
    assert events(client)[-1]["usage"]["completion_tokens"] == 15


async def test_half_a_character_in_a_whole_answer_reads_as_a_mark(clock: MockClock, stage: Make) -> None:
    ((at_s, data),) = whole(1.0, MESSAGE)
    assert isinstance(data, bytes)
    cut = [(at_s, data.replace(b"Hello", b"Hell\xc3"))]
    s = stage(scripts={"standard_only": cut}, provider=PROVIDER)
    client = await s.call(model=CLAUDE)
    assert client.json()["choices"][0]["message"]["content"] == "Hell\ufffd"


async def test_anthropic_before_chat_whole_and_streamed(clock: MockClock, stage: Make) -> None:
    s = stage(default=[whole(0.0, COMPLETION), starts(1.0, "default")], provider=COMPATIBLE)
    told = (await ask_messages(s)).json()
    assert (told["type"], told["content"][0]["text"], told["usage"]["input_tokens"]) == ("message", "Hello", 100)
    assert s.provider.asked[0].head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    client = await ask_messages(s, stream=True)
    names = [event["type"] for event in events(client)]
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    assert s.provider.asked[1].body["stream_options"] == {"include_usage": True}
    assert events(client)[-2]["usage"]["output_tokens"] == 10


async def test_a_race_across_dialects_is_assembled_for_a_client_that_wants_no_stream(
    clock: MockClock, stage: Make
) -> None:
    s = stage(flex=[(0.0, head() + chunk(role("flex")))], default=starts(1.0, "default"), provider=COMPATIBLE)
    client = await ask_messages(s, start_within="10s")
    told = client.json()
    assert (told["type"], told["content"][0]["text"], told["stop_reason"]) == ("message", "Hello", "end_turn")
    assert (s.request.reason, s.request.tier_sent, client.began_s) == ("flex_deadline", "default", 6.0)
    assert [attempt.outcome for attempt in s.attempts] == ["lost", "won"]
    assert all("start_within" not in asked.body and asked.body["stream"] for asked in s.provider.asked)


async def test_a_silent_provider_and_keep_alives_in_the_callers_form(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(45.0, "default"), provider=COMPATIBLE)
    client = await ask_messages(s, stream=True)
    assert client.body.startswith(b'event: ping\ndata: {"type":"ping"}\n\n' * 2 + b": startline ")
    assert b"message_stop" in client.body


async def test_the_terminal_event_waits_for_the_record(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"), provider=COMPATIBLE, settings={"durability": "strict"})
    client = await ask_messages(s, stream=True)
    assert client.pieces[-1][1].startswith(b"event: message_delta")
    assert b"message_stop" in client.pieces[-1][1]
    assert not any(b"message_stop" in piece for _, piece in client.pieces[:-1])


async def test_a_field_that_cannot_be_said_is_refused_before_any_call(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={}, provider=PROVIDER)
    client = await s.call(model=CLAUDE, logit_bias={"50256": -100})
    assert (client.status, client.error["code"], client.error["param"]) == (400, "inexpressible", "logit_bias")
    assert s.provider.asked == [] and s.request.cost_nanos == 0
    s = stage(scripts={}, provider=COMPATIBLE)
    client = await ask_messages(s, top_k=5)
    told = client.json()
    assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
    assert told["error"]["startline"]["code"] == "inexpressible" and "top_k" in told["error"]["message"]


async def test_what_cannot_be_said_costs_no_look(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={}, provider=COMPATIBLE | {"abort_billing": "partial"}, explore=True)
    client = await ask_messages(s, top_k=5, start_within="10s")
    assert client.status == 400 and s.request.forecast is not None
    assert s.gateway.engine.purses.spent_nanos()["org_test"] == (0.0, 0.0)


async def test_a_fallback_that_cannot_be_asked_is_skipped_and_says_so(clock: MockClock, stage: Make) -> None:
    s = stage(default=refuses(0.0, 500, "server_error"), provider=COMPATIBLE | {"models": None})
    s.directory.with_provider("claude", SECRET, base_url="http://claude.test/v1", **(PROVIDER | {"models": None}))
    client = await s.call(model="m", provider=["sim", "claude"], logit_bias={"1": 1})
    assert client.status == 500
    assert [attempt.provider for attempt in s.attempts] == ["sim"]
    assert "claude inexpressible" in client.headers["x-startline-race"]


async def test_a_chain_leads_into_another_dialect(clock: MockClock, stage: Make) -> None:
    scripts = {"standard_only": whole(1.0, MESSAGE), "default": refuses(0.0, 500, "server_error")}
    s = stage(scripts=scripts, provider=COMPATIBLE | {"models": None})
    s.directory.with_provider("claude", SECRET, base_url="http://claude.test/v1", **(PROVIDER | {"models": None}))
    client = await s.call(model=CLAUDE, provider=["sim", "claude"], metadata={"a": "b"})
    assert client.json()["choices"][0]["message"]["content"] == "Hello"
    assert client.headers["x-startline-dropped"] == "metadata"
    first, second = s.provider.asked
    assert first.body["metadata"] == {"a": "b"} and "metadata" not in second.body
    assert s.request.reason == "chain_advanced"


async def test_an_error_keeps_its_status_and_message_and_gets_the_callers_envelope(
    clock: MockClock, stage: Make
) -> None:
    s = stage(default=refuses(0.0, 429, "rate_limit_exceeded", "retry-after: 7"), provider=COMPATIBLE)
    client = await ask_messages(s, stream=True)
    told = client.json()
    assert (client.status, told["type"], told["error"]["type"]) == (429, "error", "rate_limit_error")
    assert told["error"]["message"] == "words of the provider"
    assert told["error"]["startline"]["provider_code"] == "rate_limit_exceeded"
    assert client.headers["retry-after"] == "7"


async def test_an_error_in_mid_stream_is_an_error_event_of_the_callers(clock: MockClock, stage: Make) -> None:
    broken = chat_event("default", error={"message": "it broke", "code": "server_error"})
    steps = [(0.0, head() + chunk(delta("default", {"content": "a"}))), (1.0, chunk(broken) + END)]
    s = stage(default=steps, provider=COMPATIBLE)
    client = await ask_messages(s, stream=True)
    last = events(client)[-1]
    assert (last["type"], last["error"]["message"]) == ("error", "it broke")
    assert last["error"]["startline"]["code"] == "provider_error"
    assert b"message_stop" not in client.body
    assert s.request.error_code == "provider_error"


async def test_a_client_that_leaves_ends_the_call(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default", ends_s=60.0, words=("Hello", "there")), provider=COMPATIBLE)
    await ask_messages(s, leaves(3.0), stream=True)
    assert s.request.client_gone and s.provider.asked[0].gone_s == 3.0


@pytest.mark.parametrize(("word", "sent"), [("standard_only", "default"), ("auto", None), ("priority", "priority")])
async def test_a_tier_in_the_callers_words_is_asked_for_in_the_providers(
    clock: MockClock, stage: Make, word: str, sent: str | None
) -> None:
    s = stage(scripts={sent: whole(0.0, COMPLETION)}, provider=COMPATIBLE)
    client = await ask_messages(s, service_tier=word)
    assert (client.status, s.provider.asked[0].tier) == (200, sent)


async def test_a_tier_that_nobody_knows_is_refused(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={}, provider=COMPATIBLE)
    client = await ask_messages(s, service_tier="platinum")
    assert client.json()["error"]["startline"]["code"] == "inexpressible"


async def test_gemini_before_chat_as_array_and_as_events(clock: MockClock, stage: Make) -> None:
    s = stage(default=starts(1.0, "default"), provider=COMPATIBLE)
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    for query in (b"", b"alt=sse&key=x"):
        call, client = s.prepare({}, endpoint=GENERATE, argument=f"{GPT}:streamGenerateContent", query=query)
        call.body = msgspec.json.encode(body)
        await s.run(call)
        told = events(client) if query else client.json()
        said = [part["text"] for one in told for part in one["candidates"][0]["content"].get("parts", ())]
        assert "".join(said) == "Hello"
        assert told[-1]["candidates"][0]["finishReason"] == "STOP"
        assert s.provider.asked[-1].head.startswith(b"POST /v1/chat/completions HTTP/1.1")


async def test_tokens_are_counted_only_where_the_dialect_is_spoken(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={}, provider=COMPATIBLE)
    call, client = s.prepare({"model": GPT}, endpoint=COUNT_TOKENS)
    await s.run(call)
    assert (client.status, client.json()["error"]["startline"]["code"]) == (400, "dialect_unsupported")


async def test_a_long_prompt_is_translated_beside_the_others(clock: MockClock, stage: Make) -> None:
    clock.autojump_threshold = 1.0  # a thread works in real time, and virtual time is not to run away from it
    s = stage(scripts={"standard_only": whole(0.0, MESSAGE)}, provider=PROVIDER)
    text = "word " * 80_000
    client = await s.call(model=CLAUDE, messages=[{"role": "user", "content": text}])
    assert client.status == 200
    assert s.provider.asked[0].body["messages"][0]["content"] in (text, [{"type": "text", "text": text}])


async def test_openai_itself_is_asked_by_responses_or_where_that_cannot_say_it_by_chat(
    clock: MockClock, stage: Make
) -> None:
    s = stage(default=whole(0.0, COMPLETION), provider=COMPATIBLE | {"kind": "openai"})
    client = await ask_messages(s, stop_sequences=["END"])
    assert client.headers["x-startline-translated"] == "openai_chat"
    assert client.json()["content"][0]["text"] == "Hello"
    answer = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": GPT,
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
    }
    s = stage(default=whole(0.0, answer), provider=COMPATIBLE | {"kind": "openai"})
    client = await ask_messages(s)
    assert client.headers["x-startline-translated"] == "openai_responses"
    assert client.json()["content"][0]["text"] == "Hello"
    assert s.provider.asked[0].head.startswith(b"POST /v1/responses HTTP/1.1")
    assert s.provider.asked[0].body["store"] is False


@pytest.mark.parametrize(
    ("field", "value"),
    [("previous_response_id", "resp_1"), ("conversation", "conv_1"), ("background", True), ("store", True)],
)
async def test_what_needs_the_providers_memory_is_refused_where_there_is_none(
    clock: MockClock, stage: Make, field: str, value: object
) -> None:
    s = stage(scripts={}, provider=PROVIDER)
    call, client = s.prepare({"model": CLAUDE, "input": "hi", field: value}, endpoint=RESPONSES)
    call.body = msgspec.json.encode({"model": CLAUDE, "input": "hi", field: value})
    await s.run(call)
    assert (client.status, client.error["code"], client.error["param"]) == (400, "inexpressible", field)
    assert s.provider.asked == []


async def test_a_stamped_seal_is_taken_out_of_what_passes_untranslated(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": whole(0.0, MESSAGE)}, provider=PROVIDER)
    thought = {"type": "thinking", "thinking": "", "signature": stamp(Seal("xai", "x", "encrypted"), "anthropic", ())}
    turns = [
        {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]},
        {"role": "user", "content": "b"},
    ]
    client = await ask_messages(s, model=CLAUDE, messages=turns)
    assert s.provider.asked[0].body["messages"] == turns, "where nothing is ever translated nobody looks"
    assert "x-startline-dropped" not in client.headers
    s.directory.with_provider("other", "sk-other", base_url="http://other.test/v1", models=(GPT,))
    client = await ask_messages(s, model=CLAUDE, messages=turns)
    assert s.provider.asked[1].body["messages"] == [
        {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
        turns[1],
    ]
    assert client.headers["x-startline-dropped"] == "reasoning.seal"
    client = await ask_messages(s, model=CLAUDE, messages=turns[1:])
    assert "x-startline-dropped" not in client.headers
