"""Gemini's generateContent: shapes by the SDK's types, stream and body as one answer, and the SDK as client."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest
import trio
from google import genai
from google.genai import errors, types
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator import generate_content as dialect
from appliance.simulator.completion import complete
from appliance.simulator.faults import FAULTS, Rejected
from appliance.simulator.override import Override
from appliance.simulator.world import Behaviour, Model
from tests.simulator.odd_json import odd_bodies
from tests.simulator.running import Running, Start, world_of
from tests.simulator.sdk_shapes import frames, generated

T = TypeVar("T")
HELLO: list[Any] = [{"role": "user", "parts": [{"text": "hello"}]}]
LOOK: Any = {"name": "look", "parameters": {
    "type": "OBJECT", "properties": {"place": {"type": "STRING"}, "days": {"type": "INTEGER"}}}}  # fmt: skip
TOOLS: Any = [{"functionDeclarations": [LOOK]}]
QUICK = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0)


def play(behaviour: Behaviour | None = None, alt: str = "sse", **fields: Any) -> tuple[bytes, list[bytes]]:
    """Both forms of one answer: the body, and the responses of the stream."""
    behaviour = behaviour or Behaviour()
    body = {"model": "m", "contents": HELLO, "alt": alt} | fields
    both = []
    for streamed in (False, True):
        asked = dialect.read(body | {"stream": streamed})
        both.append((asked, complete(asked, behaviour, Override(), seed=1, tier="default", ordinal=0)))
    whole = msgspec.json.encode(dialect.body(*both[0], behaviour, "default")[0])
    data = b"".join(step.data for step in dialect.script(*both[1], behaviour, "default").steps)
    if alt != "sse":
        return whole, [msgspec.json.encode(one) for one in msgspec.json.decode(data)]
    return whole, [one for _, one in frames(data)]


def assembled(chunks: list[bytes]) -> dict[str, Any]:
    """The unstreamed response that a stream amounts to."""
    answer: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        part = msgspec.json.decode(chunk)
        answer |= {name: value for name, value in part.items() if name != "candidates"}
        for candidate in part.get("candidates", ()):
            kept = candidates.setdefault(candidate["index"], {})
            for new in candidate.get("content", {}).get("parts", ()):
                parts = kept.setdefault("content", {"parts": [], "role": "model"})["parts"]
                same = parts and "text" in new and "text" in parts[-1]
                if same and parts[-1].get("thought") == new.get("thought"):
                    parts[-1]["text"] += new["text"]
                elif new != {"text": ""} or not parts:
                    parts.append(new)
            for name in ("finishReason", "safetyRatings", "index"):
                if name in candidate:
                    kept[name] = candidate[name]
    if candidates:
        answer["candidates"] = [candidates[index] for index in sorted(candidates)]
    return answer


@pytest.mark.parametrize("alt", ["sse", "json"])
@pytest.mark.parametrize(
    ("behaviour", "fields"),
    [
        (Behaviour(), {}),
        (Behaviour(), {"generationConfig": {"candidateCount": 2, "maxOutputTokens": 3}}),
        (Behaviour(tool_calls=3), {"tools": TOOLS}),
        (Behaviour(tool_calls=2, preface="I shall look."), {"tools": TOOLS}),
        (Behaviour(), {"tools": TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        (Behaviour(reasoning_tokens=9), {}),
        (Behaviour(reasoning_tokens=9), {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}),
        (Behaviour(reasoning_tokens=9), {"generation_config": {"thinking_config": {"thinkingBudget": 0}}}),
        (Behaviour(decline_rate=1), {}),
        (Behaviour(block="SAFETY"), {}),
        (Behaviour(finish="RECITATION"), {}),
        (Behaviour(cached_share=0.5), {}),
        (Behaviour(omit_usage=True), {}),
    ],
)
def test_stream_and_body_are_one_answer_in_the_sdk_s_shapes(
    behaviour: Behaviour, fields: dict[str, Any], alt: str
) -> None:
    whole, chunks = play(behaviour, alt, **fields)
    for one in (whole, *chunks):
        generated(one)
    assert assembled(chunks) == msgspec.json.decode(whole)


def test_usage_grows_and_thoughts_are_counted_apart() -> None:
    whole, chunks = play(Behaviour(reasoning_tokens=9, cached_share=0.5))
    usage = generated(whole).usage_metadata
    assert usage is not None
    assert (usage.thoughts_token_count, usage.candidates_token_count) == (9, 24)
    assert usage.total_token_count == 33 + (usage.prompt_token_count or 0)
    assert usage.cached_content_token_count
    spoken = [msgspec.json.decode(one)["usageMetadata"]["candidatesTokenCount"] for one in chunks]
    assert spoken == sorted(spoken)
    assert spoken[-1] == 24


@pytest.mark.parametrize(
    ("behaviour", "config", "reason"),
    [
        (Behaviour(), {}, "STOP"),
        (Behaviour(), {"maxOutputTokens": 2}, "MAX_TOKENS"),
        (Behaviour(decline_rate=1), {}, "SAFETY"),
        (Behaviour(finish="MALFORMED_FUNCTION_CALL"), {}, "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_reasons_to_finish(behaviour: Behaviour, config: dict[str, Any], reason: str) -> None:
    candidates = generated(play(behaviour, generationConfig=config)[0]).candidates
    assert candidates is not None
    assert candidates[0].finish_reason == reason


def test_a_blocked_prompt_has_no_candidates() -> None:
    whole, chunks = play(Behaviour(block="PROHIBITED_CONTENT"))
    assert [msgspec.json.decode(one) for one in chunks] == [msgspec.json.decode(whole)]
    told = generated(whole)
    assert told.candidates is None
    assert told.prompt_feedback is not None
    assert told.prompt_feedback.block_reason == "PROHIBITED_CONTENT"


def test_log_probabilities() -> None:
    candidates = generated(play(generationConfig={"responseLogprobs": True, "logprobs": 1})[0]).candidates
    assert candidates is not None
    assert candidates[0].logprobs_result is not None
    assert len(candidates[0].logprobs_result.chosen_candidates or ()) == 24
    assert (candidates[0].avg_logprobs or 0) < 0


@given(st.text(min_size=1, max_size=100))
def test_any_text_survives_streaming(text: str) -> None:
    whole, chunks = play(Behaviour(text=text))
    assert assembled(chunks) == msgspec.json.decode(whole)
    assert generated(whole).text == text


@given(odd_bodies("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "labels"))
def test_odd_requests_are_answered_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(Rejected):
        whole, _ = play(Behaviour(tool_calls=2), **fields)
        assert msgspec.json.decode(whole)["modelVersion"] == "m"


@pytest.mark.parametrize("alt", ["sse", "json"])
def test_a_failure_keeps_the_framing(alt: str) -> None:
    asked = dialect.read({"model": "m", "contents": HELLO, "stream": True, "alt": alt})
    completion = complete(asked, Behaviour(), Override(), seed=1, tier="default", ordinal=0)
    steps = dialect.script(asked, completion, Behaviour(), "default").steps
    for sent in (0, 3):
        told = dialect.failure(FAULTS["overloaded"], "", asked=asked, completion=completion, sequence=sent)
        data = b"".join([step.data for step in steps[:sent]] + told)
        if alt == "sse":
            assert b'data: {"error":' in data
        else:
            assert msgspec.json.decode(data)[-1]["error"]["code"] == 503


def test_tokens_of_a_whole_request_are_counted() -> None:
    told, _ = dialect.count({"model": "m", "contents": HELLO, "stream": False, "alt": "json"}, Model(), 0)
    more, _ = dialect.count({"model": "m", "generateContentRequest": {"contents": HELLO, "tools": TOOLS}}, Model(), 0)
    assert told["totalTokens"] < more["totalTokens"]


# The official SDK as client.


async def with_sdk(running: Running, use: Callable[[genai.Client], T], version: str = "v1beta") -> T:
    """Use the official SDK's client in a thread."""

    def run() -> T:
        base_url = running.simulator.base_url.removesuffix("/v1")
        options = types.HttpOptions(base_url=base_url, api_version=version)
        with genai.Client(api_key="sk-sim-x", http_options=options) as client:
            return use(client)

    return await trio.to_thread.run_sync(run)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_plain_and_stream(start: Start, version: str) -> None:
    running = await start()

    def use(client: genai.Client) -> tuple[str | None, str]:
        config = types.GenerateContentConfig(
            service_tier=types.ServiceTier.FLEX, system_instruction="be brief", temperature=1.5
        )
        whole = client.models.generate_content(model="gemini-3.8-flash", contents="hello", config=config)
        assert whole.sdk_http_response is not None
        assert (whole.sdk_http_response.headers or {})["x-gemini-service-tier"] == "flex"
        parts = list(client.models.generate_content_stream(model="gemini-3.8-flash", contents="hello", config=config))
        assert parts[-1].usage_metadata == whole.usage_metadata
        assert {part.response_id for part in parts} == {whole.response_id}
        return whole.text, "".join(part.text or "" for part in parts)

    whole, streamed = await with_sdk(running, use, version)
    assert whole == streamed
    entries = list(running.journal)
    assert [(entry.family, entry.tier_asked, entry.tier_served) for entry in entries] == [
        ("gemini", "flex", "flex")
    ] * 2
    assert [entry.forbidden for entry in entries] == [[], []]


