"""What a Messages answer looks like, and its pieces in no dialect. The rule: what is not known is ignored.

Source: the official SDK's `Message`, `RawMessageStreamEvent`, `TextCitation` and `Usage`.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from appliance.domain.chat import Citation, Opaque
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Stopped, StopReason
from appliance.domain.tokens import Tokens
from appliance.wire.provider_errors import in_stream
from appliance.wire.translation.codec import Source

STOPS: Final[dict[str, StopReason]] = {
    "end_turn": "end",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_full",
}
REASONS: Final[dict[StopReason, str]] = {stop: reason for reason, stop in STOPS.items()} | {"filtered": "refusal"}


class BlockShape(msgspec.Struct):
    """A block as it starts, and a whole block: what the known kinds have."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Raw] | None = None
    citations: list[Raw] | None = None


class StopDetails(msgspec.Struct, gc=False):
    """What kind of refusal it was."""

    category: str | None = None


class MessageShape(msgspec.Struct):
    """A whole message, and the empty one that opens a stream."""

    id: str = ""
    model: str = ""
    content: list[Raw] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: Any = None
    error: Any = None


class CitationShape(msgspec.Struct):
    """Any of the kinds of citation."""

    type: str = ""
    cited_text: str | None = None
    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None


BLOCK: Final = msgspec.json.Decoder(BlockShape)
MESSAGE: Final = msgspec.json.Decoder(MessageShape)
_CITATION = msgspec.json.Decoder(CitationShape)


def fault_of(error: Any, data: bytes, source: Source) -> UpstreamFault:
    """The fault that an error inside a 200 tells; `data` is the whole event or body."""
    return in_stream(error, data, provider=source.provider, tier_asked=source.tier_asked, dialect="anthropic_messages")


def citation_of(raw: Raw) -> Citation:
    """A citation; as it stood on the wire, too."""
    try:
        told = _CITATION.decode(raw)
    except msgspec.DecodeError:
        told = CitationShape()  # in a form of a provider's own
    native = Opaque("anthropic_messages", told.type, raw.copy())
    return Citation(told.url or told.source, told.title or told.document_title, told.cited_text, native=native)


def citation_object(citation: Citation) -> Any:
    """A citation as Messages writes it; None if it has neither a page nor a form of its own."""
    if citation.native is not None and citation.native.dialect == "anthropic_messages":
        return citation.native.raw
    if citation.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.quote or "",
        "encrypted_index": "",
    }


def stop_of(reason: str | None, sequence: str | None, details: StopDetails | None) -> Stopped:
    """Why it stopped."""
    return Stopped(STOPS.get(reason or "", "end"), sequence, None if details is None else details.category)


def stop_fields(stop: Stopped, *, refused: bool) -> dict[str, Any]:
    """`stop_reason` and what goes with it; an answer with a refusal among its parts was refused."""
    reason = "refusal" if refused and stop.reason == "end" else REASONS[stop.reason]
    fields: dict[str, Any] = {"stop_reason": reason, "stop_sequence": stop.sequence}
    if stop.category is not None:
        fields["stop_details"] = {"type": "refusal", "category": stop.category, "explanation": None}
    return fields


def usage_object(tokens: Tokens | None) -> dict[str, Any]:
    """`usage`: input is what was neither read from nor written to the cache. Unknown is zero where it must be."""
    if tokens is None:
        return {"input_tokens": 0, "output_tokens": 0}
    cached, written = tokens.cached or 0, tokens.cache_write or 0
    usage: dict[str, Any] = {"input_tokens": max(0, (tokens.input or 0) - cached - written)}
    if tokens.cache_write is not None:
        usage["cache_creation_input_tokens"] = written
    if tokens.cached is not None:
        usage["cache_read_input_tokens"] = cached
    usage["output_tokens"] = tokens.output or 0
    if tokens.reasoning is not None:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage
