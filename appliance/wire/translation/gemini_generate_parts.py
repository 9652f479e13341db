"""Parts of a generateContent answer in no dialect. The rule: the stream's reader and the whole's read them alike."""

import re

import msgspec
from msgspec import UNSET, Raw

from appliance.domain.chat import Opaque, ToolCall
from appliance.wire.translation.gemini_generate_answer_shapes import OPAQUE, CallShape, PartShape

_ENCODER = msgspec.json.Encoder()
_NULL = Raw(b"null")
_ODD = re.compile(r"[^A-Za-z0-9_-]")


def call_of(told: CallShape, response_id: str, place: int) -> ToolCall:
    """A call. One without an id gets one from the response's id and its place, so that no two turns share it."""
    arguments = "{}" if told.args is UNSET or told.args == _NULL else str(told.args, "utf-8")
    return ToolCall(told.id or f"call_{_ODD.sub('', response_id)[:40]}_{place}", told.name, arguments)


def opaque_of(part: PartShape) -> Opaque | None:
    """What only this dialect knows, in a part; None: there is nothing."""
    for name in OPAQUE:
        value = getattr(part, name)
        if value is not UNSET and value != _NULL:
            return Opaque("gemini_generate", name, Raw(_ENCODER.encode(part)))
    return None
