"""From request to answer over HTTP: the official SDK as client, tiers, refusals, overrides."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import openai
import pytest
import trio
from openai.types.shared_params import ResponseFormatJSONSchema

from appliance.simulator.builtin_worlds import built_in
from appliance.simulator.world import Behaviour, Model, World
from tests.simulator.running import Running, Start, world_of
from tests.simulator.sdk_shapes import assembled, frames, response

T = TypeVar("T")
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}
RESPONSES: dict[str, Any] = {"model": "m", "input": "hello there"}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


async def with_sdk(running: Running, use: Callable[[openai.OpenAI], T], retries: int = 0) -> T:
    """Use the official SDK's client in a thread."""

    def run() -> T:
        with openai.OpenAI(base_url=running.simulator.base_url, api_key="sk-sim-x", max_retries=retries) as client:
            return use(client)

    return await trio.to_thread.run_sync(run)


async def test_chat_through_the_sdk(start: Start) -> None:
    running = await start()

    def use(client: openai.OpenAI) -> tuple[str | None, str, int]:
        whole = client.chat.completions.create(model="m", messages=CHAT["messages"], service_tier="flex")
        stream = client.chat.completions.create(
            model="m", messages=CHAT["messages"], service_tier="flex", stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        parts = list(stream)
        text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        assert {part.service_tier for part in parts} == {"flex"}
        assert parts[-1].usage == whole.usage
        assert parts[-1].usage is not None
        return whole.choices[0].message.content, text, parts[-1].usage.completion_tokens

    whole, streamed, tokens = await with_sdk(running, use)
    assert whole == streamed
    assert tokens == 24
    assert [(entry.tier_asked, entry.tier_served) for entry in running.journal] == [("flex", "flex")] * 2
    assert running.journal[1].usage is not None
    assert running.journal[1].usage["completion_tokens"] == 24
    assert running.journal[0].forbidden == []


async def test_responses_through_the_sdk_s_own_accumulator(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=0, tokens_per_s=0, reasoning_tokens=5, tool_calls=2)))

    def use(client: openai.OpenAI) -> tuple[dict[str, Any], dict[str, Any]]:
        tool: Any = {"type": "function", "name": "look", "strict": True, "parameters": {
            "type": "object", "properties": {"place": {"type": "string"}}}}  # fmt: skip
        whole = client.responses.create(model="m", input="x", tools=[tool], reasoning={"summary": "auto"})
        with client.responses.stream(model="m", input="x", tools=[tool], reasoning={"summary": "auto"}) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        assert [item.type for item in final.output] == ["reasoning", "function_call", "function_call"]
        skip = {"parsed_arguments", "parsed"}
        plain = {key: value for key, value in final.to_dict().items() if key != "output"}
        output = [{k: v for k, v in item.to_dict().items() if k not in skip} for item in final.output]
        return whole.to_dict(), plain | {"output": output}

    whole, streamed = await with_sdk(running, use)
    assert whole == streamed


async def test_structured_output_through_the_sdk(start: Start) -> None:
    running = await start()
    schema: ResponseFormatJSONSchema = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {
        "type": "object", "properties": {"ok": {"type": "boolean"}, "tags": {"type": "array", "items": {
            "type": "string"}}}, "required": ["ok", "tags"], "additionalProperties": False}}}  # fmt: skip

    def use(client: openai.OpenAI) -> str:
        made = client.chat.completions.create(model="m", messages=CHAT["messages"], response_format=schema)
        return made.choices[0].message.content or ""

    value = msgspec.json.decode(await with_sdk(running, use))
    assert isinstance(value["ok"], bool)
    assert all(isinstance(tag, str) for tag in value["tags"])


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings_through_the_sdk(start: Start, encoding: Any) -> None:
    running = await start()

    def use(client: openai.OpenAI) -> int:
        made = client.embeddings.create(model="m", input=["a", "b"], encoding_format=encoding)
        return len(made.data)

    assert await with_sdk(running, use) == 2