async def test_thinking_and_parallel_calls_over_several_turns(start: Start) -> None:
    running = await start(world_of(default=msgspec.structs.replace(QUICK, tool_calls=2)))

    def use(client: genai.Client) -> list[int]:
        config = types.GenerateContentConfig(
            tools=[types.Tool.model_validate({"function_declarations": [LOOK]})],
            thinking_config=types.ThinkingConfig(include_thoughts=True),
        )
        turns: list[Any] = [types.UserContent("how is the weather?")]
        called = []
        for _ in range(2):
            for _ in range(2):
                answer = client.models.generate_content(model="m", contents=turns, config=config)
                assert answer.candidates is not None
                assert answer.candidates[0].content is not None
                parts = answer.candidates[0].content.parts or []
                assert parts[0].thought
                turns.append(answer.candidates[0].content)
                calls = answer.function_calls or []
                called.append(len(calls))
                results = [types.Part.from_function_response(name=call.name or "", response={}) for call in calls]
                turns.append(types.UserContent(results or "and tomorrow?"))
        return called

    assert await with_sdk(running, use) == [2, 0, 2, 0]


async def test_images_files_and_structured_output(start: Start) -> None:
    running = await start()

    def use(client: genai.Client) -> tuple[Any, Any]:
        contents: list[Any] = [
            types.Part.from_bytes(data=b"\xff\xfe\xfd", mime_type="image/png"),
            types.Part.from_uri(file_uri="https://example.com/a.pdf", mime_type="application/pdf"),
            "what is it?",
        ]
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
        both = []
        for how in ({"response_schema": schema}, {"response_json_schema": schema}):
            config = types.GenerateContentConfig(response_mime_type="application/json", **how)  # type: ignore[arg-type]
            told = client.models.generate_content(model="m", contents=contents, config=config)
            both.append(msgspec.json.decode(told.text or ""))
        return both[0], both[1]

    one, two = await with_sdk(running, use)
    assert isinstance(one["ok"], bool)
    assert isinstance(two["ok"], bool)
    assert running.journal[0].media == 2


