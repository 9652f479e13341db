"""Whole Responses answers, read and written. The rule: as a stream of the same answer, joined, would read."""

import msgspec

from appliance.domain.chat import ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, AnswerPart, Stopped
from appliance.domain.tokens import UNKNOWN_TOKENS
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.provider_errors import word
from appliance.wire.tokens_openai import read_usage
from appliance.wire.translation.codec import Reply, Source
from appliance.wire.translation.openai_responses_answer_shapes import (
    RESPONSE,
    ResponseShape,
    fault_of,
    parts_of,
    response_object,
    status_of,
    stop_of,
)
from appliance.wire.translation.openai_responses_items import item_of

_ENCODER = msgspec.json.Encoder()


def read_answer(body: bytes, source: Source) -> Answer:
    """A whole answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    garbled = UpstreamFault("provider_garbled", provider=source.provider, phase="body")
    try:
        whole = decode_event(RESPONSE, body)
        parts = _parts(whole, source)
    except UNREADABLE:
        raise garbled from None
    if whole.error or whole.status == "failed":
        fault = fault_of(whole.error, source)
        fault.phase = "body"
        raise fault
    if whole.output is None:
        raise garbled
    tier = word(whole.service_tier)
    tokens = None if whole.usage is None else read_usage(whole.usage)
    called = any(isinstance(part, ToolCall) for part in parts)
    return Answer(
        id=whole.id or "",
        model=whole.model or "",
        created=None if whole.created_at is None else int(whole.created_at),
        parts=tuple(parts),
        stop=Stopped(stop_of(whole, called=called)),
        usage=tokens if tokens is not None or tier is None else UNKNOWN_TOKENS,
        tier=tier,
    )


def _parts(whole: ResponseShape, source: Source) -> list[AnswerPart]:
    return [part for place, raw in enumerate(whole.output or ()) for part in parts_of(raw, source.home, place)]


def write_answer(answer: Answer, reply: Reply) -> bytes:
    """The body of a whole answer."""
    told = msgspec.structs.replace(
        answer,
        id=answer.id or reply.id,
        model=answer.model or reply.model,
        created=reply.created if answer.created is None else answer.created,
    )
    items = (item_of(part, told.id, index) for index, part in enumerate(answer.parts))
    output = [item for item in items if item is not None]
    status = status_of(None if answer.stop is None else answer.stop.reason)
    return _ENCODER.encode(response_object(told, output, status))