@pytest.mark.parametrize(
    ("refusal", "error", "code"),
    [
        ("flex_unavailable", openai.RateLimitError, "resource_unavailable"),
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("rate_limit_exceeded", openai.RateLimitError, "rate_limit_exceeded"),
        ("server_error", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, "server_is_overloaded"),
        ("invalid_api_key", openai.AuthenticationError, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("invalid_request", openai.BadRequestError, "invalid_value"),
        ("unprocessable", openai.UnprocessableEntityError, None),
    ],
)
async def test_refusals_are_what_the_sdk_takes_them_for(
    start: Start, refusal: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    running = await start()

    def use(client: openai.OpenAI) -> None:
        client.responses.create(model=f"m@sim:refuse={refusal},message=told", input="x")

    with pytest.raises(error, match="told") as raised:
        await with_sdk(running, use)
    assert raised.value.code == code
    limited = refusal == "rate_limit_exceeded"
    assert ("retry-after" in raised.value.response.headers) is limited
    assert (running.journal[0].outcome, running.journal[0].fault) == ("refused", refusal)


async def test_a_scripted_tier_is_played_in_order_and_the_sdk_s_retry_meets_the_next_fate(start: Start) -> None:
    script = ["refuse=server_error,message=once", "text=second", "text=third"]
    running = await start(world_of(default=Behaviour(start=0, tokens_per_s=0, refusal_after_s=0, script=script)))
    made = await with_sdk(running, lambda client: client.responses.create(model="m", input="x"), retries=1)
    assert made.output_text == "second"
    assert [entry.status for entry in running.journal] == [500, 200]
    assert (await running.post("responses", **RESPONSES)).json()["output"][0]["content"][0]["text"] == "third"


async def test_a_wrong_key_is_an_authentication_error_to_the_sdk(start: Start) -> None:
    running = await start()

    def run() -> None:
        with openai.OpenAI(base_url=running.simulator.base_url, api_key="sk-wrong", max_retries=0) as client:
            client.models.list()

    with pytest.raises(openai.AuthenticationError):
        await trio.to_thread.run_sync(run)


@pytest.mark.parametrize(
    ("asked", "served"),
    [(None, "default"), ("auto", "default"), ("default", "default"), ("flex", "flex"), ("priority", "priority"),
     ("fast", "priority"), ("scale", "default")],
)  # fmt: skip
async def test_the_tier_served_is_told_in_body_stream_and_journal(start: Start, asked: str | None, served: str) -> None:
    running = await start()
    tier = {} if asked is None else {"service_tier": asked}
    for path, body in (("chat/completions", CHAT), ("responses", RESPONSES)):
        whole = (await running.post(path, **body, **tier)).json()
        assert whole["service_tier"] == served
    stream = await running.post("chat/completions", **CHAT, **tier, **USAGE)
    parts = [msgspec.json.decode(data) for _, data in frames(stream.content) if data != b"[DONE]"]
    assert {part["service_tier"] for part in parts} == {served}
    assert {(entry.tier_asked, entry.tier_served) for entry in running.journal} == {(asked, served)}


async def test_a_downgrade_is_told_at_the_end(start: Start) -> None:
    running = await start()
    body = RESPONSES | {"service_tier": "priority", "stream": True}
    stream = await running.client.post("responses", json=body, headers={"x-simulator": "downgrade"})
    told = [msgspec.json.decode(data) for _, data in frames(stream.content)]
    assert told[0]["response"]["service_tier"] == "priority"
    assert told[-1]["response"]["service_tier"] == "default"
    assert (running.journal[0].tier_asked, running.journal[0].tier_served) == ("priority", "default")


async def test_a_model_without_a_tier_and_unknown_tiers_are_400s(start: Start) -> None:
    running = await start(built_in("demo"))
    no_flex = await running.post("responses", model="gpt-4.1", input="x", service_tier="flex")
    odd = await running.post("responses", model="gpt-4.1", input="x", service_tier="gold")
    for answer in (no_flex, odd):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "service_tier")


async def test_streams_and_bodies_over_http_are_one_answer(start: Start) -> None:
    running = await start()
    whole = await running.post("chat/completions", **CHAT)
    stream = await running.post("chat/completions", **CHAT, **USAGE)
    parts = frames(stream.content)
    assert parts.pop() == ("", b"[DONE]")
    assert assembled(msgspec.json.decode(data) for _, data in parts) == whole.json()
    whole = await running.post("responses", **RESPONSES)
    stream = await running.post("responses", **RESPONSES, stream=True)
    assert msgspec.json.decode(frames(stream.content)[-1][1])["response"] == whole.json()
    response(whole.content)
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["transfer-encoding"] == "chunked"
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert "content-encoding" not in whole.headers


@pytest.mark.parametrize("way", ["header", "model", "metadata"])
async def test_one_request_can_be_told_what_to_meet(start: Start, way: str) -> None:
    running = await start()
    text = "flex.refuse=overloaded,default.text=told,mark=a,id=mine"
    body = dict(RESPONSES)
    headers = {}
    if way == "header":
        headers["x-simulator"] = text
    elif way == "model":
        body["model"] += f"@sim:{text}"
    else:
        body["metadata"] = {"simulator": text}
    flex = await running.client.post("responses", json=body | {"service_tier": "flex"}, headers=headers)
    default = await running.client.post("responses", json=body | {"service_tier": "default"}, headers=headers)
    assert flex.status_code == 503
    assert default.json()["id"] == "resp_mine"
    assert default.json()["output"][0]["content"][0]["text"] == "told"
    assert [entry.status for entry in running.journal.find(mark="a")] == [503, 200]


@pytest.mark.parametrize("text", ["nonsense=1", "refuse=unheard_of", "error_rate=1,error=x"])
async def test_a_mistake_in_an_override_is_a_400_that_says_so(start: Start, text: str) -> None:
    running = await start()
    answer = await running.client.post("responses", json=RESPONSES, headers={"x-simulator": text})
    assert answer.status_code == 400
    assert "override" in answer.json()["error"]["message"]


async def test_an_answer_can_echo_the_question(start: Start) -> None:
    running = await start()
    answer = await running.post("responses", model="m@sim:echo=1", input="hello there")
    assert answer.json()["output"][0]["content"][0]["text"] == "hello there"


async def test_a_server_that_refuses_stream_options(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=0, refuse_stream_options=True)))
    refused = await running.post("chat/completions", **CHAT, **USAGE)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stream_options")
    assert (await running.post("chat/completions", **CHAT, stream=True)).status_code == 200


