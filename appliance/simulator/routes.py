"""Which provider and which call a request means.

Rule: one port plays all providers under the paths that their own base URLs have; a path that several of them have is
told apart by the header that only one of their SDKs sends.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote

from appliance.simulator import anthropic, chat, embeddings, messages, openai, responses
from appliance.simulator.connection import Request
from appliance.simulator.dialect import Family, Route

_ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {
        "/v1/chat/completions": Route(family=openai, dialect=chat),
        "/v1/responses": Route(family=openai, dialect=responses),
        "/v1/embeddings": Route(family=openai, plain=embeddings.answer),
        "/v1/messages": Route(family=anthropic, dialect=messages),
        "/v1/messages/count_tokens": Route(family=anthropic, plain=messages.count, name="count"),
    }
)
_MODELS: Final = "/v1/models"


def find(request: Request) -> Route:
    """The route of a request; one without a dialect, a plain call or models is an unknown URL."""
    path = request.target.partition("?")[0]
    if path in _ROUTES:
        return _ROUTES[path]
    family: Family = anthropic if request.header("anthropic-version") else openai
    if path == _MODELS or path.startswith(f"{_MODELS}/"):
        return Route(family=family, models=unquote(path.removeprefix(_MODELS)).removeprefix("/"))
    return Route(family=family)


def query_of(request: Request) -> dict[str, str]:
    """The query of a request's URL; of a name that comes twice the last counts."""
    return dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))
