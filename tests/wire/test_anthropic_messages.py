"""The Messages dialect: every golden stream, however cut, and what is told in its own shape."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.tokens import Tokens
from appliance.wire import anthropic_messages as dialect
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked
from tests.wire.streams import cut, golden, names, one_by_one, read, started_after

STREAMS = names("messages", "anthropic")


def stream(name: str) -> bytes:
    return golden(name, "anthropic")


def asked(**fields: Any) -> Asked:
    body = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": []} | fields
    return dialect.read_request(RequestBody.decode(msgspec.json.encode(body)), None)


def sent(request: Asked, *, model: str = "claude-sonnet-5", tier: str | None = None, streamed: bool = False) -> Any:
    return msgspec.json.decode(
        dialect.upstream_body(request, model=model, tier=tier, stream=streamed, add_usage=streamed)
    )


def test_a_request_is_passed_on_as_it_was_but_for_our_fields() -> None:
    request = asked(start_within="30s", thinking={"type": "adaptive"}, stream=True)
    assert (request.model, request.stream, request.max_output_tokens) == ("claude-sonnet-5", True, 50)
    got = sent(request, tier="standard_only", streamed=True)
    assert got == {
        "model": "claude-sonnet-5",
        "max_tokens": 50,
        "messages": [],
        "thinking": {"type": "adaptive"},
        "stream": True,
        "service_tier": "standard_only",
    }


@pytest.mark.parametrize("name", ["mcp_servers", "container"])
def test_what_would_have_effects_twice_is_not_raced(name: str) -> None:
    assert asked(**{name: ["x"]}).why_not_raced == name
    assert asked(**{name: None}).raceable
    assert asked().raceable


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_the_same_wherever_it_is_cut(name: str) -> None:
    data = stream(name)
    whole = read(dialect.StreamReader(), [data])
    assert read(dialect.StreamReader(), one_by_one(data)) == whole
    assert whole.forwarded + (whole.terminal_event or whole.fault_event or b"") == data


@settings(max_examples=30)
@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_cuts(name: str, places: list[int]) -> None:
    data = stream(name)
    assert read(dialect.StreamReader(), cut(data, places)) == read(dialect.StreamReader(), [data])


def test_what_a_stream_tells() -> None:
    got = read(dialect.StreamReader(), [stream("messages_text")])
    assert (got.response_id, got.tier, got.events) == ("msg_01", "standard", 2)
    assert got.usage == Tokens(100, 15, 65, 10, None, "known")
    assert got.terminal_event == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    tools = read(dialect.StreamReader(), [stream("messages_tools")])
    assert (tools.tier, tools.usage) == ("priority", Tokens(472, 89, None, None, 30, "known"))


@pytest.mark.parametrize(
    ("name", "at", "begins"),
    [
        ("messages_text", "output", b"event: content_block_start"),
        ("messages_text", "content", b"event: content_block_delta"),
        ("messages_tools", "output", b"event: content_block_start"),
        ("messages_tools", "content", b"event: content_block_delta"),
        ("messages_empty", "output", b"event: message_delta"),
        ("messages_empty", "content", b"event: message_delta"),
    ],
)
def test_what_starts_an_answer(name: str, at: Any, begins: bytes) -> None:
    event = started_after(dialect.StreamReader(started_at=at), stream(name))
    assert event is not None
    assert event.startswith(begins)


def test_neither_the_accepted_input_nor_a_ping_starts_it() -> None:
    reader = dialect.StreamReader()
    reader.feed(stream("messages_text").split(b"\n\n")[0] + b"\n\n" + dialect.keep_alive())
    assert not reader.started
    assert reader.early == Tokens(100, 1, 65, 10, None, "estimated")
    assert reader.tokens(7) == Tokens(100, 0, certainty="estimated")


def test_an_error_in_mid_stream_is_the_providers_word() -> None:
    got = read(dialect.StreamReader(provider="a"), [stream("messages_error")])
    assert got.fault is not None
    code, status, provider_code, body = got.fault
    assert (code, status, provider_code) == ("provider_refused", 503, "overloaded_error")
    assert body is not None
    assert msgspec.json.decode(body)["request_id"] == "req_011"
    assert got.tier == "fast"
    assert got.events == 1


@pytest.mark.parametrize("left", range(1, 7))
def test_a_stream_that_ends_early_was_cut_off(left: int) -> None:
    events = stream("messages_text").split(b"\n\n")[:left]
    got = read(dialect.StreamReader(), [b"\n\n".join(events) + b"\n\n"])
    assert got.fault is not None
    assert got.fault[0] == "provider_cut_off"


def test_what_cannot_be_read_is_garbled() -> None:
    for bad in (b"event: message_start\ndata: {\n\n", b"data: [\n\n", b"event: content_block_delta\ndata: 1\n\n"):
        got = read(dialect.StreamReader(), [bad])
        assert got.fault is not None
        assert got.fault[0] == "provider_garbled"


def test_events_without_a_name_and_unknown_ones() -> None:
    data = stream("messages_text").replace(b"event: message_stop\n", b"")
    got = read(dialect.StreamReader(), [b"event: new_thing\ndata: {}\n\n: comment\n\n", data])
    assert got.fault is None
    assert got.forwarded.startswith(b"event: new_thing")


def test_an_unstreamed_answer() -> None:
    usage = {"input_tokens": 5, "output_tokens": 7, "service_tier": "standard"}
    got = dialect.read_answer(msgspec.json.encode({"id": "msg_1", "type": "message", "usage": usage}))
    assert (got.tier, got.usage, got.response_id) == ("standard", Tokens(5, 7, certainty="known"), "msg_1")
    with pytest.raises(UpstreamFault) as refused:
        dialect.read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', provider="a")
    assert (refused.value.code, refused.value.family) == ("provider_refused", "anthropic")
    with pytest.raises(UpstreamFault) as garbled:
        dialect.read_answer(b"[]")
    assert garbled.value.code == "provider_garbled"


def test_our_own_error_event_is_one_of_the_dialect() -> None:
    raw = dialect.error_event(CallerFault("revoked_api_key"), request_id="req_1")
    name, _, data = raw.partition(b"\ndata: ")
    assert name == b"event: error"
    told = msgspec.json.decode(data)
    assert told["type"] == "error"
    assert told["request_id"] == "req_1"
    assert told["error"]["type"] == "authentication_error"
    assert told["error"]["startline"]["code"] == "revoked_api_key"