async def test_fields_of_a_gateway_are_unknown_here(start: Start) -> None:
    running = await start()
    answer = await running.post("responses", **RESPONSES, start_within="30s")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_parameter")
    assert running.journal[0].forbidden == ["body.start_within"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b"{}", b'{"model":""}', b'{"model":3}'],
)
async def test_bad_bodies_are_400s(start: Start, content: bytes) -> None:
    running = await start()
    for path in ("chat/completions", "responses", "embeddings"):
        assert (await running.client.post(path, content=content)).status_code == 400
    assert not running.journal.errors


async def test_compressed_requests_are_refused(start: Start) -> None:
    running = await start()
    answer = await running.client.post("responses", json=RESPONSES, headers={"content-encoding": "gzip"})
    assert answer.json()["error"]["code"] == "unsupported_content_encoding"


async def test_an_unknown_model_is_a_404(start: Start) -> None:
    running = await start(World(models={"a": Model(tiers={"default": Behaviour()})}))
    answer = await running.post("responses", **RESPONSES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_the_same_requests_meet_the_same_fates_with_the_same_seed(start: Start) -> None:
    world = world_of(default=Behaviour(start=0, tokens_per_s=0, refusal_rate=0.5, refusal_after_s=0))
    told = []
    for seed in (1, 1, 2):
        running = await start(world, seed=seed)
        answers = [await running.post("responses", **RESPONSES) for _ in range(12)]
        told.append([(answer.status_code, answer.headers["x-request-id"], answer.content) for answer in answers])
    assert told[0] == told[1] != told[2]
    assert {status for status, _, _ in told[0]} == {200, 429}
