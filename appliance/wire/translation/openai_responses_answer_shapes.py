"""What a Responses answer looks like, and its pieces in no dialect. The rule: what is not known is ignored.

Source: the official SDK's `Response`, its output items and `ResponseStreamEvent`; a captured overload has its error
nested where the SDK's type is flat, so both are read.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, AnswerPart, StopReason
from appliance.domain.tokens import Tokens
from appliance.wire.provider_errors import in_stream
from appliance.wire.translation.codec import Source
from appliance.wire.translation.openai_chat_answer_shapes import LogprobShape
from appliance.wire.translation.openai_responses_shapes import NATIVE_ITEMS

_ENCODER = msgspec.json.Encoder()
BREAK: Final = "\n\n"
"""Between the parts of a summary."""


class AnnotationShape(msgspec.Struct):
    """A note on a text."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class PartShape(msgspec.Struct):
    """A part of a message's content, or of a reasoning item's summary or content."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[AnnotationShape] | None = None
    logprobs: Raw | UnsetType = UNSET


class ItemShape(msgspec.Struct):
    """An item of the output."""

    type: str = ""
    id: str | None = None
    content: list[PartShape] | None = None
    summary: list[PartShape] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class DetailsShape(msgspec.Struct):
    """Why an answer is not complete."""

    reason: str | None = None


class ResponseShape(msgspec.Struct):
    """A response, whole or at its start."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    error: Any = None
    incomplete_details: DetailsShape | None = None
    output: list[Raw] | None = None
    service_tier: Any = None
    usage: Any = None


RESPONSE = msgspec.json.Decoder(ResponseShape)
ITEM = msgspec.json.Decoder(ItemShape)
_LOGPROBS = msgspec.json.Decoder(list[LogprobShape] | None)
_NOTHING = Raw(b"[]")


def fault_of(error: Any, source: Source) -> UpstreamFault:
    """The fault that an error inside a 200 tells."""
    told = error if isinstance(error, dict) else {"message": str(error or "")}
    body = _ENCODER.encode({"error": told})
    return in_stream(told, body, provider=source.provider, tier_asked=source.tier_asked)


def stop_of(response: ResponseShape, *, called: bool) -> StopReason:
    """Why the model stopped: an answer that is complete ends with calls or without."""
    if response.status == "incomplete":
        reason = None if response.incomplete_details is None else response.incomplete_details.reason
        return "filtered" if reason == "content_filter" else "length"
    return "tool_calls" if called else "end"


def logprobs_of(raw: Raw | UnsetType) -> tuple[TokenLogprob, ...] | None:
    """The log-probabilities of a text; None if none were told."""
    if raw is UNSET or raw == _NOTHING:
        return None
    try:
        told = _LOGPROBS.decode(raw)
    except msgspec.DecodeError:
        return None
    known = [
        TokenLogprob(
            one.token,
            one.logprob,
            one.bytes,
            tuple(TokenLogprob(top.token, top.logprob, top.bytes) for top in one.top_logprobs or ()),
        )
        for one in told or ()
    ]
    return tuple(known) or None


def citation_of(annotation: AnnotationShape) -> Citation | None:
    """A citation of a web page; None: other notes name what the provider keeps."""
    if annotation.url is None:
        return None
    return Citation(annotation.url, annotation.title, start=annotation.start_index, end=annotation.end_index)


def reasoning_of(item: ItemShape, home: str) -> Reasoning:
    """A reasoning item: its summary, or where there is none the thought itself."""
    text = BREAK.join(part.text or "" for part in item.summary or item.content or ())
    return Reasoning(text, seal_of(item, home))


def seal_of(item: ItemShape, home: str) -> Seal | None:
    """The seal of a reasoning item."""
    return Seal(home, item.encrypted_content, "encrypted", item.id) if item.encrypted_content else None


def call_of(item: ItemShape, place: int) -> ToolCall | None:
    """A call; None: the item is none."""
    call_id = item.call_id or item.id or f"call_{place}"
    if item.type == "function_call":
        return ToolCall(call_id, item.name or "", item.arguments or "")
    if item.type == "custom_tool_call":
        return ToolCall(call_id, item.name or "", item.input or "", custom=True)
    return None


def text_of(part: PartShape) -> Text | Refusal | None:
    """A part of a message."""
    if part.refusal is not None:
        return Refusal(part.refusal)
    if part.text is None:
        return None
    cited = (citation_of(note) for note in part.annotations or ())
    return Text(
        part.text,
        citations=tuple(note for note in cited if note is not None),
        logprobs=logprobs_of(part.logprobs),
    )


def parts_of(raw: Raw, home: str, place: int) -> list[AnswerPart]:
    """An item of the output as parts. Raises one of UNREADABLE."""
    item = ITEM.decode(raw)
    if item.type == "message":
        return [told for part in item.content or () if (told := text_of(part)) is not None]
    if item.type == "reasoning":
        thought = reasoning_of(item, home)
        return [thought] if thought != Reasoning() else []
    call = call_of(item, place)
    if call is not None:
        return [call]
    return [Opaque("openai_responses", item.type, raw)] if item.type in NATIVE_ITEMS else []


def usage_object(tokens: Tokens) -> dict[str, Any] | None:
    """`usage`; None when neither side is known."""
    if tokens.input is None and tokens.output is None:
        return None
    taken, given = tokens.input or 0, tokens.output or 0
    details: dict[str, int] = {"cached_tokens": tokens.cached or 0}
    if tokens.cache_write is not None:
        details["cache_write_tokens"] = tokens.cache_write
    return {
        "input_tokens": taken,
        "input_tokens_details": details,
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning or 0},
        "total_tokens": taken + given,
    }


def response_object(answer: Answer, output: list[Any], status: str) -> dict[str, Any]:
    """`response`, with the fields that the SDK wants; `created` must be told."""
    reason = None
    if status == "incomplete" and answer.stop is not None:
        filtered = answer.stop.reason in ("filtered", "refusal")
        reason = {"reason": "content_filter" if filtered else "max_output_tokens"}
    told: dict[str, Any] = {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": reason,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None if answer.usage is None else usage_object(answer.usage),
    }
    if answer.tier is not None:
        told["service_tier"] = answer.tier
    return told


def status_of(reason: StopReason | None) -> str:
    """`status` of an answer that has ended."""
    return "incomplete" if reason in ("length", "context_full", "filtered", "refusal") else "completed"
