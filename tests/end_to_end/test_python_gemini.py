"""Google's dialect through its official SDK for Python, and what was recorded of it."""

import base64
from typing import Any

import httpx
import msgspec
import pytest
from google.genai import errors, types

from tests.end_to_end.asking import metadata
from tests.end_to_end.records import check, checked
from tests.end_to_end.stage import GEMINI, Json, Stage

pytestmark = pytest.mark.sockets

MODEL = "gemini-3.5-flash"
SAID = "say it again, and then once more, and slowly, so that there is something to keep in a cache"
TOOL: Any = {
    "function_declarations": [
        {"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
    ]
}


def config(mark: str, sim: str = "", *, within: str | None = None, **more: Any) -> Any:
    """A config; the override travels in the labels, our own wish in a header."""
    options: Json = {"extra_body": {"labels": metadata(mark, sim)}}
    if within is not None:
        options["headers"] = {"x-start-within": within}
    return {"http_options": options, "automatic_function_calling": {"disable": True}} | more


@pytest.mark.parametrize("version", ["", "v1beta", "v1"])
def test_plain(stage: Stage, version: str) -> None:
    mark = stage.mark()
    with stage.google(version) as client:
        answer = client.models.generate_content(model=MODEL, contents=SAID, config=config(mark, "echo=true"))
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert answer.text == SAID
    assert answer.response_id == entry["response_id"] == told.request["provider_response_id"]
    headers = answer.sdk_http_response.headers if answer.sdk_http_response else None
    assert headers is not None
    assert (headers["x-startline-provider"], headers["x-startline-tier"]) == (GEMINI, "default")
    assert headers["x-gemini-service-tier"] == "standard"
    assert entry["tier_asked"] == "standard"
    assert (told.request["endpoint"], told.request["dialect"]) == ("generateContent", "gemini_generate")
    assert told.request["tokens"]["cached"]
    check(told, [entry])


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_stream(stage: Stage, version: str) -> None:
    mark = stage.mark()
    with stage.google(version) as client:
        asked = config(mark, "echo=true,fragment_bytes=3")
        chunks = list(client.models.generate_content_stream(model=MODEL, contents="naïve 東京 🙂🏽 said", config=asked))
    assert "".join(chunk.text or "" for chunk in chunks) == "naïve 東京 🙂🏽 said"
    assert chunks[-1].candidates and chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert checked(stage, mark).request["streamed"]


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools_in_two_turns(stage: Stage, streamed: bool) -> None:
    mark = stage.mark()
    asked = config(mark, "tool_calls=2", tools=[TOOL])
    with stage.google() as client:
        if streamed:
            chunks = client.models.generate_content_stream(model=MODEL, contents="weather?", config=asked)
            parts = [part for chunk in chunks for part in chunk.parts or ()]
        else:
            parts = client.models.generate_content(model=MODEL, contents="weather?", config=asked).parts or []
        checked(stage, mark)
        calls = [part for part in parts if part.function_call]
        assert len(calls) == 2
        again = stage.mark()
        answers = [types.Part.from_function_response(name="weather", response={"sky": "blue"}) for _ in calls]
        for answer, call in zip(answers, calls, strict=True):
            if call.function_call and answer.function_response:
                answer.function_response.id = call.function_call.id
        turns: Any = [
            types.UserContent("weather?"),
            types.ModelContent(calls),
            types.Content(role="user", parts=answers),
        ]
        final = client.models.generate_content(model=MODEL, contents=turns, config=config(again, tools=[TOOL]))
    assert final.text
    checked(stage, again)


def test_thoughts(stage: Stage) -> None:
    mark = stage.mark()
    asked = config(mark, "reasoning_tokens=9", thinking_config={"include_thoughts": True})
    with stage.google() as client:
        chunks = list(client.models.generate_content_stream(model=MODEL, contents="think", config=asked))
    assert any(part.thought for chunk in chunks for part in chunk.parts or ())
    assert checked(stage, mark).request["tokens"]["reasoning"] == 9


@pytest.mark.parametrize(
    ("wish", "sent", "served"),
    [("default", "standard", "default"), ("flex", "flex", "flex"), ("priority", "priority", "priority")],
)
@pytest.mark.parametrize("by_header", [False, True])
def test_tiers(stage: Stage, wish: str, sent: str, served: str, by_header: bool) -> None:
    mark = stage.mark()
    asked = config(mark, within=wish) if by_header else config(mark, service_tier=sent)
    with stage.google() as client:
        client.models.generate_content(model=MODEL, contents="hello", config=asked)
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert (entry["tier_asked"], entry["tier_served"], told.request["tier_served"]) == (sent, served, served)
    check(told, [entry])


def test_there_is_no_auto(stage: Stage) -> None:
    with stage.google() as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents="hello", config=config("x", within="auto"))
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")
    assert raised.value.details["error"]["startline"]["code"] == "auto_unsupported_for_gemini"
    stage.take()


