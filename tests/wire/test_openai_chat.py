from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import ApplianceFault, CallerFault, UpstreamFault
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire import openai_chat as dialect
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked
from appliance.wire.openai_chat import StreamReader
from appliance.wire.sse import event, event_fields
from tests.wire.streams import cut, golden, names, one_by_one, read, started_after

DONE = b"data: [DONE]\n\n"
USED = Tokens(19, 7, 4, 8, 2, "known")


def asked(**fields: Any) -> Asked:
    return dialect.read_request(RequestBody.decode(msgspec.json.encode({"model": "m", "messages": []} | fields)), None)


# what a stream tells: (name, started, content started, usage, tier, fault code)
GOLDEN = [
    ("chat_text", True, True, USED, "default", None),
    ("chat_tools", True, True, USED, "flex", None),
    ("chat_reasoning", True, True, USED, None, None),
    ("chat_refusal", True, True, USED, "default", None),
    ("chat_choices", True, True, USED, "default", None),
    ("chat_azure_crlf", True, True, USED, "default", None),
    ("chat_content_filter", True, False, USED, "default", None),
    ("chat_function_call", True, True, None, "default", None),
    ("chat_audio", True, True, None, "default", None),
    ("chat_error_at_start", False, False, None, "default", "provider_refused"),
    ("chat_error_late", True, True, None, "default", "provider_error"),
    ("chat_openrouter_error", False, False, None, None, "provider_error"),
    ("chat_cut", True, True, None, "default", "provider_cut_off"),
    ("chat_padding_only", False, False, None, "default", "provider_cut_off"),
]


@pytest.mark.parametrize(("name", "started", "content", "usage", "tier", "code"), GOLDEN)
def test_what_a_stream_tells(
    name: str, started: bool, content: bool, usage: Tokens | None, tier: str | None, code: str | None
) -> None:
    data = golden(name)
    outcome = read(StreamReader(), [data])
    assert (outcome.started, outcome.content_started) == (started, content)
    assert (outcome.usage, outcome.tier) == (usage, tier)
    assert (outcome.fault and outcome.fault[0]) == code
    if code is None:
        assert outcome.terminal_event is not None
        assert outcome.forwarded + outcome.terminal_event == data
    else:
        assert outcome.terminal_event is None
        assert data.startswith(outcome.forwarded)


def test_every_golden_stream_is_told_of() -> None:
    assert names("chat") == sorted(row[0] for row in GOLDEN)


@pytest.mark.parametrize("name", names("chat"))
@given(places=st.lists(st.integers(0, 100_000), max_size=30), drop_usage=st.booleans())
def test_the_cuts_change_nothing(name: str, places: list[int], drop_usage: bool) -> None:
    data = golden(name)
    whole = read(StreamReader(drop_usage=drop_usage), [data])
    assert read(StreamReader(drop_usage=drop_usage), cut(data, places)) == whole
    assert read(StreamReader(drop_usage=drop_usage), one_by_one(data)) == whole


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("chat_text", "Grüße"),
        ("chat_tools", "get_weather"),
        ("chat_reasoning", "Let me "),
        ("chat_refusal", "I can't "),
        ("chat_choices", "Yes"),
        ("chat_content_filter", '"content_filter"'),
        ("chat_function_call", '"name":"f"'),
    ],
)
def test_the_start_is_the_first_content(name: str, mark: str) -> None:
    for started_at in ("output", "content"):
        first = started_after(StreamReader(started_at=started_at), golden(name))
        assert first is not None
        assert mark.encode() in first


def test_the_usage_chunk_that_nobody_asked_for_is_withheld_and_no_other() -> None:
    data = golden("chat_text")
    reader = StreamReader(drop_usage=True)
    forwarded = reader.feed(data)
    events = data.split(b"\n\n")
    assert reader.usage == USED
    assert forwarded == (b"\n\n".join(events[:-3]) + b"\n\n").replace(b',"usage":null', b"")
    with_choices = golden("chat_reasoning")  # its last chunk carries usage beside a choice
    reader = StreamReader(drop_usage=True)
    assert reader.feed(with_choices) + DONE == with_choices.replace(b',"usage":null', b"")
    assert reader.usage == USED


def test_nothing_comes_out_after_the_end() -> None:
    reader = StreamReader()
    forwarded = reader.feed(golden("chat_text") + b"data: {}\n\n")
    assert reader.feed(b"data: {}\n\n") == b""
    assert forwarded + DONE == golden("chat_text")
    assert reader.eof() is None