async def test_counting_and_embedding(start: Start) -> None:
    running = await start()

    def use(client: genai.Client) -> None:
        counted = client.models.count_tokens(model="m", contents="hello there")
        answer = client.models.generate_content(model="m", contents="hello there")
        assert answer.usage_metadata is not None
        assert counted.total_tokens == answer.usage_metadata.prompt_token_count
        config = types.EmbedContentConfig(output_dimensionality=5)
        embeddings = client.models.embed_content(model="e", contents=["a", "b"], config=config).embeddings or []
        assert [len(one.values or ()) for one in embeddings] == [5, 5]

    await with_sdk(running, use)


@pytest.mark.parametrize(
    ("name", "code", "status", "details"),
    [
        ("rate_limit_exceeded", 429, "RESOURCE_EXHAUSTED", ["QuotaFailure", "RetryInfo"]),
        ("resource_exhausted", 429, "RESOURCE_EXHAUSTED", []),
        ("flex_unavailable", 503, "UNAVAILABLE", []),
        ("invalid_api_key", 400, "INVALID_ARGUMENT", ["ErrorInfo"]),
        ("forbidden", 403, "PERMISSION_DENIED", []),
        ("model_not_found", 404, "NOT_FOUND", []),
        ("server_error", 500, "INTERNAL", []),
    ],
)
async def test_errors_come_as_the_sdk_s_classes(
    start: Start, name: str, code: int, status: str, details: list[str]
) -> None:
    running = await start(world_of(default=QUICK))

    def use(client: genai.Client) -> list[errors.APIError]:
        found = []
        model = f"m@sim:refuse={name},retry_after_s=7"
        with pytest.raises(errors.APIError) as raised:
            client.models.generate_content(model=model, contents="x")
        found.append(raised.value)
        with pytest.raises(errors.APIError) as raised:
            list(client.models.generate_content_stream(model=model, contents="x"))
        return [*found, raised.value]

    for error in await with_sdk(running, use):
        assert (error.code, error.status) == (code, status)
        told = error.details["error"].get("details", [])
        assert [one["@type"].rpartition(".")[2] for one in told] == details
        if "RetryInfo" in details:
            assert told[-1]["retryDelay"] == "7s"


async def test_a_failure_inside_a_stream_is_raised_and_a_closed_one_noticed(start: Start) -> None:
    slow = Behaviour(start=0, tokens_per_s=100, output_tokens=10_000)
    running = await start(world_of(default=slow))

    def use(client: genai.Client) -> int | None:
        with pytest.raises(errors.ServerError) as raised:
            list(client.models.generate_content_stream(model="m@sim:error=2,tokens_per_s=0", contents="x"))
        stream = client.models.generate_content_stream(model="m", contents="x")
        assert next(iter(stream)).text
        stream.close()  # type: ignore[attr-defined]
        return raised.value.code

    assert await with_sdk(running, use) == 503
    with trio.fail_after(5):
        await running.journal.wait(lambda journal: journal[1].outcome == "client_gone")
    assert running.journal[0].outcome == "failed"


async def test_without_sse_a_stream_is_one_array_and_so_is_its_refusal(start: Start) -> None:
    running = await start()
    root = running.simulator.base_url.removesuffix("/v1")
    url = f"{root}/v1beta/models/m:streamGenerateContent?key=sk-sim-x"
    answer = await running.client.post(url, json={"contents": HELLO}, headers={"authorization": ""})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()[-1]["candidates"][0]["finishReason"] == "STOP"
    refused = await running.client.post(url, json={}, headers={"authorization": ""})
    assert (refused.status_code, refused.json()[0]["error"]["status"]) == (400, "INVALID_ARGUMENT")
