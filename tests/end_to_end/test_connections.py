"""Connections: kept alive, with bodies at the limit, and with fifty requests at once whose records all match."""

import asyncio
from typing import Any

import httpx
import msgspec
import openai
import pytest

from tests.end_to_end.asking import Plan, chat, metadata, response
from tests.end_to_end.processes import command
from tests.end_to_end.records import check, checked
from tests.end_to_end.stage import Json, Stage

pytestmark = pytest.mark.sockets

LIMIT_BYTES = 32 * 1024 * 1024


def port_of(answer: Any) -> int:
    """The client's port of the connection over which an answer came."""
    return int(answer.extensions["network_stream"].get_extra_info("client_addr")[1])


def test_one_connection_serves_many_requests_on_both_sides(stage: Stage) -> None:
    ports: set[int] = set()
    provider_connections: set[int] = set()
    headers = {"authorization": f"Bearer {stage.key}"}
    with httpx.Client(base_url=stage.url, headers=headers, trust_env=False) as client:
        for number in range(8):
            mark = stage.mark()
            path = ("/v1/chat/completions", "/api/v1/chat/completions")[number // 4]
            with client.stream("POST", path, json=chat("hello", mark, stream=bool(number % 2))) as answer:
                ports.add(port_of(answer))
                assert answer.read()
                assert answer.status_code == 200
            provider_connections.update(entry["connection"] for entry in stage.served(mark))
            checked(stage, mark)
    assert len(ports) == len(provider_connections) == 1


def test_the_sdk_keeps_its_connection(stage: Stage) -> None:
    ports: set[int] = set()
    with stage.client() as client:
        for _ in range(4):
            mark = stage.mark()
            raw = client.chat.completions.with_raw_response.create(**chat("hello", mark))
            ports.add(port_of(raw.http_response))
            checked(stage, mark)
        client.models.list()
        raw = client.chat.completions.with_raw_response.create(**chat("hello", mark := stage.mark()))
        ports.add(port_of(raw.http_response))
        checked(stage, mark)
    assert len(ports) == 1


def sized(client: openai.OpenAI, mark: str, size_bytes: int) -> Json:
    """A chat request that the SDK writes in exactly this many bytes."""
    asked = chat("", mark, "tokens=1", model="gpt-5.4-nano")
    seen: list[int] = []

    def note(request: Any) -> None:
        seen.append(int(request.headers["content-length"]))
        raise InterruptedError

    client._client.event_hooks = {"request": [note]}
    with pytest.raises((openai.APIConnectionError, InterruptedError)):
        client.chat.completions.create(**asked)
    client._client.event_hooks = {"request": []}
    asked["messages"][0]["content"] = "x" * (size_bytes - seen[0])
    return asked


def test_a_body_of_32_mib_is_served_and_one_byte_more_is_refused(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        client.chat.completions.create(**sized(client, mark, LIMIT_BYTES))
        told = checked(stage, mark)
        assert told.request["received_bytes"] == LIMIT_BYTES
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(**sized(client, "none", LIMIT_BYTES + 1))
        assert caught.value.status_code == 413
        assert caught.value.code == "request_too_large"
        after = stage.mark()
        client.chat.completions.create(**chat("still there?", after))
    new = stage.take(1)
    assert new[0].request["status"] == 200


def test_the_provider_is_sent_the_request_without_our_own_field(stage: Stage) -> None:
    mark = stage.mark()
    sent: list[int] = []
    asked = chat("hello", mark, "echo=true", extra_body={"start_within": "2s", "service_level": {"a": [1, None, 1e-7]}})
    with stage.client() as client:
        client._client.event_hooks = {"request": [lambda request: sent.append(len(request.read()))]}
        answer = client.chat.completions.create(**asked, user="someone", seed=7, temperature=0.5)
    told = checked(stage, mark)
    (entry,) = stage.served(mark)
    added = ',"service_tier":"flex","stream":true,"stream_options":{"include_usage":true}'
    assert told.request["received_bytes"] == sent[0]
    assert entry["body_bytes"] == sent[0] - len(',"start_within":"2s"') + len(added)
    assert answer.choices[0].message.content == "hello"
    assert {"x-stainless-lang", "user-agent", "content-type", "accept"} <= set(entry["headers"])
    assert not {name for name in entry["headers"] if name.startswith("x-startline")}


async def one(client: openai.AsyncOpenAI, kind: int, mark: str) -> str:
    """One of ten kinds of request; its request id."""
    header = "x-startline-request-id"
    raced: Json = {"extra_body": {"start_within": "2s"}}
    raw: Any
    text = f"number {mark}"
    match kind:
        case 0:
            raw = await client.chat.completions.with_raw_response.create(**chat(text, mark, "echo=true"))
            assert raw.parse().choices[0].message.content == text
        case 1:
            raw = await client.chat.completions.with_raw_response.create(**chat(text, mark, "echo=true"), stream=True)
            said = [chunk.choices[0].delta.content or "" async for chunk in raw.parse()]
            assert "".join(said) == text
        case 2:
            asked = response(text, mark, "echo=true", **raced)
            raw = await client.responses.with_raw_response.create(**asked)
            assert raw.parse().output_text == text
        case 3:
            asked = response(text, mark, "echo=true,flex.refuse=flex_unavailable", **raced)
            raw = await client.responses.with_raw_response.create(**asked, stream=True)
            events = [event async for event in raw.parse()]
            assert events[-1].response.output_text == text
        case 4:
            asked = chat(text, mark, "echo=true,flex.start=60", **raced)
            raw = await client.chat.completions.with_raw_response.create(**asked)
            assert raw.parse().choices[0].message.content == text
        case 5:
            asked = {"model": "text-embedding-3-small", "input": text, "extra_body": {"metadata": metadata(mark)}}
            raw = await client.embeddings.with_raw_response.create(**asked)
            assert len(raw.parse().data) == 1
        case 6:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(**chat(text, mark, "refuse=insufficient_quota"))
            return str(caught.value.response.headers[header])
        case 7:
            asked = chat(text, mark, "tokens=2000,tokens_per_s=20", **raced)
            raw = await client.chat.completions.with_raw_response.create(**asked, stream=True)
            stream = raw.parse()
            await anext(stream)
            await stream.close()
        case 8:
            asked = chat(text, mark, "echo=true,flex.start=1.4,default.start=60,tokens_per_s=300", **raced)
            raw = await client.chat.completions.with_raw_response.create(**asked, stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in raw.parse()]) == text
        case _:
            asked = chat(text, mark, service_tier="priority", model="gpt-5.6-sol")
            raw = await client.chat.completions.with_raw_response.parse(**asked, response_format=Plan)
            assert isinstance(raw.parse().choices[0].message.parsed, Plan)
    return str(raw.headers[header])


def test_fifty_requests_at_once(stage: Stage) -> None:
    marks = [stage.mark() for _ in range(50)]

    async def main() -> list[str]:
        async with stage.async_client() as client:
            return await asyncio.gather(*(one(client, number % 10, mark) for number, mark in enumerate(marks)))

    ids = asyncio.run(main())
    told = {record.request["request_id"]: record for record in stage.take(50)}
    assert set(ids) == set(told)
    for mark, request_id in zip(marks, ids, strict=True):
        check(told[request_id], stage.served(mark))


def test_the_async_client_on_asyncio(stage: Stage) -> None:
    async def main() -> None:
        async with stage.async_client("/api/v1") as client:
            mark = stage.mark()
            answer = await client.chat.completions.create(**chat("hello", mark, "echo=true"))
            assert answer.choices[0].message.content == "hello"
            checked(stage, mark)
            mark = stage.mark()
            async with client.responses.stream(**response("hello", mark, "echo=true")) as stream:
                kinds = [event.type async for event in stream]
                assert (await stream.get_final_response()).output_text == "hello"
            assert kinds[-1] == "response.completed"
            checked(stage, mark)
            assert [model.id async for model in client.models.list()]

    asyncio.run(main())


async def test_the_async_client_on_trio(stage: Stage) -> None:
    async with stage.async_client() as client:
        mark = stage.mark()
        answer = await client.chat.completions.create(**chat("hello there", mark, "echo=true"))
        assert answer.choices[0].message.content == "hello there"
        checked(stage, mark)


def test_the_command_line_tells_the_same(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        client.chat.completions.create(**chat("hello", mark, "flex.start=30", extra_body={"start_within": "1s"}))
    told = checked(stage, mark)
    request_id = told.request["request_id"]
    one = msgspec.json.decode(command("usage", "--request", request_id, "--json", environ=stage.environ))
    assert one == {"request": told.request, "attempts": told.attempts, "plan": one["plan"]}
    assert one["plan"].startswith("fixed launch 0.5 s of 1 s; ")
    listed = msgspec.json.decode(command("usage", "--limit", "1", "--json", environ=stage.environ))
    assert listed["requests"] == [told.request]
    assert listed["totals"]["requests"] >= 1
    shown = command("usage", "--request", request_id, environ=stage.environ)
    assert "flex_deadline" in shown


def test_plain_http_without_an_sdk(stage: Stage) -> None:
    mark = stage.mark()
    answer = httpx.post(
        f"{stage.url}/v1/chat/completions",
        json=chat("hello", mark, "echo=true"),
        headers={"x-api-key": stage.key},
        trust_env=False,
    )
    assert answer.status_code == 200
    checked(stage, mark)
