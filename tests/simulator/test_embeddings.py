"""Embeddings: the SDK's shape, unit vectors, base64 of the same numbers."""

import base64
import math
import struct
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse

from appliance.simulator.embeddings import answer
from appliance.simulator.faults import Rejected
from appliance.simulator.world import Model


def test_shape_and_numbers() -> None:
    told, usage = answer({"model": "e", "input": ["one", "two", "one"]}, Model(dimensions=16), 1)
    parsed = CreateEmbeddingResponse.model_validate_json(msgspec.json.encode(told), strict=True)
    assert [one.index for one in parsed.data] == [0, 1, 2]
    assert parsed.data[0].embedding == parsed.data[2].embedding != parsed.data[1].embedding
    assert math.isclose(sum(x * x for x in parsed.data[0].embedding), 1.0)
    assert usage == {"prompt_tokens": 3, "total_tokens": 3}


def test_base64_holds_the_same_numbers() -> None:
    plain, _ = answer({"model": "e", "input": "one"}, Model(dimensions=4), 1)
    packed, _ = answer({"model": "e", "input": "one", "encoding_format": "base64"}, Model(dimensions=4), 1)
    numbers = struct.unpack("<4f", base64.b64decode(packed["data"][0]["embedding"]))
    assert numbers == pytest.approx(plain["data"][0]["embedding"])


def test_dimensions_and_tokens() -> None:
    told, usage = answer({"model": "e", "input": [1, 2, 3], "dimensions": 5}, Model(dimensions=16), 1)
    assert len(told["data"][0]["embedding"]) == 5
    assert usage["prompt_tokens"] == 3


@pytest.mark.parametrize("given", [None, "", [], [""], [{}], 7, ["a"] * 2049])
def test_bad_inputs(given: Any) -> None:
    with pytest.raises(Rejected):
        answer({"model": "e", "input": given}, Model(dimensions=16), 1)
