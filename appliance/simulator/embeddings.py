"""Embeddings: unit vectors that are a function of the text, as floats or base64.

Source of the shape: the SDK's `types/create_embedding_response.py`; base64 is little-endian float32.
"""

import base64
import hashlib
import math
import struct
from random import Random
from typing import Any, Final

from appliance.simulator.faults import invalid
from appliance.simulator.reading import positive
from appliance.simulator.world import Model

_MAX_INPUTS: Final = 2_048
_DIMENSIONS: Final = 256  # of a model that is not one for embeddings
_MAX_DIMENSIONS: Final = 8_192


def answer(body: dict[str, Any], model: Model, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer and its usage. Raises Rejected (400) where OpenAI would."""
    given = body.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and all(isinstance(part, int) for part in given)):
        given = [given]
    if not isinstance(given, list) or not given or len(given) > _MAX_INPUTS:
        raise invalid("'input' must be a string, a list of tokens, or up to 2048 of them.", "input")
    size = positive(body, "dimensions") or model.dimensions or _DIMENSIONS
    if size > _MAX_DIMENSIONS:
        raise invalid("'dimensions' is too large.", "dimensions")
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    tokens = 0
    for index, part in enumerate(given):
        if not isinstance(part, str | list) or not part:
            raise invalid("'input' holds an empty or unknown value.", "input")
        tokens += len(part) if isinstance(part, list) else math.ceil(len(part) / 4)
        values = vector(repr(part), size, seed)
        packed = base64.b64encode(struct.pack(f"<{size}f", *values)).decode() if as_base64 else values
        data.append({"object": "embedding", "index": index, "embedding": packed})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}, usage


def vector(text: str, size: int, seed: int) -> list[float]:
    """A vector of length 1 for a text."""
    rng = Random(hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest())
    raw = [rng.uniform(-1, 1) for _ in range(size)]
    norm = math.sqrt(sum(value * value for value in raw)) or 1.0
    return [value / norm for value in raw]
