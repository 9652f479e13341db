"""Embeddings between OpenAI's dialect and Gemini's: texts and dimensions cross, the rest is refused."""

import base64
import struct
from typing import Any

import msgspec
import pytest

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.wire.translation.embeddings import (
    BATCH,
    answer_to_gemini,
    answer_to_openai,
    to_gemini,
    to_openai,
    wants_base64,
)


def encoded(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def test_openai_to_gemini() -> None:
    body = encoded(model="x", input=["one", "two"], dimensions=4, encoding_format="base64", start_within="30s")
    assert wants_base64(body)
    first, second = msgspec.json.decode(to_gemini(body, "g"))["requests"]
    assert first == {"model": "models/g", "content": {"parts": [{"text": "one"}]}, "outputDimensionality": 4}
    assert second["content"]["parts"] == [{"text": "two"}]
    assert len(msgspec.json.decode(to_gemini(encoded(input="one"), "g"))["requests"]) == 1


@pytest.mark.parametrize("given", [{"input": [1, 2]}, {"input": [[1], [2]]}, {"input": "a", "stream": True}])
def test_what_gemini_cannot_take_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(CallerFault) as refused:
        to_gemini(encoded(**given), "g")
    assert refused.value.status == 400


def test_gemini_to_openai() -> None:
    content = {"role": "user", "parts": [{"text": "one "}, {"text": "two"}]}
    one = msgspec.json.decode(to_openai(encoded(content=content, outputDimensionality=4), "o", "embedContent"))
    assert one == {"model": "o", "input": ["one two"], "encoding_format": "float", "dimensions": 4}
    requests = [{"model": "models/x", "content": content}, {"model": "models/x", "content": content}]
    many = msgspec.json.decode(to_openai(encoded(requests=requests), "o", BATCH))
    assert many["input"] == ["one two"] * 2


@pytest.mark.parametrize("given", [{"taskType": "RETRIEVAL_QUERY"}, {"title": "a"}])
def test_what_openai_does_not_know_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(CallerFault) as refused:
        to_openai(encoded(content={"parts": [{"text": "a"}]}, **given), "o", "embedContent")
    assert (refused.value.code, refused.value.param) == ("inexpressible", next(iter(given)))
    with pytest.raises(CallerFault):
        to_openai(encoded(requests=[]), "o", BATCH)


def test_answers() -> None:
    told = encoded(embeddings=[{"values": [0.5, -1.0]}], usageMetadata={"promptTokenCount": 3, "totalTokenCount": 3})
    plain = msgspec.json.decode(answer_to_openai(told, "m", base64_wanted=False))
    assert plain["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}]
    assert (plain["model"], plain["usage"]) == ("m", {"prompt_tokens": 3, "total_tokens": 3})
    packed = msgspec.json.decode(answer_to_openai(told, "m", base64_wanted=True))["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == (0.5, -1.0)
    rows = [{"embedding": [1.0], "index": 1}, {"embedding": [2.0], "index": 0}]
    said = encoded(data=rows, usage={"prompt_tokens": 3, "total_tokens": 3})
    many = msgspec.json.decode(answer_to_gemini(said, BATCH))
    assert many["embeddings"] == [{"values": [2.0]}, {"values": [1.0]}]
    assert many["usageMetadata"]["promptTokenCount"] == 3
    assert msgspec.json.decode(answer_to_gemini(said, "embedContent"))["embedding"] == {"values": [2.0]}
    with pytest.raises(UpstreamFault):
        answer_to_gemini(b"{}", BATCH)
    with pytest.raises(UpstreamFault):
        answer_to_openai(b"[]", "m", base64_wanted=False)


def test_a_number_beyond_single_precision_is_garbage_where_it_must_be_packed() -> None:
    body = b'{"embeddings":[{"values":[1e300]}]}'
    answer_to_openai(body, "m", base64_wanted=False)
    with pytest.raises(UpstreamFault, match="provider_garbled"):
        answer_to_openai(body, "m", base64_wanted=True)
