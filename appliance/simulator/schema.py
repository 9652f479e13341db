"""A JSON value that fits a JSON schema, for structured outputs and the arguments of tool calls.

Rule: it covers the part of JSON schema that structured outputs allow (objects, arrays, enums, unions, references,
bounds), is decided by the given generator alone, and stays small whatever schema a stranger sends.
"""

from random import Random
from typing import Any, Final, TypeVar

N = TypeVar("N", int, float)

_MAX_DEPTH: Final = 12
_MAX_NODES: Final = 2_000
_MAX_TEXT: Final = 4_096
_MAX_NUMBER: Final = 10**15
_FORMATS: Final = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
}


class Fitter:
    """Makes values for one schema document; `text`, if given, is used for every free string."""

    def __init__(self, schema: object, rng: Random, text: str = "") -> None:
        self._root = schema
        self._rng = rng
        self._text = text
        self._nodes = 0

    def value(self) -> Any:
        """A value that fits the schema (None where the schema cannot be understood)."""
        return self._fit(self._root, 0)

    def _fit(self, schema: object, depth: int) -> Any:
        self._nodes += 1
        if not isinstance(schema, dict) or depth > _MAX_DEPTH or self._nodes > _MAX_NODES:
            return None
        if "$ref" in schema:
            return self._fit(self._resolve(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._rng.choice(schema["enum"])
        for union in ("anyOf", "oneOf"):
            branches = schema.get(union)
            if isinstance(branches, list) and branches:
                # Deep down the shortest way out of a recursive schema is its null branch.
                nulls = [branch for branch in branches if isinstance(branch, dict) and branch.get("type") == "null"]
                return self._fit(nulls[0] if nulls and depth > 3 else branches[0], depth + 1)
        if isinstance(schema.get("allOf"), list) and schema["allOf"]:
            merged: dict[str, Any] = {}
            for branch in schema["allOf"]:
                merged |= branch if isinstance(branch, dict) else {}
            return self._fit(merged, depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        if isinstance(kind, str):
            kind = kind.lower()  # Google's own schemas shout
        return self._of_type(kind, schema, depth)

    def _of_type(self, kind: object, schema: dict[str, Any], depth: int) -> Any:
        match kind:
            case "object":
                properties = schema.get("properties")
                items = properties.items() if isinstance(properties, dict) else ()
                return {name: self._fit(part, depth + 1) for name, part in items}
            case "array":
                least = _whole(schema.get("minItems"), 0)
                count = min(max(least, min(2, _whole(schema.get("maxItems"), 2))), 32)
                return [self._fit(schema.get("items", {}), depth + 1) for _ in range(count)]
            case "string":
                return self._string(schema)
            case "integer":
                low = _whole(schema.get("minimum"), _whole(schema.get("exclusiveMinimum"), -1) + 1)
                high = max(low, _whole(schema.get("maximum"), _whole(schema.get("exclusiveMaximum"), low + 101) - 1))
                return self._rng.randint(low, high)
            case "number":
                low_number = _number(schema.get("minimum"), 0.0)
                high_number = max(low_number, _number(schema.get("maximum"), low_number + 100))
                return round(low_number + (high_number - low_number) * self._rng.randint(1, 3) / 4, 6)
            case "boolean":
                return self._rng.random() < 0.5
            case _:
                return None

    def _string(self, schema: dict[str, Any]) -> str:
        known = schema.get("format")
        if isinstance(known, str) and known in _FORMATS:
            return _FORMATS[known]
        text = self._text or self._rng.choice(("alpha", "beta", "gamma", 'a "quoted" café', "line\nbreak", "→ δ"))
        least = min(_whole(schema.get("minLength"), 0), _MAX_TEXT)
        return text.ljust(least, "x")[: max(0, min(_whole(schema.get("maxLength"), _MAX_TEXT), _MAX_TEXT))]

    def _resolve(self, reference: object) -> object:
        node = self._root
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        for part in reference[1:].split("/")[1:]:
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        return node


def _whole(value: object, default: int) -> int:
    return _within(value) if isinstance(value, int) and not isinstance(value, bool) else default


def _number(value: object, default: float) -> float:
    return float(_within(value)) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _within(value: N) -> N:
    """The number, kept where arithmetic on it stays exact."""
    return max(-_MAX_NUMBER, min(_MAX_NUMBER, value))
