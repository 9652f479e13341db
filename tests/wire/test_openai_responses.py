from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from appliance.domain.errors import UpstreamFault
from appliance.domain.tokens import Tokens
from appliance.simulator import responses as simulated
from appliance.simulator.completion import complete
from appliance.simulator.override import Override
from appliance.simulator.world import Behaviour
from appliance.wire import openai_responses as dialect
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked, NotAssemblable
from appliance.wire.openai_responses import Assembler, StreamReader
from appliance.wire.sse import SseSplitter, event, event_fields
from tests.wire.streams import cut, golden, names, one_by_one, read, started_after

USED = Tokens(36, 12, 16, 20, 5, "known")
RID = "resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654"


def asked(**fields: Any) -> Asked:
    return dialect.read_request(RequestBody.decode(msgspec.json.encode({"model": "m", "input": "x"} | fields)), None)


# what a stream tells: (name, started, content started, usage, tier, fault code, deltas)
GOLDEN = [
    ("responses_text", True, True, USED, "flex", None, 4),
    ("responses_unnamed", True, True, USED, "flex", None, 4),
    ("responses_reasoning", True, True, USED, "default", None, 2),
    ("responses_function_calls", True, True, USED, "priority", None, 3),
    ("responses_incomplete", True, True, USED, "default", None, 1),
    ("responses_failed", True, True, None, "default", "provider_error", 1),
    ("responses_error_nested", False, False, None, None, "provider_refused", 0),
    ("responses_error_flat", False, False, None, None, "provider_rate_limited", 0),
    ("responses_cut", True, True, None, None, "provider_cut_off", 1),
    ("responses_not_started", False, False, None, None, "provider_cut_off", 0),
]


@pytest.mark.parametrize(("name", "started", "content", "usage", "tier", "code", "deltas"), GOLDEN)
def test_what_a_stream_tells(
    name: str, started: bool, content: bool, usage: Tokens | None, tier: str | None, code: str | None, deltas: int
) -> None:
    data = golden(name)
    outcome = read(StreamReader(), [data])
    assert (outcome.started, outcome.content_started, outcome.events) == (started, content, deltas)
    assert (outcome.usage, outcome.tier, outcome.response_id) == (usage, tier, RID)
    assert (outcome.fault and outcome.fault[0]) == code
    assert data.startswith(outcome.forwarded)
    if code is None:
        assert outcome.terminal_event is not None
        assert outcome.forwarded + outcome.terminal_event == data


def test_every_golden_stream_is_told_of() -> None:
    assert names("responses") == sorted(row[0] for row in GOLDEN)


@pytest.mark.parametrize("name", names("responses"))
@given(places=st.lists(st.integers(0, 100_000), max_size=30))
def test_the_cuts_change_nothing(name: str, places: list[int]) -> None:
    data = golden(name)
    whole = read(StreamReader(), [data])
    assert read(StreamReader(), cut(data, places)) == whole
    assert read(StreamReader(), one_by_one(data)) == whole


@pytest.mark.parametrize(
    ("name", "output", "content"),
    [
        ("responses_text", b'"response.output_item.added"', b'"delta":"Gr'),
        ("responses_unnamed", b'"response.output_item.added"', b'"delta":"Gr'),
        ("responses_reasoning", b'"response.output_item.added"', b'"delta":"Thinking"'),
        ("responses_function_calls", b'"response.output_item.added"', b'"response.function_call_arguments.delta"'),
    ],
)
def test_the_start_is_the_proof_of_output_or_the_first_content(name: str, output: bytes, content: bytes) -> None:
    first = started_after(StreamReader(), golden(name))
    assert first is not None
    assert output in first
    first = started_after(StreamReader(started_at="content"), golden(name))
    assert first is not None
    assert content in first


@pytest.mark.parametrize(("field", "starts"), [('""', False), ("null", False), ('"x"', True), (r'"\ud83d"', True)])
def test_padding_alone_is_no_content(field: str, starts: bool) -> None:
    reader = StreamReader(started_at="content")
    data = f'{{"type":"response.output_text.delta","delta":{field},"obfuscation":"abc"}}'
    reader.feed(event(data.encode(), b"response.output_text.delta"))
    assert reader.content_started == reader.started == starts
    assert reader.fault is None


def test_a_partial_image_is_content() -> None:
    reader = StreamReader(started_at="content")
    name = b"response.image_generation_call.partial_image"
    reader.feed(event(b'{"type":"%b","partial_image_b64":"AAAA"}' % name, name))
    assert reader.started


