"""Embeddings asked in one dialect of a provider of the other."""

from collections.abc import Callable

import msgspec
from trio.testing import MockClock

from appliance.request.endpoint import EMBEDDINGS, GEMINI_COUNT, GEMINI_EMBED
from tests.request.stage import Stage, whole

Make = Callable[..., Stage]


async def test_openai_before_gemini(clock: MockClock, stage: Make) -> None:
    told = {"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}
    s = stage(untiered=whole(0.0, told), provider={"kind": "gemini", "models": ("g",)})
    call, client = s.prepare({}, endpoint=EMBEDDINGS)
    call.body = msgspec.json.encode({"model": "g", "input": "a", "encoding_format": "float"})
    await s.run(call)
    assert client.json()["data"][0]["embedding"] == [0.5]
    assert client.headers["x-startline-translated"] == "gemini_unary"
    assert s.provider.asked[0].head.startswith(b"POST /v1/models/g:batchEmbedContents HTTP/1.1")
    assert (s.request.tokens.input, s.request.dialect) == (3, "openai_embeddings")


async def test_gemini_before_openai_and_what_cannot_be_said(clock: MockClock, stage: Make) -> None:
    told = {"data": [{"embedding": [0.5], "index": 0}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    s = stage(untiered=whole(0.0, told), provider={"models": ("o",)})
    content = {"parts": [{"text": "a"}]}
    answers = []
    for argument, body in (
        ("o:embedContent", {"content": content}),
        ("o:embedContent", {"content": content, "taskType": "CLUSTERING"}),
        ("o:countTokens", {"contents": [content]}),
    ):
        endpoint = GEMINI_COUNT if argument.endswith("countTokens") else GEMINI_EMBED
        call, client = s.prepare({}, endpoint=endpoint, argument=argument)
        call.body = msgspec.json.encode(body)
        await s.run(call)
        answers.append(client)
    good, refused, counting = answers
    assert good.json()["embedding"] == {"values": [0.5]}
    assert refused.json()["error"]["startline"]["code"] == "inexpressible"
    assert counting.json()["error"]["startline"]["code"] == "dialect_unsupported"
    assert [asked.head.split(b" ")[1] for asked in s.provider.asked] == [b"/v1/embeddings"]
