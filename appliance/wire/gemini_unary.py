"""Gemini's countTokens and embeddings, passed through. The rule: no stream, no tier, no race.

Counting costs nothing (documented); of embeddings the usage is read where it is told.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import UpstreamFault
from appliance.domain.tokens import NO_TOKENS
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked
from appliance.wire.gemini_generate import COMMENTS, Assembler, StreamReader, cost_event, error_event, keep_alive
from appliance.wire.gemini_request import model_and_action, model_path, read_asked, write_body
from appliance.wire.openai_stream import UNREADABLE
from appliance.wire.provider_errors import in_stream
from appliance.wire.tokens_gemini import read_usage

__all__ = [
    "COMMENTS",
    "NAME",
    "TIER_HEADER",
    "Assembler",
    "StreamReader",
    "cost_event",
    "error_event",
    "keep_alive",
    "path",
    "read_answer",
    "read_request",
    "upstream_body",
]

NAME: Final = "gemini_unary"
TIER_HEADER: Final[bytes | None] = None


class _Whole(msgspec.Struct, rename="camel"):
    total_tokens: Any = None
    usage_metadata: Any = None
    error: Any = None


_WHOLE = msgspec.json.Decoder(_Whole)


def _not_raced(_body: RequestBody) -> str | None:
    return "no_stream"


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked; `argument` is `model:action`. Raises CallerFault with the parameter named."""
    model, action = model_and_action(argument)
    asked = read_asked(body, None, model, stream=False, most=None, not_raced=_not_raced)
    return msgspec.structs.replace(asked, action=action)


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return model_path(model, asked.action)


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send."""
    return write_body(asked, None, {}, "serviceTier")


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """The facts of an answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = _WHOLE.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=provider, phase="body") from None
    if whole.error:
        raise in_stream(whole.error, body, provider=provider, tier_asked=tier_asked, dialect=NAME)
    return Answer(None, NO_TOKENS if whole.total_tokens is not None else read_usage(whole.usage_metadata))
