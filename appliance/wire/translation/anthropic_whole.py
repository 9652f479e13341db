"""Whole Messages answers, read and written. The rule: as a stream of the same answer, joined, would read."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from appliance.domain.chat import Opaque, Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, AnswerPart, Stopped
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.tokens_anthropic import read_usage, served_tier
from appliance.wire.translation.anthropic_answer_shapes import (
    BLOCK,
    MESSAGE,
    citation_object,
    citation_of,
    fault_of,
    stop_fields,
    stop_of,
    usage_object,
)
from appliance.wire.translation.codec import Reply, Source
from appliance.wire.translation.seals import stamp

_ENCODER = msgspec.json.Encoder()
_INPUT = msgspec.json.Decoder(dict[str, Raw])
_TIERS: Final = {"default": "standard"}


class _Input(msgspec.Struct):
    input: Raw = Raw(b"{}")


_CALL = msgspec.json.Decoder(_Input)


def read_answer(body: bytes, source: Source) -> Answer:
    """A whole answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = decode_event(MESSAGE, body)
        if whole.error:
            fault = fault_of(whole.error, body, source)
            fault.phase = "body"
            raise fault
        if whole.stop_reason is None and not whole.content:
            raise UpstreamFault("provider_garbled", provider=source.provider, phase="body")
        parts = tuple(_part(raw, number, source) for number, raw in enumerate(whole.content))
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=source.provider, phase="body") from None
    return Answer(
        id=whole.id,
        model=whole.model,
        parts=parts,
        stop=stop_of(whole.stop_reason, whole.stop_sequence, whole.stop_details),
        usage=None if whole.usage is None else read_usage(whole.usage),
        tier=word(served_tier(whole.usage)),
    )


def _part(raw: Raw, number: int, source: Source) -> AnswerPart:
    block = decode_event(BLOCK, raw)
    if block.type == "text":
        return Text(block.text or "", citations=tuple(citation_of(one) for one in block.citations or ()))
    if block.type == "thinking":
        seal = Seal(source.home, block.signature) if block.signature else None
        return Reasoning(block.thinking or "", seal)
    if block.type == "redacted_thinking":
        return Reasoning("", Seal(source.home, block.data or "", "redacted"))
    if block.type == "tool_use":
        told = decode_event(_CALL, raw).input
        return ToolCall(block.id or f"call_{number}", block.name or "", str(told, "utf-8"))
    return Opaque("anthropic_messages", block.type, raw.copy())


def write_answer(answer: Answer, reply: Reply) -> bytes:
    """The body of a whole answer. A call whose arguments are no JSON object has `{}`: nothing else could be read."""
    usage = usage_object(answer.usage)
    if answer.tier is not None:
        usage["service_tier"] = _TIERS.get(answer.tier, answer.tier)
    message = {
        "id": answer.id or reply.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model or reply.model,
        "content": [block for part in answer.parts if (block := _block(part)) is not None],
        **stop_fields(answer.stop or Stopped("end"), refused=any(isinstance(part, Refusal) for part in answer.parts)),
        "usage": usage,
    }
    return _ENCODER.encode(message)


def _block(part: AnswerPart) -> Any:
    if isinstance(part, Text):
        block: dict[str, Any] = {"type": "text", "text": part.text}
        cited = [told for citation in part.citations if (told := citation_object(citation)) is not None]
        return block | {"citations": cited} if cited else block
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text}
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": _arguments(part.arguments)}
    if isinstance(part, Reasoning):
        return _thought(part)
    return part.raw if part.dialect == "anthropic_messages" else None


def _thought(part: Reasoning) -> Any:
    seal = part.seal
    if seal is None:
        return {"type": "thinking", "thinking": part.text, "signature": ""} if part.text else None
    if seal.kind == "redacted" and not part.text:
        return {"type": "redacted_thinking", "data": stamp(seal, "anthropic", ("redacted",))}
    return {"type": "thinking", "thinking": part.text, "signature": stamp(seal, "anthropic", ("signature",))}


def _arguments(text: str) -> Raw:
    try:
        _INPUT.decode(text)
    except UNREADABLE:
        return Raw(b"{}")
    return Raw(text)