RACES = {
    "flex wins": ("", "flex", "flex_won"),
    "flex is out of capacity": ("flex.refuse=overloaded", "default", "flex_capacity"),
    "flex is exhausted": ("flex.refuse=resource_exhausted", "default", "flex_capacity"),
    "flex fails": ("flex.refuse=server_error", "default", "flex_upstream_error"),
    "flex breaks off": ("flex.cut=0", "default", "flex_not_started"),
    "flex is slow": ("flex.start=10000", "default", "flex_deadline"),
}


@pytest.mark.parametrize("name", RACES)
@pytest.mark.parametrize("streamed", [False, True])
def test_races(stage: Stage, name: str, streamed: bool) -> None:
    sim, tier, reason = RACES[name]
    mark = stage.mark()
    asked = config(mark, f"echo=true,{sim}" if sim else "echo=true", within="1s")
    with stage.google() as client:
        if streamed:
            chunks = client.models.generate_content_stream(model=MODEL, contents=SAID, config=asked)
            text = "".join(chunk.text or "" for chunk in chunks)
        else:
            text = client.models.generate_content(model=MODEL, contents=SAID, config=asked).text or ""
    assert text == SAID
    entries = stage.served(mark)
    (told,) = stage.take()
    assert (told.request["tier_served"], told.request["reason"]) == (tier, reason)
    assert [attempt["tier_sent"] for attempt in told.attempts] == [entry["tier_asked"] for entry in entries]
    if name == "flex is slow":  # Google bills an abandoned call in full, and without a limit nobody knows how much
        assert told.attempts[0]["cost_state"] == "unknown_usage"
    elif name != "flex breaks off":
        check(told, entries)


