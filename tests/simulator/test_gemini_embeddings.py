"""Gemini's embeddings: one and many are the same vectors, and bad requests are refused."""

from typing import Any

import pytest

from appliance.simulator.faults import Rejected
from appliance.simulator.gemini_embeddings import many, one
from appliance.simulator.world import Model

CONTENT = {"parts": [{"text": "hello"}]}


def test_one_and_many_have_the_same_vectors() -> None:
    single, usage = one({"model": "e", "content": CONTENT, "stream": False, "alt": "json"}, Model(dimensions=4), 1)
    requests = [{"model": "models/e", "content": CONTENT}] * 2
    several, _ = many({"model": "e", "requests": requests}, Model(dimensions=4), 1)
    assert several["embeddings"] == [single["embedding"]] * 2
    assert len(single["embedding"]["values"]) == 4
    assert usage == {"promptTokenCount": 2, "totalTokenCount": 2}


@pytest.mark.parametrize(
    "body",
    [
        {"requests": []},
        {"requests": [{"model": "e", "content": CONTENT}]},
        {"requests": [{"model": "models/e"}]},
        {"requests": [{"model": "models/e", "content": CONTENT, "input": "x"}]},
        {"requests": [{"model": "models/e", "content": CONTENT, "outputDimensionality": 10_000}]},
    ],
)
def test_bad_requests(body: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        many({"model": "e"} | body, Model(), 1)
