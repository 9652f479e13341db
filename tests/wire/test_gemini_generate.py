"""Gemini's generateContent: every golden stream, however cut, as events and as an array."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.tokens import Tokens
from appliance.wire import gemini_generate as dialect
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked
from tests.wire.streams import cut, golden, names, one_by_one, read

STREAMS = names("generate", "gemini")
WHOLE = [name for name in STREAMS if name not in ("generate_error", "generate_cut")]


def stream(name: str) -> bytes:
    return golden(name, "gemini")


def asked(action: str = "generateContent", query: bytes = b"", **fields: Any) -> Asked:
    body = RequestBody.decode(msgspec.json.encode({"contents": []} | fields))
    return dialect.read_request(body, None, f"gemini-3.5-flash:{action}", query)


def test_a_request_is_passed_on_as_it_was_but_for_our_fields() -> None:
    request = asked(service_tier="standard", generationConfig={"maxOutputTokens": 7}, cachedContent="c")
    assert (request.model, request.stream, request.service_tier) == ("gemini-3.5-flash", False, "default")
    assert request.max_output_tokens == 7
    sent = dialect.upstream_body(request, model="m", tier="flex", stream=False, add_usage=False)
    assert msgspec.json.decode(sent) == {
        "contents": [],
        "generationConfig": {"maxOutputTokens": 7},
        "cachedContent": "c",
        "serviceTier": "flex",
    }
    untiered = dialect.upstream_body(asked(start_within=30), model="m", tier=None, stream=True, add_usage=True)
    assert msgspec.json.decode(untiered) == {"contents": []}


def test_the_path_says_what_is_streamed() -> None:
    assert dialect.path(asked(), model="m", stream=False) == b"/models/m:generateContent"
    assert dialect.path(asked(), model="m", stream=True) == b"/models/m:streamGenerateContent?alt=sse"
    assert asked("streamGenerateContent").framing == "array"
    assert asked("streamGenerateContent", b"x=y&alt=sse").framing == "sse"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}, None),
        ({"generationConfig": {"responseModalities": ["TEXT"]}}, None),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "modality"),
        ({"tools": [{"codeExecution": {}}]}, "tool_codeExecution"),
        ({"tools": 3}, None),
    ],
)
def test_what_is_not_raced(fields: dict[str, Any], why: str | None) -> None:
    assert asked(**fields).why_not_raced == why


@pytest.mark.parametrize("framing", ["sse", "array"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_the_same_wherever_it_is_cut(name: str, framing: Any) -> None:
    data = stream(name)
    whole = read(dialect.StreamReader(framing=framing), [data])
    assert read(dialect.StreamReader(framing=framing), one_by_one(data)) == whole
    if framing == "sse":
        assert whole.forwarded + (whole.terminal_event or whole.fault_event or b"") == data


@settings(max_examples=30)
@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_cuts(name: str, places: list[int]) -> None:
    data = stream(name)
    assert read(dialect.StreamReader(), cut(data, places)) == read(dialect.StreamReader(), [data])


@pytest.mark.parametrize("name", WHOLE)
def test_an_array_has_the_same_objects(name: str) -> None:
    got = read(dialect.StreamReader(framing="array"), [stream(name)])
    objects = [line[6:] for line in stream(name).split(b"\r\n") if line]
    assert got.forwarded + (got.terminal_event or b"") == b"[" + b",\r\n".join(objects) + b"\n]"


def test_an_array_that_fails_is_whole_json() -> None:
    for begun, objects in ((b"", 0), (stream("generate_cut"), 1)):
        reader = dialect.StreamReader(framing="array")
        sent = reader.feed(begun)
        end = dialect.error_event(CallerFault("client_gone"), sequence_number=reader.sequence_number, framing="array")
        *given, last = msgspec.json.decode(sent + end)
        assert len(given) == objects
        assert last["error"]["startline"]["code"] == "client_gone"


@pytest.mark.parametrize(
    ("name", "events", "usage", "tier"),
    [
        ("generate_text", 3, Tokens(20, 5, 8, None, None, "known"), None),
        ("generate_thoughts", 5, Tokens(24, 40, None, None, 30, "known"), "flex"),
        ("generate_blocked", 0, Tokens(20, 0, certainty="known"), None),
        ("generate_empty", 0, Tokens(20, 100, None, None, 100, "known"), None),
    ],
)
def test_what_a_stream_tells(name: str, events: int, usage: Tokens, tier: str | None) -> None:
    got = read(dialect.StreamReader(), [stream(name)])
    assert (got.fault, got.started, got.events, got.usage, got.tier) == (None, True, events, usage, tier)
    assert got.content_started == (events > 0)


def test_neither_usage_nor_empty_parts_start_it() -> None:
    reader = dialect.StreamReader()
    reader.feed(stream("generate_empty").split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    reader.feed(b'data: {"usageMetadata":{"promptTokenCount":3}}\r\n\r\n' + dialect.keep_alive())
    assert not reader.started


def test_without_a_finish_it_was_cut_off() -> None:
    got = read(dialect.StreamReader(), [stream("generate_cut")])
    assert got.fault is not None
    assert got.fault[0] == "provider_cut_off"


def test_an_error_in_mid_stream() -> None:
    got = read(dialect.StreamReader(provider="g"), [stream("generate_error")])
    assert got.fault is not None
    assert got.fault[:3] == ("provider_refused", 503, "UNAVAILABLE")
    assert got.fault[3] == stream("generate_error").split(b"data: ")[-1].strip()


def test_what_cannot_be_read_is_garbled() -> None:
    for bad in (b"data: {\n\n", b"data: []\n\n", b'data: {"candidates":3}\n\n'):
        got = read(dialect.StreamReader(), [bad])
        assert got.fault is not None
        assert got.fault[0] == "provider_garbled"


def test_the_last_event_may_lack_its_blank_line() -> None:
    data = stream("generate_text").rstrip(b"\r\n")
    assert read(dialect.StreamReader(), [data]).fault is None


def test_an_unstreamed_answer() -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "trafficType": "ON_DEMAND"}
    got = dialect.read_answer(msgspec.json.encode({"responseId": "r", "usageMetadata": usage}))
    assert (got.tier, got.usage, got.response_id) == ("standard", Tokens(5, 7, certainty="known"), "r")
    with pytest.raises(UpstreamFault) as refused:
        dialect.read_answer(b'{"error":{"code":503,"status":"UNAVAILABLE"}}')
    assert (refused.value.code, refused.value.family) == ("provider_refused", "gemini")
    with pytest.raises(UpstreamFault) as garbled:
        dialect.read_answer(b"3")
    assert garbled.value.code == "provider_garbled"


def test_an_error_event_is_one_that_googles_sdk_looks_for() -> None:
    raw = dialect.error_event(CallerFault("revoked_api_key"))
    assert raw.startswith(b'data: {"error":{"code":401,')