def test_an_end_without_its_blank_line_is_an_end() -> None:
    for cut_off in (1, 2):
        reader = StreamReader()
        reader.feed(golden("chat_text")[:-cut_off])
        assert not reader.terminal
        assert reader.eof() is None
        assert reader.terminal_event == DONE
    reader = StreamReader()
    reader.feed(golden("chat_text")[:-4])
    fault = reader.eof()
    assert fault is not None
    assert (fault.code, fault.phase, fault.retryable) == ("provider_cut_off", "stream", True)


def test_the_error_of_a_stream_is_kept_for_passing_on() -> None:
    reader = StreamReader(provider="openai", tier_asked="flex")
    assert reader.feed(golden("chat_error_at_start")).endswith(b"\n\n")
    fault = reader.fault
    assert isinstance(fault, UpstreamFault)
    assert (fault.code, fault.provider, fault.provider_code, fault.status) == (
        "provider_refused", "openai", "server_is_overloaded", 503,
    )  # fmt: skip
    assert fault.body is not None
    assert reader.fault_event == b"data: " + fault.body + b"\n\n"
    assert msgspec.json.decode(fault.body)["error"]["message"] == "The server is overloaded"


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    value = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} | more
    return event(msgspec.json.encode(value))


@pytest.mark.parametrize(
    "raw",
    [
        event(b'{"object":"error","message":"no","type":"BadRequestError","code":400}'),
        event(b'{"error":"boom"}'),
        event(b'{"message":"boom","code":"x"}', b"error"),
    ],
)
def test_errors_of_other_servers_are_errors_before_and_after_the_start(raw: bytes) -> None:
    for before in (b"", chunk({"content": "x"})):
        reader = StreamReader()
        assert reader.feed(before + raw) == before
        assert reader.fault_event == raw
        assert reader.fault is not None
        assert reader.fault.body is not None
        assert "error" in msgspec.json.decode(reader.fault.body)


@pytest.mark.parametrize("raw", [b"data: {\n\n", b"data: nonsense\n\n", b"data: [1]\n\n", b'data: {"choices":1}\n\n'])
def test_garbage_is_told_as_such(raw: bytes) -> None:
    reader = StreamReader()
    assert reader.feed(raw) == b""
    assert reader.fault is not None
    assert reader.fault.code == "provider_garbled"


def test_an_event_without_end_is_garbage() -> None:
    reader = StreamReader(max_event_bytes=1000)
    for _ in range(30):
        reader.feed(b"x" * 50)
    assert reader.fault is not None
    assert reader.fault.code == "provider_garbled"


def test_half_a_surrogate_pair_is_content() -> None:
    reader = StreamReader()
    raw = event(rb'{"id":"c","choices":[{"index":0,"delta":{"content":"\ud83d"}}]}')
    assert reader.feed(raw) == raw
    assert reader.feed(raw) == raw
    assert reader.content_started
    assert reader.fault is None


NASTY = st.sampled_from(['"usage"', '"error"', "[DONE]", "data: [DONE]\n\n", '"usage":{"prompt_tokens":1}',
    '"service_tier":"x"',
    "event: error\n", "error", "\u2028", "\\", '\\"usage\\":', "é🙂", "\r\n\r\n", ""])  # fmt: skip
TEXT = st.lists(NASTY | st.text(max_size=5)).map("".join)
EVENTS = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": st.fixed_dictionaries({"content": TEXT})}), max_size=2)},
    optional={
        "id": TEXT,
        "usage": st.none() | st.just({"prompt_tokens": 3, "completion_tokens": 4}),
        "error": st.none() | st.just({"message": "m", "code": "server_error"}),
        "service_tier": st.none() | st.sampled_from(["flex", "default"]),
        "note": TEXT,
        '"usage"': TEXT,
    },
)


@given(
    st.lists(EVENTS, max_size=6), st.lists(st.integers(0, 10_000), max_size=5), st.sampled_from([b"\n\n", b"\r\n\r\n"])
)
def test_content_is_never_taken_for_structure(chunks: list[dict[str, Any]], places: list[int], ending: bytes) -> None:
    raws = [b"data: " + msgspec.json.encode(value) + ending for value in chunks]
    data = b"".join(raws) + b"data: [DONE]" + ending
    outcome = read(StreamReader(), cut(data, places))
    failed = next((at for at, value in enumerate(chunks) if value.get("error")), None)
    seen = chunks if failed is None else chunks[:failed]
    assert outcome.forwarded == b"".join(raws[: len(seen)])
    assert (outcome.fault is None) == (failed is None)
    assert (outcome.terminal_event is None) == (failed is not None)
    tiers = [value["service_tier"] for value in seen if value.get("service_tier")]
    assert outcome.tier == (tiers[-1] if tiers else None)
    assert (outcome.usage is not None) == any(value.get("usage") for value in seen)
    content = any(choice["delta"]["content"] for value in seen for choice in value["choices"])
    assert outcome.content_started == content