def test_a_quota_is_no_lack_of_capacity(stage: Stage) -> None:
    mark = stage.mark()
    asked = config(mark, "flex.refuse=rate_limit_exceeded", within="1s")
    with stage.google() as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents="hello", config=asked)
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert "startline" not in raised.value.details["error"], "it passes as it came"
    assert [entry["tier_asked"] for entry in stage.served(mark)] == ["flex"], "a dearer tier would meet it too"
    (told,) = stage.take()
    assert (told.request["error_code"], told.request["cost_nanos"]) == ("provider_rate_limited", 0)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ("invalid_request", 400, "provider_rejected"),
        ("rate_limit_exceeded", 429, "provider_rate_limited"),
        ("overloaded", 503, "provider_refused"),
        ("server_error", 500, "provider_error"),
        ("invalid_api_key", 403, "provider_key_rejected"),
        ("forbidden", 403, "provider_key_rejected"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors(stage: Stage, refusal: str, status: int, code: str, streamed: bool) -> None:
    mark = stage.mark()
    asked = config(mark, f"refuse={refusal}")
    with stage.google() as client:
        ask = client.models.generate_content_stream if streamed else client.models.generate_content
        with pytest.raises(errors.APIError) as raised:
            list(ask(model=MODEL, contents="hello", config=asked))
    assert raised.value.code == status
    (told,) = stage.take()
    assert (told.request["status"], told.request["error_code"]) == (status, code)
    stage.served(mark)


def test_an_error_in_mid_stream(stage: Stage) -> None:
    mark = stage.mark()
    asked = config(mark, "error=2,tokens_per_s=50")
    with stage.google() as client, pytest.raises(errors.APIError) as raised:
        list(client.models.generate_content_stream(model=MODEL, contents="hello", config=asked))
    assert raised.value.details["error"]["startline"]["origin"] == "provider"
    (told,) = stage.take()
    assert told.request["error_origin"] == "provider"
    stage.served(mark)


def test_a_stream_that_is_cut_does_not_end_well(stage: Stage) -> None:
    mark = stage.mark()
    asked = config(mark, "cut=2,tokens_per_s=50")
    with stage.google() as client, pytest.raises(errors.APIError) as raised:
        list(client.models.generate_content_stream(model=MODEL, contents="hello", config=asked))
    assert raised.value.details["error"]["startline"]["code"] == "provider_cut_off"
    stage.take()
    stage.served(mark)


def test_a_blocked_prompt_is_an_answer(stage: Stage) -> None:
    for streamed in (False, True):
        mark = stage.mark()
        asked = config(mark, "block=PROHIBITED_CONTENT")
        with stage.google() as client:
            if streamed:
                *_, answer = client.models.generate_content_stream(model=MODEL, contents="hello", config=asked)
            else:
                answer = client.models.generate_content(model=MODEL, contents="hello", config=asked)
        assert answer.prompt_feedback and answer.prompt_feedback.block_reason
        (told,) = stage.take()
        assert told.request["status"] == 200
        stage.served(mark)


def test_counting_and_embeddings(stage: Stage) -> None:
    with stage.google() as client:
        count = client.models.count_tokens(model=MODEL, contents="one two three")
        assert count.total_tokens
        (told,) = stage.take()
        assert (told.request["endpoint"], told.request["cost_nanos"]) == ("countTokens", 0)
        found = client.models.embed_content(model="gemini-embedding-2", contents="one")
        assert found.embeddings and len(found.embeddings[0].values or ()) == 8
        (told,) = stage.take()
        assert told.request["endpoint"] == "embedContent"


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_models(stage: Stage, version: str) -> None:
    with stage.google(version) as client:
        names = [model.name for model in client.models.list(config={"page_size": 2})]  # page after page
        one = client.models.get(model=MODEL)
    assert f"models/{MODEL}" in names
    assert len(names) == len(set(names)) > 5
    assert one.name == f"models/{MODEL}"


def raw(stage: Stage, path: str, body: Json, **headers: str) -> httpx.Response:
    with httpx.Client(base_url=stage.url, headers=headers, trust_env=False) as client:
        return client.post(path, json=body)


def asked_raw(mark: str, sim: str = "") -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": SAID}]}], "labels": metadata(mark, sim)}


def test_the_stream_as_an_array(stage: Stage) -> None:
    mark = stage.mark()
    path = f"/v1beta/models/{MODEL}:streamGenerateContent?key={stage.key}"
    answer = raw(stage, path, asked_raw(mark, "echo=true"))
    assert answer.headers["content-type"] == "application/json"
    chunks = msgspec.json.decode(answer.content)
    said = [part["text"] for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(said) == SAID
    checked(stage, mark)


def test_a_failing_array_is_whole_json_and_says_so(stage: Stage) -> None:
    mark = stage.mark()
    path = f"/v1beta/models/{MODEL}:streamGenerateContent"
    answer = raw(stage, path, asked_raw(mark, "error=2,tokens_per_s=50"), **{"x-goog-api-key": stage.key})
    *chunks, last = msgspec.json.decode(answer.content)
    assert chunks
    assert last["error"]["startline"]["origin"] == "provider"
    stage.take()
    stage.served(mark)


def test_a_raced_answer_is_put_together_as_it_would_have_come(stage: Stage) -> None:
    bodies = []
    for within in ("flex", "30s"):
        mark = stage.mark()
        path = f"/v1beta/models/{MODEL}:generateContent"
        sim = "reasoning_tokens=5,tool_calls=2,preface=words to begin with"
        body = asked_raw(mark, sim) | {
            "tools": [{"functionDeclarations": [{"name": "weather"}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
        }
        headers = {"x-goog-api-key": stage.key, "x-start-within": within}
        answer = raw(stage, path, body, **headers).json()
        answer.pop("responseId")
        bodies.append(answer)
        stage.take()
        stage.served(mark)
    assert bodies[0] == bodies[1]


def test_images_pass(stage: Stage) -> None:
    mark = stage.mark()
    picture = types.Part.from_bytes(data=base64.b64decode("iVBORw0KGgo="), mime_type="image/png")
    with stage.google() as client:
        client.models.generate_content(model=MODEL, contents=["what is it?", picture], config=config(mark))
    (entry,) = stage.served(mark)
    assert entry["media"] == 1
    checked(stage, mark)
