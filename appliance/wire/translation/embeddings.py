"""Embeddings of OpenAI's dialect said in Gemini's, and the other way. The rule: texts and dimensions, or a refusal.

Gemini is always asked for many at once (`batchEmbedContents`), OpenAI for floats. What only one of them knows (tokens
as input; task type and title) cannot be said to the other. Sources: the official SDKs' types of both calls.
"""

import base64
import struct
from typing import Any

import msgspec

from appliance.domain.errors import UpstreamFault
from appliance.wire.openai_stream import UNREADABLE
from appliance.wire.tokens_gemini import read_usage as read_gemini
from appliance.wire.tokens_openai import read_usage as read_openai
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.strict import read, top_level

BATCH = "batchEmbedContents"
_WHY = "cannot be said to this provider"
_ENCODER = msgspec.json.Encoder()


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    input: str | list[str]
    model: str = ""
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[_Part]
    role: str | None = None


class _One(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    content: _Content
    model: str | None = None
    output_dimensionality: int | None = None


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[_One]


class _Values(msgspec.Struct):
    values: list[float]


class _GeminiAnswer(msgspec.Struct, rename="camel"):
    embeddings: list[_Values]
    usage_metadata: Any = None


class _Embedded(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _OpenAIAnswer(msgspec.Struct):
    data: list[_Embedded]
    usage: Any = None


_ASKED = msgspec.json.Decoder(_Asked)
_ONE = msgspec.json.Decoder(_One)
_MANY = msgspec.json.Decoder(_Many)
_GEMINI = msgspec.json.Decoder(_GeminiAnswer)
_OPENAI = msgspec.json.Decoder(_OpenAIAnswer)


def to_gemini(body: bytes, model: str) -> bytes:
    """OpenAI's request as Gemini's. Raises CallerFault, naming the field."""
    asked = read(_ASKED, _ENCODER.encode(top_level(body)))
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    more = {} if asked.dimensions is None else {"outputDimensionality": asked.dimensions}
    named = f"models/{model}"
    return _ENCODER.encode({"requests": [{"model": named, "content": {"parts": [{"text": t}]}} | more for t in texts]})


def to_openai(body: bytes, model: str, action: str) -> bytes:
    """Gemini's request, one or many, as OpenAI's. Raises CallerFault, naming the field."""
    raw = _ENCODER.encode(top_level(body))
    asked = read(_MANY, raw).requests if action == BATCH else [read(_ONE, raw)]
    sizes = {one.output_dimensionality for one in asked}
    if len(sizes) != 1:
        raise Inexpressible("requests[].outputDimensionality", _WHY + " if it differs, and without requests")
    texts = ["".join(part.text for part in one.content.parts) for one in asked]
    given: dict[str, object] = {"model": model, "input": texts, "encoding_format": "float"}
    (size,) = sizes
    return _ENCODER.encode(given if size is None else given | {"dimensions": size})


def wants_base64(body: bytes) -> bool:
    """Whether a request of OpenAI's asks for its numbers in base64, as the official SDKs do. Raises CallerFault."""
    return read(_ASKED, _ENCODER.encode(top_level(body))).encoding_format == "base64"


def answer_to_openai(body: bytes, model: str, *, base64_wanted: bool) -> bytes:
    """Gemini's answer as OpenAI's. Raises UpstreamFault for garbage."""
    try:
        answer = _GEMINI.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", phase="body") from None
    used = read_gemini(answer.usage_metadata).input or 0
    try:
        told = [_packed(one.values) if base64_wanted else one.values for one in answer.embeddings]
    except OverflowError:  # of single precision
        raise UpstreamFault("provider_garbled", phase="body") from None
    rows = [{"object": "embedding", "index": index, "embedding": values} for index, values in enumerate(told)]
    usage = {"prompt_tokens": used, "total_tokens": used}
    return _ENCODER.encode({"object": "list", "data": rows, "model": model, "usage": usage})


def answer_to_gemini(body: bytes, action: str) -> bytes:
    """OpenAI's answer as Gemini's. Raises UpstreamFault for garbage."""
    try:
        answer = _OPENAI.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", phase="body") from None
    rows = [{"values": one.embedding} for one in sorted(answer.data, key=lambda one: one.index)]
    told: dict[str, object] = {"embeddings": rows} if action == BATCH else {"embedding": rows[0] if rows else {}}
    used = read_openai(answer.usage).input
    if used is not None:
        told["usageMetadata"] = {"promptTokenCount": used, "totalTokenCount": used}
    return _ENCODER.encode(told)


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
