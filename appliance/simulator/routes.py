"""Which provider and which call a request means.

Rule: one port plays all providers under the paths that their own base URLs have; a path that several of them have is
told apart by the header that only one of their SDKs sends.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from appliance.simulator import (
    anthropic,
    chat,
    embeddings,
    gemini,
    gemini_embeddings,
    generate_content,
    interactions,
    messages,
    openai,
    responses,
)
from appliance.simulator.connection import Request
from appliance.simulator.dialect import Family, Plain, Route

_ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {
        "/v1/chat/completions": Route(family=openai, dialect=chat),
        "/v1/responses": Route(family=openai, dialect=responses),
        "/v1/embeddings": Route(family=openai, plain=embeddings.answer),
        "/v1/messages": Route(family=anthropic, dialect=messages),
        "/v1/messages/count_tokens": Route(family=anthropic, plain=messages.count, name="count"),
    }
)
_VERSIONS: Final = ("v1", "v1beta", "v1alpha")
_METHODS: Final[Mapping[str, Plain | None]] = MappingProxyType(
    {
        "generateContent": None,
        "streamGenerateContent": None,
        "countTokens": generate_content.count,
        "embedContent": gemini_embeddings.one,
        "batchEmbedContents": gemini_embeddings.many,
    }
)


def find(request: Request) -> Route:
    """The route of a request; one without a dialect, a plain call or models is an unknown URL."""
    path = request.target.partition("?")[0]
    if path in _ROUTES:
        return _ROUTES[path]
    called = _gemini(path, request) or _interactions(path)
    if called is not None:
        return called
    family = _family(path, request)
    for version in _VERSIONS:
        models = f"/{version}/models"
        if path == models or path.startswith(f"{models}/"):
            return Route(family=family, models=unquote(path.removeprefix(models)).removeprefix("/"))
    return Route(family=family)


def _interactions(path: str) -> Route | None:
    """`/v1beta/interactions`, `/{id}` and `/{id}/cancel`."""
    _, version, collection, identity, action, *more = [*path.split("/"), *[""] * 4]
    if version not in _VERSIONS or collection != "interactions" or any(more):
        return None
    if not identity:
        return Route(family=gemini, dialect=interactions, say=interactions.error)
    return Route(family=gemini, say=interactions.error, kept=(unquote(identity), action))


def _family(path: str, request: Request) -> Family:
    """Whose a path is that several have: told by the header, or the query, that only one of them knows."""
    if request.header("anthropic-version"):
        return anthropic
    keyed = request.header("x-goog-api-key") or "key" in request.query()
    return gemini if keyed or path.startswith(("/v1beta/", "/v1alpha/")) else openai


def _gemini(path: str, request: Request) -> Route | None:
    """A call of a model of Google's, which its path names: `/v1beta/models/{model}:{method}`."""
    _, version, collection, *rest = [*path.split("/"), "", ""]
    name = unquote("/".join(rest).rstrip("/"))
    if version not in _VERSIONS or collection != "models":
        return None
    model, colon, method = name.rpartition(":")
    if not colon or method not in _METHODS:
        return None
    alt = request.query().get("alt", "json")
    given = {"model": model, "stream": method == "streamGenerateContent", "alt": alt}
    kind = _METHODS[method]
    if kind is None:
        array = bool(given["stream"]) and alt != "sse"
        return Route(family=gemini, dialect=generate_content, given=given, array=array)
    return Route(family=gemini, plain=kind, name=method, given=given)
