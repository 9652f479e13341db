"""What an interaction looks like, and its pieces in no dialect. The rule: what is not known is ignored.

Source: the official SDK's `Interaction`, its steps, `InteractionSSEEvent` and the deltas of steps.
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import Citation
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, StopReason
from appliance.domain.tokens import Tokens
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.translation.codec import Source

_ENCODER = msgspec.json.Encoder()
FAILURES: Final = frozenset({"failed", "cancelled"})
"""Statuses of an answer that is none."""

_STATUSES: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Source: google.rpc.Code's mapping to HTTP."""


class AnnotationShape(msgspec.Struct):
    """A note on a text."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class ContentShape(msgspec.Struct):
    """A content; of interest is text."""

    type: str = ""
    text: str | None = None
    annotations: list[AnnotationShape] | None = None


class DeltaShape(msgspec.Struct):
    """What is new of a step."""

    type: str = ""
    text: str | None = None
    content: ContentShape | None = None
    signature: str | None = None
    arguments: str | None = None
    annotations: list[AnnotationShape] | None = None


class StepShape(msgspec.Struct):
    """A step, whole or at its start."""

    type: str = ""
    content: list[ContentShape] | None = None
    summary: list[ContentShape] | None = None
    signature: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: Raw | UnsetType = UNSET


class InteractionShape(msgspec.Struct):
    """An interaction, whole or at its start."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    created: str | None = None
    service_tier: Any = None
    usage: Any = None
    steps: list[Raw] | None = None
    error: Any = None


class EventShape(msgspec.Struct):
    """An event."""

    event_type: str = ""
    index: int = 0
    interaction: InteractionShape | None = None
    step: Raw | UnsetType = UNSET
    delta: DeltaShape | None = None
    error: Any = None


EVENT = msgspec.json.Decoder(EventShape)
STEP = msgspec.json.Decoder(StepShape)
INTERACTION = msgspec.json.Decoder(InteractionShape)


def fault_of(error: Any, source: Source) -> UpstreamFault:
    """The fault that an error inside a 200 tells; its `code` is Google's word, here in small letters."""
    told = error if isinstance(error, dict) else {"message": str(error or "")}
    body = _ENCODER.encode({"error": told})
    name = word(told.get("code"))
    if name is not None and name.upper() in _STATUSES:
        told = told | {"status": name.upper(), "code": _STATUSES[name.upper()]}
    return in_stream(told, body, provider=source.provider, tier_asked=source.tier_asked, dialect="gemini_interactions")


def stop_of(status: str | None, *, called: bool) -> StopReason:
    """Why the model stopped."""
    if status in ("incomplete", "budget_exceeded"):
        return "length"
    return "tool_calls" if called or status == "requires_action" else "end"


def status_of(reason: StopReason | None) -> str:
    """`status` of an answer that has ended."""
    if reason == "tool_calls":
        return "requires_action"
    return "incomplete" if reason in ("length", "context_full", "filtered", "refusal") else "completed"


def citation_of(note: AnnotationShape) -> Citation | None:
    """A citation of a web page; None: other notes name what the provider keeps."""
    if note.type != "url_citation" or note.url is None:
        return None
    return Citation(note.url, note.title, start=note.start_index, end=note.end_index)


def annotation_object(citation: Citation) -> dict[str, Any] | None:
    """A citation of a web page; None: one of a document has no form here."""
    if citation.url is None:
        return None
    told: dict[str, Any] = {"type": "url_citation", "url": citation.url, "title": citation.title}
    told |= {"start_index": citation.start, "end_index": citation.end}
    return {name: value for name, value in told.items() if value is not None}


_LAST_SECOND = 253_402_300_799
"""Of the year 9999."""


def second_of(created: str | None) -> int | None:
    """A time as the second since 1970; None if it is none."""
    if created is None:
        return None
    try:
        return int(datetime.fromisoformat(created).timestamp())
    except (ValueError, OverflowError):
        return None


def time_of(second: int) -> str:
    """A second since 1970 as Google writes it; one that no calendar has is the nearest that there is."""
    return datetime.fromtimestamp(min(max(second, 0), _LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def usage_object(tokens: Tokens) -> dict[str, int] | None:
    """`usage`; None when neither side is known."""
    if tokens.input is None and tokens.output is None:
        return None
    taken, given, thought = tokens.input or 0, tokens.output or 0, tokens.reasoning or 0
    return {
        "total_input_tokens": taken,
        "total_cached_tokens": tokens.cached or 0,
        "total_output_tokens": max(0, given - thought),
        "total_thought_tokens": thought,
        "total_tool_use_tokens": 0,
        "total_tokens": taken + given,
    }


def interaction_object(answer: Answer, status: str) -> dict[str, Any]:
    """`interaction` without its steps; `created` must be told."""
    time = time_of(answer.created or 0)
    told: dict[str, Any] = {
        "id": answer.id,
        "object": "interaction",
        "status": status,
        "model": answer.model,
        "created": time,
        "updated": time,
    }
    if answer.tier is not None:
        told["service_tier"] = answer.tier
    usage = None if answer.usage is None else usage_object(answer.usage)
    if usage is not None:
        told["usage"] = usage
    return told
