"""Anthropic's dialect before a provider that speaks it: nothing is changed, either way, and the record is right."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from appliance.domain.tokens import Tokens
from appliance.request.endpoint import COUNT_TOKENS, EMBEDDINGS, MESSAGES, Endpoint
from tests.request.stage import END, SECRET, Client, Stage, Step, chunk, head, leaves, refuses, whole
from tests.wire.streams import golden

Make = Callable[..., Stage]
CLAUDE = "claude-sonnet-5"
PROVIDER: dict[str, Any] = {
    "kind": "anthropic",
    "models": (CLAUDE,),
    "tiers": ("standard_only", "auto"),
    "price_as": "anthropic",
}
HEADERS = {
    b"anthropic-version": b"2023-06-01",
    b"anthropic-beta": b"context-1m,fine-grained",
    b"x-claude-code-session-id": b"s1",
    b"openai-beta": b"not for them",
    b"cookie": b"a=b",
}
MESSAGE = {
    "id": "msg_whole",
    "type": "message",
    "role": "assistant",
    "model": CLAUDE,
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 100, "output_tokens": 10, "service_tier": "standard"},
}


def streamed(name: str = "messages_text", *, at_s: float = 1.0, events: int | None = None) -> list[Step]:
    data = golden(name, "anthropic")
    if events is not None:
        return [(at_s, head() + chunk(b"\n\n".join(data.split(b"\n\n")[:events]) + b"\n\n"))]
    return [(at_s, head() + chunk(data) + END)]


async def ask(
    s: Stage, meanwhile: Any = None, endpoint: Endpoint = MESSAGES, query: bytes = b"", **fields: Any
) -> Client:
    given = {"model": CLAUDE, "max_tokens": 100} | fields
    call, client = s.prepare(given, headers=HEADERS, endpoint=endpoint, query=query)
    if meanwhile is not None:
        s.nursery.start_soon(meanwhile, call, client)
    await s.run(call)
    s.check()
    return client


async def test_a_whole_answer_passes_byte_for_byte(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": whole(1.0, MESSAGE)}, provider=PROVIDER)
    client = await ask(s, query=b"beta=true&key=sk-sl-of-the-client", thinking={"type": "adaptive"})
    assert client.body == msgspec.json.encode(MESSAGE)
    (asked,) = s.provider.asked
    lines = asked.head.split(b"\r\n")
    assert lines[0] == b"POST /v1/messages?beta=true HTTP/1.1"
    assert b"x-api-key: " + SECRET.encode() in lines
    assert b"anthropic-version: 2023-06-01" in lines
    assert b"anthropic-beta: context-1m,fine-grained" in lines
    assert b"x-claude-code-session-id: s1" in lines
    assert not [line for line in lines if line.startswith((b"authorization", b"openai-beta", b"cookie"))]
    assert asked.body["thinking"] == {"type": "adaptive"}
    request = s.request
    assert (request.endpoint, request.dialect, request.status) == ("messages", "anthropic_messages", 200)
    assert (request.tier_sent, request.tier_served, request.cost_state) == ("standard_only", "default", "known")
    assert request.tokens == Tokens(100, 10, certainty="known")
    assert request.provider_response_id == "msg_whole"


async def test_a_stream_passes_byte_for_byte(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": streamed()}, provider=PROVIDER)
    client = await ask(s, stream=True)
    assert client.body == golden("messages_text", "anthropic")
    assert s.request.tokens == Tokens(100, 15, 65, 10, None, "known")
    assert client.headers["x-startline-tier"] == "default"


def cached_for_an_hour(events: int | None = None) -> list[Step]:
    """The stream of `messages_text`, all of whose writes into the cache are kept for an hour."""
    written = b'"cache_creation_input_tokens":10'
    data = golden("messages_text", "anthropic")
    assert data.count(written) == 1
    data = data.replace(written, written + b',"cache_creation":{"ephemeral_1h_input_tokens":10}')
    pieces = data.split(b"\n\n")[:events]
    return [(1.0, head() + chunk(b"\n\n".join(pieces) + b"\n\n") + (END if events is None else b""))]


async def test_what_is_cached_for_an_hour_is_billed_so(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": cached_for_an_hour()}, provider=PROVIDER)
    await ask(s, stream=True)
    assert s.request.tokens == Tokens(100, 15, 65, 10, None, "known", 10)
    # $2 read, $0.20 from the cache, $4 into it for an hour, $10 written, per million
    assert s.request.cost_nanos == 25 * 2_000 + 65 * 200 + 10 * 4_000 + 15 * 10_000


async def test_what_is_cached_for_an_hour_is_known_of_a_client_that_left(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": cached_for_an_hour(events=5)}, provider=PROVIDER)
    await ask(s, leaves(3.0), stream=True)
    tokens = s.attempts[0].tokens
    assert (tokens.cache_write, tokens.cache_write_1h, tokens.certainty) == (10, 10, "estimated")


@pytest.mark.parametrize(
    ("wish", "sent"),
    [("default", "standard_only"), ("priority", "auto"), ("auto", "auto"), ("standard_only", "standard_only")],
)
async def test_the_tiers_that_are_asked_for(clock: MockClock, stage: Make, wish: str, sent: str) -> None:
    s = stage(scripts={sent: whole(0.0, MESSAGE)}, provider=PROVIDER)
    await ask(s, service_tier=wish)
    assert [asked.tier for asked in s.provider.asked] == [sent]


async def test_there_is_no_flex(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={}, provider=PROVIDER)
    wishes: list[dict[str, Any]] = [{"start_within": "30s"}, {"service_tier": "flex"}]
    for fields in wishes:
        client = await ask(s, **fields)
        assert client.status == 400
        told = client.json()
        assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
        assert told["error"]["startline"]["code"] == "flex_unsupported_for_sim"
        s.settled.clear()
        s.ledger.settled.clear()


async def test_an_error_of_the_provider_passes_byte_for_byte(clock: MockClock, stage: Make) -> None:
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"},"request_id":"r"}'
    refused = [(0.0, head(400, "application/json", "request-id: r", length=len(body)) + body)]
    s = stage(scripts={"standard_only": refused}, provider=PROVIDER)
    client = await ask(s, stream=True)
    assert (client.status, client.body) == (400, body)
    assert client.headers["request-id"] == "r"
    assert msgspec.json.decode(client.headers["x-startline-error"])["code"] == "provider_rejected"
    assert s.request.error_code == "provider_rejected"


async def test_an_error_in_mid_stream_ends_it_with_the_block(clock: MockClock, stage: Make) -> None:
    begun, _, error = golden("messages_error", "anthropic").rpartition(b"event: error")
    steps = [(0.0, head() + chunk(begun)), (1.0, chunk(b"event: error" + error) + END)]
    s = stage(scripts={"standard_only": steps}, provider=PROVIDER)
    client = await ask(s, stream=True)
    _, _, data = client.body.rstrip(b"\n").rpartition(b"event: error\ndata: ")
    error = msgspec.json.decode(data)["error"]
    assert (error["type"], error["message"]) == ("overloaded_error", "Overloaded")
    assert error["startline"]["code"] == "provider_refused"
    assert b"message_stop" not in client.body
    assert s.request.tokens == Tokens(100, 1, None, None, None, "estimated")


async def test_what_was_read_is_known_of_a_client_that_left(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": streamed(events=5)}, provider=PROVIDER)
    await ask(s, leaves(3.0), stream=True)
    assert s.request.client_gone
    tokens = s.attempts[0].tokens
    assert (tokens.input, tokens.cached, tokens.cache_write, tokens.certainty) == (100, 65, 10, "estimated")


async def test_a_silent_stream_gets_pings(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": streamed(at_s=45.0)}, provider=PROVIDER)
    client = await ask(s, stream=True)
    assert client.body.startswith(b'event: ping\ndata: {"type":"ping"}\n\n' * 2 + b": startline ")
    assert client.body.endswith(golden("messages_text", "anthropic"))


async def test_tokens_are_counted_without_tier_or_cost(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={None: whole(0.0, {"input_tokens": 2095})}, provider=PROVIDER)
    client = await ask(s, endpoint=COUNT_TOKENS, start_within="30s")
    assert client.json() == {"input_tokens": 2095}
    assert s.provider.asked[0].head.startswith(b"POST /v1/messages/count_tokens HTTP/1.1")
    assert (s.request.cost_nanos, s.request.cost_state) == (0, "not_charged")


async def test_a_dialect_that_the_provider_does_not_speak_is_refused(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={}, provider=PROVIDER)
    call, client = s.prepare({"model": CLAUDE, "input": "a text"}, endpoint=EMBEDDINGS)
    await s.run(call)
    assert (client.status, client.error["code"]) == (400, "dialect_unsupported")


async def test_a_refusal_for_capacity_is_told_as_it_came(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": refuses(0.0, 529, "overloaded_error")}, provider=PROVIDER)
    client = await ask(s)
    assert (client.status, s.request.error_code) == (529, "provider_refused")


async def test_the_session_of_a_coding_agent_is_recorded(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={"standard_only": whole(0.0, MESSAGE)}, provider=PROVIDER)
    session = b"0199a213-81c0-7800-8aa1-bbab2a035a53"
    headers = HEADERS | {b"user-agent": b"claude-cli/2.1.197 (external, cli)", b"x-claude-code-session-id": session}
    call, _ = s.prepare({"model": CLAUDE, "max_tokens": 100}, headers=headers, endpoint=MESSAGES)
    await s.run(call)
    assert (s.request.client, s.request.session, s.request.agent) == ("claude_code", session.decode(), None)
    price = s.attempts[0].price_row
    assert price is not None
    assert price.startswith("anthropic/claude-sonnet-5/default@")
