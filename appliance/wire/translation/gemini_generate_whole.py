"""Whole generateContent answers, read and written. The rule: as a stream of the same answer, joined, would read."""

from typing import Any

import msgspec

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Stopped
from appliance.domain.tokens import UNKNOWN_TOKENS
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.translation.codec import Reply, Source
from appliance.wire.translation.gemini_generate_answer_shapes import (
    FAILURES,
    RESPONSE,
    CandidateShape,
    failure_of,
    fault_of,
    logprobs_object,
    logprobs_of,
    stop_of,
    tier_of,
    tokens_of,
    usage_object,
)
from appliance.wire.translation.gemini_generate_answer_writer import finish_reason, function_call
from appliance.wire.translation.gemini_generate_parts import call_of, opaque_of
from appliance.wire.translation.gemini_grounding import Places, citations_of, grounding_object
from appliance.wire.translation.gemini_seals import seal_of, signature_of

_ENCODER = msgspec.json.Encoder()


def read_answer(body: bytes, source: Source) -> Answer:
    """A whole answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = decode_event(RESPONSE, body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=source.provider, phase="body") from None
    if whole.error:
        fault = fault_of(whole.error, source)
        fault.phase = "body"
        raise fault
    candidate = next((one for one in whole.candidates or () if one.index == 0), None)
    blocked = None if whole.prompt_feedback is None else whole.prompt_feedback.block_reason
    if candidate is None and not blocked:
        raise UpstreamFault("provider_garbled", provider=source.provider, phase="body")
    parts: list[Text | Reasoning | Refusal | ToolCall | Opaque] = []
    stop = Stopped("filtered", category=blocked)
    if candidate is not None:
        reason = candidate.finish_reason or "STOP"
        if reason in FAILURES:
            fault = failure_of(reason, source)
            fault.phase = "body"
            raise fault
        parts = _parts(candidate, whole.response_id or "")
        stop = Stopped(stop_of(reason, any(isinstance(part, ToolCall) for part in parts)))
    usage = whole.usage_metadata
    tokens = None if usage is None else tokens_of(usage)
    return Answer(
        id=whole.response_id or "",
        model=whole.model_version or "",
        parts=tuple(parts),
        stop=stop,
        usage=None if tokens == UNKNOWN_TOKENS else tokens,
        tier=None if usage is None else tier_of(usage),
    )


def _parts(candidate: CandidateShape, response_id: str) -> list[Text | Reasoning | Refusal | ToolCall | Opaque]:
    parts: list[Text | Reasoning | Refusal | ToolCall | Opaque] = []
    places = Places()
    begins = 0
    last_text: int | None = None
    told = [] if candidate.content is None else candidate.content.parts or []
    for part in told:
        call = None if part.function_call is None else call_of(part.function_call, response_id, len(parts))
        signature = part.thought_signature
        seal = None if signature is None else seal_of(signature, None if call is None else call.id)
        if part.thought and part.text is not None and seal is not None and seal.kind != "part":
            if parts and type(parts[-1]) is Reasoning and parts[-1].seal is None:
                parts[-1] = Reasoning(parts[-1].text + part.text, seal)
            else:
                parts.append(Reasoning(part.text, seal))
            continue
        if seal is not None:
            parts.append(Reasoning(seal=seal))
        if part.text:
            if part.thought:
                parts.append(Reasoning(part.text))
            else:
                begins, last_text = places.chars, len(parts)
                places.add(part.text)
                parts.append(Text(part.text))
        elif call is not None:
            parts.append(call)
        elif part.text is None and (opaque := opaque_of(part)) is not None:
            parts.append(opaque)
    if last_text is not None:
        text = parts[last_text]
        if isinstance(text, Text):
            cited: tuple[Citation, ...] = ()
            if candidate.grounding_metadata is not None:
                cited = tuple(citations_of(candidate.grounding_metadata, places, begins))
            logprobs = logprobs_of(candidate.logprobs_result)
            parts[last_text] = Text(text.text, citations=cited, logprobs=logprobs)
    return parts


def write_answer(answer: Answer, reply: Reply) -> bytes:
    """The body of a whole answer."""
    parts: list[Any] = []
    cited: list[tuple[Citation, int]] = []
    places = Places()
    logprobs: list[Any] = []
    signing: Seal | None = None  # of the part that follows
    broken = False
    for part in answer.parts:
        told: dict[str, Any]
        if isinstance(part, Reasoning):
            seal = part.seal
            if seal is not None and seal.home == "gemini" and seal.kind == "part" and not part.text:
                if signing is not None:
                    parts.append({"text": "", "thoughtSignature": signature_of(signing)})
                signing = seal
                continue
            told = {"text": part.text, "thought": True}
            if seal is not None:
                told["thoughtSignature"] = signature_of(seal)
            parts.append(told)
            continue
        if isinstance(part, Opaque):
            if part.dialect == "gemini_generate":
                parts.append(part.raw)
            continue
        if isinstance(part, ToolCall):
            call = function_call(part, part.arguments)
            if call is None:
                broken = True
                continue
            told = {"functionCall": call}
        else:
            told = {"text": part.text}
        if isinstance(part, Text):
            cited += [(citation, places.chars) for citation in part.citations]
            places.add(part.text)
            logprobs += part.logprobs or ()
        if signing is not None:
            told["thoughtSignature"] = signature_of(signing)
            signing = None
        parts.append(told)
    if signing is not None:
        parts.append({"text": "", "thoughtSignature": signature_of(signing)})
    candidate: dict[str, Any] = {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": finish_reason(answer.stop, broken=broken),
        "index": 0,
    }
    ground = grounding_object(cited, places)
    if ground is not None:
        candidate["groundingMetadata"] = ground
    if logprobs:
        candidate["logprobsResult"] = logprobs_object(tuple(logprobs))
    whole: dict[str, Any] = {"candidates": [candidate]}
    usage = None if answer.usage is None else usage_object(answer.usage)
    if usage is not None:
        whole["usageMetadata"] = usage
    whole["modelVersion"] = answer.model or reply.model
    whole["responseId"] = answer.id or reply.id
    return _ENCODER.encode(whole)
