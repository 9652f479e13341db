"""A call's arguments for dialects in which they are an object. The rule: the model's own bytes, or a refusal."""

from typing import Final

import msgspec
from msgspec import Raw

from appliance.domain.chat import ToolCall
from appliance.wire.translation.drops import Inexpressible

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_NO_ARGUMENTS: Final = Raw(b"{}")


def arguments(call: ToolCall, at: str) -> Raw:
    """A call's arguments as the object that they are. Raises Inexpressible if they are none."""
    if not call.arguments.strip():
        return _NO_ARGUMENTS
    try:
        _OBJECT.decode(call.arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Inexpressible(at, "a tool call's arguments are not a JSON object") from None
    return Raw(call.arguments)
