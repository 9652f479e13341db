"""Request bodies read into typed shapes. The rule: what a shape does not name is refused, and the field is told.

A dialect's shapes are msgspec structs; nested ones forbid unknown fields, while the top level keeps them as extras.
Messages name fields and types, never values.
"""

import re
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.errors import CallerFault
from appliance.wire.openai_request import OURS as WISHES
from appliance.wire.routing_fields import FIELDS
from appliance.wire.translation.drops import Inexpressible

T = TypeVar("T")

OURS = FIELDS.union(WISHES)
"""Fields of Startline: routing has read them."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_AT = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `([^`]*)")
_LONGEST_NAME = 100
_NULL = Raw(b"null")


def top_level(body: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a JSON object, Startline's own left out. Raises CallerFault bad_json."""
    try:
        if not body.isascii():
            str(body, "utf-8")  # msgspec does not look inside the strings that it skips
        fields = _FIELDS.decode(body)
    except msgspec.ValidationError:
        raise CallerFault("bad_json", "The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallerFault("bad_json") from None
    return {name: value for name, value in fields.items() if name not in OURS}


def read(decoder: "msgspec.json.Decoder[T]", body: bytes | msgspec.Raw, below: str = "") -> T:
    """`body` as the decoder's type. Raises CallerFault naming the field; `below` is the path of `body` in the request.

    An unknown field is inexpressible, a wrong value a bad request.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _fault(str(error), below) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallerFault("bad_json", param=below or None) from None


def value_of(value: Raw | UnsetType) -> Raw | None:
    """A field that is carried as bytes; None where it is left out or null."""
    return None if value is UNSET or value == _NULL else value


def _fault(words: str, below: str) -> CallerFault:
    found = _AT.search(words)
    path = found[1] if found else ""
    unknown = _UNKNOWN.search(words)
    if unknown:
        path = f"{path}.{unknown[1]}" if path else unknown[1]
    field = f"{below}.{path}".strip(".") if below and not path.startswith("[") else below + path
    field = field[:_LONGEST_NAME] or "body"
    if unknown:
        return Inexpressible(field, "is not known here and cannot be translated")
    if words.startswith("Invalid "):
        return Inexpressible(field, "its value is not known here and cannot be translated")
    what = words.split(" - at ", 1)[0]
    return CallerFault("bad_request", f"{field}: {what}.", param=field)
