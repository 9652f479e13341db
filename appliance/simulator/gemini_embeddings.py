"""Gemini's embeddings: one content or many, vectors as a function of the text.

Source of the shapes: the SDK's `models.py` (`_EmbedContentParametersPrivate_to_mldev`,
`_EmbedContentResponse_from_mldev`) and `types.EmbedContentResponse`. One content is answered with
`embedding`, many with `embeddings`.
"""

import math
from typing import Any, Final

from appliance.simulator.embeddings import vector
from appliance.simulator.faults import invalid
from appliance.simulator.generate_content_reading import camel, unknown
from appliance.simulator.reading import objects, positive
from appliance.simulator.world import Model

Json = dict[str, Any]

_FIELDS: Final = frozenset(("model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"))
_URL: Final = ("stream", "alt")
_DIMENSIONS: Final = 256
_MAX_DIMENSIONS: Final = 8_192


def one(body: Json, model: Model, seed: int) -> tuple[Json, Json | None]:
    """`:embedContent`. Raises Rejected (400) where Google would."""
    given = {name: value for name, value in body.items() if name not in _URL}
    values, tokens = _embed(given, model, seed)
    usage = _usage(tokens)
    return {"embedding": {"values": values}, "usageMetadata": usage}, usage


def many(body: Json, model: Model, seed: int) -> tuple[Json, Json | None]:
    """`:batchEmbedContents`: every request names the model of the URL. Raises Rejected."""
    requests = objects(body.get("requests"))
    if not requests or len(requests) > 100:
        raise invalid("* BatchEmbedContentsRequest.requests: between 1 and 100 requests are needed", "requests")
    answers = []
    for request in requests:
        if request.get("model") != f"models/{body['model']}":
            raise invalid("* BatchEmbedContentsRequest.requests: model must match the model of the URL", "requests")
        answers.append(_embed(request, model, seed))
    usage = _usage(sum(tokens for _, tokens in answers))
    return {"embeddings": [{"values": values} for values, _ in answers], "usageMetadata": usage}, usage


def _embed(request: Json, model: Model, seed: int) -> tuple[list[float], int]:
    given = camel(request)
    for name in given:
        if name not in _FIELDS:
            raise unknown(name, "")
    content = given.get("content")
    parts = objects(content.get("parts")) if isinstance(content, dict) else []
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    if not texts:
        raise invalid("* EmbedContentRequest.content: content is empty", "content")
    size = positive(given, "outputDimensionality") or model.dimensions or _DIMENSIONS
    if size > _MAX_DIMENSIONS:
        raise invalid("* EmbedContentRequest.output_dimensionality: too large", "output_dimensionality")
    text = "".join(texts)
    return vector(text, size, seed), max(1, math.ceil(len(text) / 4))


def _usage(tokens: int) -> Json:
    return {"promptTokenCount": tokens, "totalTokenCount": tokens}
