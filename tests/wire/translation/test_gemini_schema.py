import msgspec
import pytest

from appliance.domain.errors import CallerFault
from appliance.wire.translation.gemini_schema import json_schema


def test_googles_form_becomes_json_schema() -> None:
    told = json_schema(
        msgspec.Raw(
            msgspec.json.encode(
                {
                    "type": "OBJECT",
                    "properties": {
                        "type": {"type": "STRING", "nullable": True, "enum": ["a"], "format": "enum"},
                        "any_of": {"anyOf": [{"type": "INTEGER"}], "nullable": True},
                        "list": {"type": "ARRAY", "items": {"type": "NUMBER", "minimum": 1.5}, "min_items": "2"},
                    },
                    "propertyOrdering": ["list", "type"],
                    "required": ["list"],
                    "example": {"list": []},
                    "title": "T",
                }
            )
        )
    )
    assert bytes(told) == msgspec.json.encode(
        {
            "type": "object",
            "properties": {
                "list": {"type": "array", "items": {"type": "number", "minimum": 1.5}, "minItems": 2},
                "type": {"type": ["string", "null"], "enum": ["a", None], "format": "enum"},
                "any_of": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            },
            "required": ["list"],
            "examples": [{"list": []}],
            "title": "T",
        }
    )


def test_json_schema_stays_what_it_is() -> None:
    schema = b'{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false,"$defs":{}}'
    assert bytes(json_schema(msgspec.Raw(schema))) == schema


def test_an_order_with_what_is_no_name_in_it_is_read_as_far_as_it_goes() -> None:
    schema = b'{"properties":{"a":{},"b":{}},"propertyOrdering":[["a"],null,"b"]}'
    assert bytes(json_schema(msgspec.Raw(schema))) == b'{"properties":{"b":{},"a":{}}}'


def test_one_that_is_nested_too_deeply_is_the_callers_fault() -> None:
    with pytest.raises(CallerFault, match="bad_json"):
        json_schema(msgspec.Raw(b'{"items":' * 50_000 + b"{}" + b"}" * 50_000))
