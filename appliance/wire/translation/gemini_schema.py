"""Google's schemas as JSON Schema. The rule: the same values fit; what Google alone has is told in its own words.

Google's `Schema` is a part of OpenAPI 3.0: types in capitals, `nullable`, numbers of bounds as text, an order of
properties. Source: the official SDK's `types.Schema`.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import CallerFault

_NAMES: Final = {
    "any_of": "anyOf",
    "max_items": "maxItems",
    "max_length": "maxLength",
    "max_properties": "maxProperties",
    "min_items": "minItems",
    "min_length": "minLength",
    "min_properties": "minProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "defs": "$defs",
    "ref": "$ref",
}
_BOUNDS: Final = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})
_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


def json_schema(schema: msgspec.Raw) -> msgspec.Raw:
    """A `Schema` of Google's as JSON Schema; one that is JSON Schema already means the same after.

    Raises CallerFault bad_json.
    """
    try:
        return msgspec.Raw(_ENCODER.encode(_schema(_DECODER.decode(schema))))
    except RecursionError:
        raise CallerFault("bad_json", "A schema is nested too deeply.") from None
    except msgspec.DecodeError:
        raise CallerFault("bad_json", "A schema is not valid JSON.") from None


def _schema(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    told: dict[str, Any] = {}
    for given, inner in value.items():
        name = _NAMES[given] if given in _NAMES else str(given)
        if name == "type" and isinstance(inner, str):
            if inner != "TYPE_UNSPECIFIED":
                told["type"] = inner.lower()
        elif name in ("properties", "$defs") and isinstance(inner, dict):
            told[name] = {key: _schema(one) for key, one in inner.items()}
        elif name in ("items", "additionalProperties"):
            told[name] = _schema(inner)
        elif name == "anyOf" and isinstance(inner, list):
            told[name] = [_schema(one) for one in inner]
        elif name in _BOUNDS and isinstance(inner, str) and inner.isdecimal():
            told[name] = int(inner)
        elif name == "example":
            told["examples"] = [inner]
        else:
            told[name] = inner
    _order(told)
    if told.pop("nullable", False):
        _nullable(told)
    return told


def _order(told: dict[str, Any]) -> None:
    """The order of properties is their order in the object."""
    order = told.pop("propertyOrdering", None)
    properties = told.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        told["properties"] = first | properties


def _nullable(told: dict[str, Any]) -> None:
    if isinstance(told.get("anyOf"), list):
        told["anyOf"] = [*told["anyOf"], {"type": "null"}]
    elif "type" in told:
        told["type"] = [told["type"], "null"]
        if isinstance(told.get("enum"), list):
            told["enum"] = [*told["enum"], None]
