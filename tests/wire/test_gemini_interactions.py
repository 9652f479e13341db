from typing import Any

import msgspec
import pytest
from google.genai._gaos.types import interactions

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.tokens import Tokens
from appliance.wire import gemini_interactions as dialect
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked, NotAssemblable
from tests.wire.streams import golden, one_by_one, read, started_after


def asked(**fields: Any) -> Asked:
    body = {"model": "gemini-3.5-flash", "input": "hi"} | fields
    return dialect.read_request(RequestBody.decode(msgspec.json.encode(body)), None)


def sent(request: Asked, **facts: Any) -> Any:
    given: dict[str, Any] = {"model": request.model, "tier": None, "stream": False, "add_usage": False}
    return msgspec.json.decode(dialect.upstream_body(request, **(given | facts)))


def test_a_request_is_passed_on_as_it_was_but_for_our_fields() -> None:
    request = asked(start_within="30s", stream=True, generation_config={"max_output_tokens": 9})
    assert (request.stream, request.max_output_tokens) == (True, 9)
    got = sent(request, tier="flex", model="gemini-x")
    assert (got["model"], got["service_tier"], got["stream"]) == ("gemini-x", "flex", True)
    assert "start_within" not in got
    assert dialect.path(request, model="m", stream=True) == b"/interactions?alt=sse"


def test_an_agent_is_routed_by_its_name() -> None:
    body = RequestBody.decode(b'{"agent":"deep-research","input":"x","service_tier":"FLEX"}')
    request = dialect.read_request(body, None)
    assert (request.model, request.service_tier) == ("deep-research", "flex")
    assert sent(request, model="other")["agent"] == "other"
    with pytest.raises(CallerFault, match="missing_model"):
        dialect.read_request(RequestBody.decode(b"{}"), None)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"stream": True}, None),
        ({}, "unassembled"),
        ({"stream": True, "background": True}, "background"),
        ({"stream": True, "store": True}, "store"),
        ({"stream": True, "store": False}, None),
        ({"stream": True, "environment": "e"}, "environment"),
        ({"stream": True, "tools": [{"type": "mcp_server"}]}, "tool_mcp_server"),
    ],
)
def test_what_is_not_raced(fields: dict[str, Any], why: str | None) -> None:
    assert asked(**fields).why_not_raced == why


def test_what_a_stream_tells() -> None:
    data = golden("interactions_text", "gemini")
    got = read(dialect.StreamReader(), one_by_one(data))
    assert got == read(dialect.StreamReader(), [data])
    assert (got.response_id, got.tier, got.events) == ("i_1", "flex", 2)
    assert got.usage == Tokens(20, 12, 8, None, 7, "known")
    assert got.forwarded + (got.terminal_event or b"") == data
    for at, begins in (("output", b"event: step.start"), ("content", b"event: step.delta")):
        event = started_after(dialect.StreamReader(started_at=at), data)  # type: ignore[arg-type]
        assert event is not None
        assert event.startswith(begins)


def test_an_error_and_an_early_end() -> None:
    got = read(dialect.StreamReader(), [golden("interactions_error", "gemini")])
    assert got.fault is not None
    assert (got.fault[0], got.fault[2]) == ("provider_refused", "UNAVAILABLE")
    cut = read(dialect.StreamReader(), [golden("interactions_text", "gemini").partition(b"event: interaction.comp")[0]])
    assert cut.fault is not None
    assert cut.fault[0] == "provider_cut_off"


def test_our_error_event_is_one_for_the_sdk() -> None:
    data = dialect.error_event(CallerFault("revoked_api_key")).partition(b"data: ")[2]
    event = interactions.ErrorEvent.model_validate_json(data)
    assert event.error is not None
    assert event.error.code == "UNAUTHENTICATED"


def test_nothing_is_assembled() -> None:
    with pytest.raises(NotAssemblable):
        dialect.Assembler().feed(b"x")
    with pytest.raises(NotAssemblable):
        dialect.Assembler().result()


def test_an_unstreamed_answer() -> None:
    got = dialect.read_answer(b'{"id":"i","service_tier":"standard","usage":{"total_input_tokens":3}}')
    assert (got.tier, got.response_id, got.usage.input) == ("standard", "i", 3)
    for body, code in ((b"[", "provider_garbled"), (b'{"error":{"status":"UNAVAILABLE"}}', "provider_refused")):
        with pytest.raises(UpstreamFault) as fault:
            dialect.read_answer(body)
        assert fault.value.code == code
