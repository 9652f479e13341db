"""Arguments for calls through the SDK. `sim` is an override of what the provider does, `mark` finds it in the journal.

The rule: the override travels in `metadata`, which the gateway must pass on unread.
"""

from typing import Any

from pydantic import BaseModel

from tests.end_to_end.stage import Json

_PARAMETERS: tuple[Json, ...] = (
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"], "additionalProperties": False},
)
_FUNCTIONS: list[Json] = [
    {"name": name, "parameters": parameters, "strict": True}
    for name, parameters in zip(("weather", "local_time"), _PARAMETERS, strict=True)
]
TOOLS: Any = [{"type": "function", "function": function} for function in _FUNCTIONS]
RESPONSES_TOOLS: Any = [{"type": "function", **function} for function in _FUNCTIONS]


class Plan(BaseModel):
    """A structured output."""

    city: str
    days: list[int]


def metadata(mark: str, sim: str = "") -> Json:
    """The metadata that carries the override."""
    return {"simulator": f"mark={mark}" + (f",{sim}" if sim else "")}


def chat(text: str, mark: str, sim: str = "", model: str = "gpt-5.4-mini", **more: Any) -> Json:
    """A chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "metadata": metadata(mark, sim)} | more


def response(text: str, mark: str, sim: str = "", model: str = "gpt-5.4-mini", **more: Any) -> Json:
    """A Responses request."""
    return {"model": model, "input": text, "metadata": metadata(mark, sim)} | more


def message(text: str, mark: str, sim: str = "", model: str = "claude-sonnet-5", **more: Any) -> Json:
    """A request in Anthropic's dialect."""
    asked: Json = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}]}
    return asked | {"metadata": metadata(mark, sim)} | more