def test_a_failed_response_keeps_its_error_and_its_terminal_event() -> None:
    reader = StreamReader(provider="openai")
    reader.feed(golden("responses_failed"))
    assert reader.terminal
    assert reader.fault is not None
    assert reader.fault_event == reader.terminal_event
    assert (reader.fault.code, reader.fault.provider_code) == ("provider_error", "server_error")
    assert reader.fault.body == b'{"error":{"code":"server_error","message":"The model failed."}}'


def test_an_overload_inside_a_200_is_a_refusal() -> None:
    reader = StreamReader(provider="openai", tier_asked="flex")
    data = golden("responses_error_nested")
    forwarded = reader.feed(data)
    assert reader.ended
    assert not reader.started
    fault = reader.fault
    assert fault is not None
    assert (fault.code, fault.provider_code, fault.status) == ("provider_refused", "server_is_overloaded", 503)
    assert reader.fault_event is not None
    assert forwarded + reader.fault_event == data[: len(forwarded) + len(reader.fault_event)]
    assert msgspec.json.decode(fault.body or b"")["error"]["type"] == "service_unavailable_error"


def test_the_flat_error_takes_the_usual_envelope() -> None:
    reader = StreamReader()
    reader.feed(golden("responses_error_flat"))
    assert reader.fault is not None
    assert msgspec.json.decode(reader.fault.body or b"")["error"]["code"] == "rate_limit_exceeded"
    assert reader.fault.status == 429


def test_an_end_without_its_blank_line_is_an_end() -> None:
    for name in ("responses_text", "responses_unnamed"):
        data = golden(name)
        reader = StreamReader()
        reader.feed(data[:-1])
        assert not reader.terminal
        assert reader.eof() is None
        assert reader.usage == USED
        reader = StreamReader()
        reader.feed(data[:-3])
        assert reader.eof() is not None


@pytest.mark.parametrize(
    "raw",
    [
        b"data: nonsense\n\n",
        b"event: response.completed\ndata: {\n\n",
        b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
        b"event: error\ndata: [\n\n",
        b"event: response.created\ndata: x\n\n",
        b"event: response.output_text.delta\ndata: x\n\n",
    ],
)
def test_garbage_is_told_as_such(raw: bytes) -> None:
    reader = StreamReader()
    assert reader.feed(raw) == b""
    assert reader.fault is not None
    assert reader.fault.code == "provider_garbled"


def test_a_stray_done_is_forwarded_and_ends_nothing() -> None:
    reader = StreamReader()
    assert reader.feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
    assert not reader.terminal


KINDS = st.sampled_from(["response.output_text.delta", "response.output_item.done", "response.in_progress", "keepalive",
    "response.created", "error", "response.completed", "response.failed", "response.incomplete"])  # fmt: skip
TEXT = st.sampled_from(
    ['"type":"error"', "response.completed", "[DONE]", "event: error\ndata: {}\n\n", "", "x", "\u2028"]
)


@given(
    st.lists(st.tuples(KINDS, TEXT), max_size=8), st.booleans(), st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0, 9999), max_size=4),
)  # fmt: skip
def test_content_is_never_taken_for_structure(
    kinds: list[tuple[str, str]], named: bool, line_end: str, places: list[int]
) -> None:
    raws = []
    for kind, text in kinds:
        value = {"note": text, "type": kind, "delta": text, "response": {"id": "r", "output": [text], "usage": None}}
        lines = ([f"event: {kind}"] if named else []) + [f"data: {msgspec.json.encode(value).decode()}", "", ""]
        raws.append(line_end.join(lines).encode())
    outcome = read(StreamReader(), cut(b"".join(raws), places))
    endings = ("error", "response.completed", "response.failed", "response.incomplete")
    end = next((at for at, (kind, _) in enumerate(kinds) if kind in endings), len(kinds))
    assert outcome.forwarded == b"".join(raws[:end])
    kind = kinds[end][0] if end < len(kinds) else ""
    assert (outcome.terminal_event is not None) == (kind not in ("", "error"))
    assert (outcome.fault is None) == (kind in ("response.completed", "response.incomplete"))
    assert outcome.content_started == any(one.endswith(".delta") and text for one, text in kinds[:end])


def test_tokens_are_estimated_from_the_deltas_when_no_usage_came() -> None:
    reader = StreamReader()
    reader.feed(golden("responses_cut"))
    assert reader.tokens(10) == Tokens(input=10, output=1, certainty="estimated")
    assert 4 <= reader.output_bytes_estimate <= 8


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"background": False, "store": False, "conversation": None, "previous_response_id": "r"}, None),
        (
            {"tools": [{"type": "function", "name": "mcp"}, {"type": "web_search"}, {"type": "custom", "name": "x"}]},
            None,
        ),
        ({"background": True}, "background"),
        ({"store": True}, "stored"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tools": [{"type": "function", "name": "x"}, {"type": "mcp", "server_label": "s"}]}, "tool_mcp"),
        ({"tools": [{"type": "image_generation"}]}, "tool_image_generation"),
        ({"tools": "nonsense"}, None),
        ({"tools": None}, None),
    ],
)
def test_what_is_not_raced(fields: dict[str, Any], why: str | None) -> None:
    assert asked(**fields).why_not_raced == why


