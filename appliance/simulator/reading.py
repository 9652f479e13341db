"""Reading fields of requests that both dialects share, with OpenAI's 400 where a type is wrong."""

from typing import Any

from appliance.simulator.faults import invalid


def boolean(body: dict[str, Any], name: str) -> bool:
    """A boolean field; absent or null is False. Raises Rejected for another type."""
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid(f"Invalid type for '{name}': expected a boolean.", name, "invalid_type")
    return value


def positive(body: dict[str, Any], name: str) -> int | None:
    """An integer field of at least 1; absent, null or 0 is None. Raises Rejected for another type or a negative."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"Invalid value for '{name}': expected a positive integer.", name, "invalid_type")
    return value or None


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list (anything else is an empty list; members of other types are left out)."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def stop_sequences(value: object) -> tuple[str, ...]:
    """The stop sequences: a string, a list of strings, or none."""
    if isinstance(value, str):
        return (value,)
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()


def format_schema(value: object, *, nested: bool) -> tuple[object, bool]:
    """The JSON schema that the output must fit (or None), and whether free JSON is asked for.

    Chat nests the schema (`{"type": "json_schema", "json_schema": {"schema": …}}`), Responses does not.
    """
    if not isinstance(value, dict):
        return None, False
    if value.get("type") == "json_schema":
        holder = value.get("json_schema") if nested else value
        schema = holder.get("schema") if isinstance(holder, dict) else None
        if not isinstance(schema, dict):
            raise invalid("The response format has no schema.", "response_format", "missing_required_parameter")
        return schema, False
    return None, value.get("type") == "json_object"


def last_user_text(items: list[Any]) -> str:
    """The text of the last user message: a string, or the joined text parts."""
    for item in reversed(objects(items)):
        if item.get("role") == "user":
            content = item.get("content")
            if isinstance(content, str):
                return content
            return "".join(part["text"] for part in objects(content) if isinstance(part.get("text"), str))
    return ""
