"""Whole interactions, read and written. The rule: as a stream of the same answer, joined, would read."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from appliance.domain.chat import Opaque, Reasoning, Refusal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, AnswerPart, Stopped
from appliance.domain.tokens import UNKNOWN_TOKENS
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.tokens_gemini import read_interaction_usage
from appliance.wire.translation.codec import Reply, Source
from appliance.wire.translation.gemini_generate_answer_writer import function_call
from appliance.wire.translation.gemini_interactions_answer_shapes import (
    FAILURES,
    INTERACTION,
    STEP,
    ContentShape,
    annotation_object,
    citation_of,
    fault_of,
    interaction_object,
    second_of,
    status_of,
    stop_of,
)
from appliance.wire.translation.gemini_interactions_answer_writer import call_step
from appliance.wire.translation.gemini_interactions_shapes import NATIVE_STEPS
from appliance.wire.translation.gemini_seals import seal_of, signature_of

_ENCODER = msgspec.json.Encoder()


def read_answer(body: bytes, source: Source) -> Answer:
    """A whole answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    garbled = UpstreamFault("provider_garbled", provider=source.provider, phase="body")
    try:
        whole = decode_event(INTERACTION, body)
        parts = [part for place, raw in enumerate(whole.steps or ()) for part in _parts(raw, place)]
    except UNREADABLE:
        raise garbled from None
    if whole.error or whole.status in FAILURES:
        fault = fault_of(whole.error or {"code": whole.status, "message": None}, source)
        fault.phase = "body"
        raise fault
    if whole.status is None:
        raise garbled
    tier = word(whole.service_tier)
    tokens = None if whole.usage is None else read_interaction_usage(whole.usage)
    called = any(isinstance(part, ToolCall) for part in parts)
    return Answer(
        id=whole.id or "",
        model=whole.model or "",
        created=second_of(whole.created),
        parts=tuple(parts),
        stop=Stopped(stop_of(whole.status, called=called)),
        usage=tokens if tokens is not None or tier is None else UNKNOWN_TOKENS,
        tier=tier,
    )


def _parts(raw: Raw, place: int) -> list[AnswerPart]:
    step = STEP.decode(raw)
    if step.type == "model_output":
        return [_text(one) for one in step.content or () if one.text]
    if step.type == "thought":
        text = "".join(one.text or "" for one in step.summary or ())
        seal = seal_of(step.signature, kind="signature") if step.signature else None
        return [Reasoning(text, seal)] if text or seal is not None else []
    if step.type == "function_call":
        arguments = "{}" if step.arguments is UNSET else str(step.arguments, "utf-8")
        return [ToolCall(step.id or f"call_{place}", step.name or "", arguments)]
    return [Opaque("gemini_interactions", step.type, raw)] if step.type in NATIVE_STEPS else []


def _text(content: ContentShape) -> Text:
    cited = (citation_of(note) for note in content.annotations or ())
    return Text(content.text or "", citations=tuple(note for note in cited if note is not None))


def write_answer(answer: Answer, reply: Reply) -> bytes:
    """The body of a whole answer."""
    told = msgspec.structs.replace(
        answer,
        id=answer.id or reply.id,
        model=answer.model or reply.model,
        created=reply.created if answer.created is None else answer.created,
    )
    steps = [step for part in answer.parts if (step := _step(part)) is not None]
    whole = interaction_object(told, status_of(None if answer.stop is None else answer.stop.reason))
    return _ENCODER.encode(whole | {"steps": steps})


def _step(part: AnswerPart) -> Any:
    """The step that says a part; None: only another dialect knows it, or a call was cut off by a limit."""
    if isinstance(part, Text | Refusal):
        content: dict[str, Any] = {"type": "text", "text": part.text}
        notes = [] if isinstance(part, Refusal) else [annotation_object(one) for one in part.citations]
        if any(note is not None for note in notes):
            content["annotations"] = [note for note in notes if note is not None]
        return {"type": "model_output", "content": [content]}
    if isinstance(part, Reasoning):
        step: dict[str, Any] = {"type": "thought"}
        if part.seal is not None:
            step["signature"] = signature_of(part.seal, "signature")
        if part.text:
            step["summary"] = [{"type": "text", "text": part.text}]
        return step
    if isinstance(part, ToolCall):
        call = function_call(part, part.arguments)
        return None if call is None else call_step(part, call["args"])
    return part.raw if part.dialect == "gemini_interactions" else None