def test_what_is_asked_and_sent() -> None:
    got = asked(stream=False, max_output_tokens=9, start_within="30s", reasoning={"effort": "low"})
    assert got.max_output_tokens == 9
    body = dialect.upstream_body(got, model="other", tier="flex", stream=True, add_usage=True)
    assert body == (
        b'{"model":"other","input":"x","stream":true,"max_output_tokens":9,'
        b'"reasoning":{"effort":"low"},"service_tier":"flex"}'
    )


def test_the_facts_of_an_answer() -> None:
    [raw] = [raw for raw in SseSplitter().feed(golden("responses_text")) if b"event: response.completed" in raw]
    whole = bytes(msgspec.json.encode(msgspec.json.decode(event_fields(raw)[1])["response"]))
    answer = dialect.read_answer(whole)
    assert (answer.tier, answer.usage, answer.response_id) == ("flex", USED, RID)
    with pytest.raises(UpstreamFault) as caught:
        dialect.read_answer(b'{"error":{"code":"server_is_overloaded"}}', provider="p")
    assert caught.value.code == "provider_refused"
    with pytest.raises(UpstreamFault) as caught:
        dialect.read_answer(b"<html>")
    assert caught.value.code == "provider_garbled"


@pytest.mark.parametrize("name", ["responses_text", "responses_unnamed", "responses_reasoning", "responses_incomplete"])
def test_the_unstreamed_object_is_the_terminal_event_s(name: str) -> None:
    reader, assembler = StreamReader(), Assembler()
    assembler.feed(reader.feed(golden(name)))
    with pytest.raises(NotAssemblable):
        assembler.result()
    assert reader.terminal_event is not None
    assembler.feed(reader.terminal_event)
    whole = assembler.result()
    assert whole in golden(name)
    assert Response.model_validate_json(whole).id == RID
    with pytest.raises(NotAssemblable):
        Assembler().feed(b"event: response.completed\ndata: {}\n\n")


def test_both_forms_of_the_simulator_are_one_answer() -> None:
    behaviour = Behaviour(reasoning_tokens=5)
    plain = simulated.read({"model": "m", "input": "hello"})
    streamed = simulated.read({"model": "m", "input": "hello", "stream": True})
    completions = [complete(one, behaviour, Override(), seed=1, tier="flex", ordinal=0) for one in (plain, streamed)]
    expected, _ = simulated.body(plain, completions[0], behaviour, "flex")
    assembler = Assembler()
    for step in simulated.script(streamed, completions[1], behaviour, "flex").steps:
        assembler.feed(step.data)
    assert msgspec.json.decode(assembler.result()) == msgspec.json.decode(msgspec.json.encode(expected))


def test_the_sdk_raises_on_the_error_event_and_ignores_keep_alives() -> None:
    reader = StreamReader(provider="openai")
    forwarded = reader.feed(golden("responses_cut"))
    fault = reader.eof()
    assert fault is not None
    stream = forwarded + dialect.keep_alive() + dialect.error_event(
        fault, sequence_number=reader.sequence_number, response_id=reader.response_id
    )  # fmt: skip

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with openai.OpenAI(
        api_key="x", base_url="http://test", max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    ) as client:  # fmt: skip
        events: list[Any] = []
        with pytest.raises(openai.APIError) as caught:
            events.extend(client.responses.create(model="m", input="x", stream=True))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["startline"]["code"] == "provider_cut_off"


def test_the_error_events_are_numbered_and_end_in_a_failure() -> None:
    raws = SseSplitter().feed(
        dialect.error_event(UpstreamFault("provider_rate_limited"), sequence_number=7, response_id="r")
    )
    first, last = (msgspec.json.decode(event_fields(raw)[1]) for raw in raws)
    assert (first["type"], first["sequence_number"], first["code"]) == ("error", 7, "provider_rate_limited")
    assert (last["type"], last["sequence_number"]) == ("response.failed", 8)
    assert (last["response"]["id"], last["response"]["error"]["code"]) == ("r", "rate_limit_exceeded")
    reader = StreamReader()
    reader.feed(b"".join(raws))
    assert reader.fault is not None


def test_a_terminal_event_that_is_no_text_is_not_assembled() -> None:
    assembler = Assembler()
    with pytest.raises(NotAssemblable):
        assembler.feed(b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"\xff"}}\n\n')
