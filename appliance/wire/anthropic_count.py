"""Anthropic's `count_tokens`, passed through. The rule: no stream, no tier, no race, and it costs nothing.

Coding agents ask it before nearly every turn; it is not billed (documented), so its count is no usage of the request.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import UpstreamFault
from appliance.domain.tokens import NO_TOKENS
from appliance.wire.anthropic_messages import Assembler, StreamReader, cost_event, error_event, keep_alive
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked
from appliance.wire.openai_request import read_asked, write_body
from appliance.wire.openai_stream import UNREADABLE
from appliance.wire.provider_errors import in_stream

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

NAME: Final = "anthropic_count"
TIER_HEADER: Final[bytes | None] = None
COMMENTS: Final = True


class _Count(msgspec.Struct):
    input_tokens: Any = None
    error: Any = None


_COUNT = msgspec.json.Decoder(_Count)


def _not_raced(_body: RequestBody) -> str | None:
    return "no_stream"


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked. Raises CallerFault with the parameter named."""
    return read_asked(body, header_start_within, (), _not_raced)


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return b"/messages/count_tokens"


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send."""
    return write_body(asked, model=model, tier=tier, stream=False, include_usage=False)


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """That it is one. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        count = _COUNT.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=provider, phase="body") from None
    if count.error:
        raise in_stream(count.error, body, provider=provider, tier_asked=tier_asked, dialect=NAME)
    return Answer(None, NO_TOKENS)
