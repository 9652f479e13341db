"""OpenAI Embeddings, passed through. The rule: no stream, no tier, no race; the answer is forwarded as it came."""

from typing import Final

from appliance.domain.errors import Fault
from appliance.wire import openai_chat
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Framing
from appliance.wire.openai_chat import Assembler, StreamReader, cost_event
from appliance.wire.openai_request import read_asked, write_body

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

NAME: Final = "openai_embeddings"
TIER_HEADER: Final[bytes | None] = None
COMMENTS: Final = True


def _not_raced(_body: RequestBody) -> str | None:
    return "no_stream"


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked. Raises CallerFault with the parameter named."""
    return read_asked(body, header_start_within, (), _not_raced)


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return b"/embeddings"


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send; embeddings know neither streams nor usage options."""
    return write_body(asked, model=model, tier=tier, stream=False, include_usage=False)


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """The facts of an answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    return openai_chat.read_answer(body, provider=provider, tier_asked=tier_asked)


def keep_alive(framing: Framing = "sse") -> bytes:
    """Unused: embeddings do not stream."""
    return openai_chat.keep_alive()


def error_event(
    fault: Fault,
    *,
    sequence_number: int = 0,
    response_id: str | None = None,
    request_id: str = "",
    framing: Framing = "sse",
) -> bytes:
    """Unused: embeddings do not stream."""
    return openai_chat.error_event(fault, sequence_number=sequence_number, response_id=response_id)
