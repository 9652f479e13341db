import msgspec

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