def test_tokens_are_estimated_from_the_deltas_when_no_usage_came() -> None:
    reader = StreamReader()
    for text in ("one", " two", " three"):
        reader.feed(chunk({"content": text}))
    assert reader.events == 3
    assert reader.output_bytes_estimate == len("one two three")
    assert reader.tokens(100) == Tokens(input=100, output=3, certainty="estimated")
    reader.feed(event(b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'))
    assert reader.tokens(100) == Tokens(1, 2, certainty="known")


def test_the_last_tier_counts_and_odd_ones_do_not() -> None:
    reader = StreamReader()
    for tier in ("auto", "flex", "bad tier\r\nx: y", 7, None):
        reader.feed(chunk({"content": "x"}, service_tier=tier))
    assert reader.tier == "7"
    reader.feed(chunk({"content": "x"}, service_tier="auto", service_tier_used="priority"))
    assert reader.tier == "priority"


def test_what_is_asked() -> None:
    got = asked(stream=True, stream_options={"include_usage": True}, max_tokens=5, max_completion_tokens=7)
    assert (got.model, got.stream, got.include_usage, got.max_output_tokens) == ("m", True, True, 7)
    assert asked(max_tokens=5).max_output_tokens == 5


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"store": False, "modalities": ["text"], "audio": None, "n": 4}, None),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "audio"),
        ({"store": True}, "stored"),
    ],
)
def test_what_is_not_raced(fields: dict[str, Any], why: str | None) -> None:
    assert asked(**fields).why_not_raced == why
    assert asked(**fields).raceable == (why is None)


def test_the_facts_of_an_answer() -> None:
    body = {
        "id": "chatcmpl-1",
        "choices": [],
        "service_tier": "flex",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    answer = dialect.read_answer(msgspec.json.encode(body))
    assert (answer.tier, answer.response_id) == ("flex", "chatcmpl-1")
    assert answer.usage == Tokens(1, 2, certainty="known")
    assert dialect.read_answer(b"{}").usage == UNKNOWN_TOKENS
    with pytest.raises(UpstreamFault) as caught:
        dialect.read_answer(b'{"error":{"code":429,"message":"no"}}', provider="p", tier_asked="flex")
    assert (caught.value.code, caught.value.phase, caught.value.provider) == ("provider_refused", "body", "p")
    for garbage in (b"<html>", b"", b"[]", b"[" * 100_000):
        with pytest.raises(UpstreamFault) as caught:
            dialect.read_answer(garbage)
        assert caught.value.code == "provider_garbled"


def sdk_reads(stream: bytes) -> list[Any]:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with openai.OpenAI(
        api_key="x", base_url="http://test", max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    ) as client:  # fmt: skip
        return list(client.chat.completions.create(model="m", messages=[], stream=True))


def test_the_sdk_raises_on_the_error_event_and_ignores_keep_alives() -> None:
    good = dialect.keep_alive() + golden("chat_text")
    assert len(sdk_reads(good)) == 7
    broken = golden("chat_cut").rpartition(b"\n\n")[0] + b"\n\n" + dialect.keep_alive()
    with pytest.raises(openai.APIError) as caught:
        sdk_reads(broken + dialect.error_event(ApplianceFault("store_unavailable")))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["startline"]["code"] == "store_unavailable"


def test_the_error_event_keeps_the_providers_words() -> None:
    reader = StreamReader(provider="openai")
    reader.feed(golden("chat_error_late"))
    assert reader.fault is not None
    error = msgspec.json.decode(event_fields(dialect.error_event(reader.fault))[1])["error"]
    assert error["message"] == "The server had an error"
    assert error["startline"]["code"] == "provider_error"
    assert error["startline"]["provider"] == "openai"


def test_a_request_without_model_is_refused() -> None:
    with pytest.raises(CallerFault) as caught:
        asked(model="")
    assert (caught.value.code, caught.value.param) == ("missing_model", "model")


@pytest.mark.parametrize("null", [',"usage":null}', ', "usage": null}'])
def test_no_trace_of_our_own_usage_option_reaches_the_client(null: str) -> None:
    said = 'she wrote ,\\"usage\\":null and \\"usage\\": null, and left'
    plain = f'data: {{"id":"c","choices":[{{"index":0,"delta":{{"content":"{said}"}}}}]}}\n\n'
    sent = plain.replace("}\n\n", null + "\n\n")
    reader = StreamReader(drop_usage=True)
    assert reader.feed(sent.encode() * 3).decode() == plain * 3
    assert StreamReader().feed(sent.encode()).decode() == sent, "a client that asked for usage gets what was sent"
