"""Usage objects of Anthropic's dialect, read into `Tokens`. The rule: what is not told stays None, never zero.

`input_tokens` is what was neither read from the cache nor written to it; `Tokens.input` is all three. The counts of a
`message_delta` are cumulative and replace those of `message_start`, where it has them (source: the official SDK's
`Usage` and `MessageDeltaUsage`, and how its stream helper adds them up).
"""

from typing import Any

from appliance.domain.tokens import UNKNOWN_TOKENS, Certainty, Tokens

_MOST = 2**53


def read_usage(usage: Any, certainty: Certainty = "known") -> Tokens:
    """The tokens of a decoded usage object; `UNKNOWN_TOKENS` when it tells neither side."""
    if not isinstance(usage, dict):
        return UNKNOWN_TOKENS
    plain, given = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    if plain is None and given is None:
        return UNKNOWN_TOKENS
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    details, lasting = usage.get("output_tokens_details"), usage.get("cache_creation")
    return Tokens(
        input=None if plain is None else plain + (read or 0) + (written or 0),
        output=given,
        cached=read,
        cache_write=written,
        reasoning=_count(details, "thinking_tokens") if isinstance(details, dict) else None,
        certainty=certainty,
        cache_write_1h=_count(lasting, "ephemeral_1h_input_tokens") if isinstance(lasting, dict) else None,
    )


def served_tier(usage: Any) -> Any:
    """The tier that a usage object tells: `fast` where the answer was served at the fast speed, which has its price."""
    if not isinstance(usage, dict):
        return None
    return "fast" if usage.get("speed") == "fast" else usage.get("service_tier")


def _count(table: dict[str, Any], name: str) -> int | None:
    value = table.get(name)
    return value if type(value) is int and 0 <= value <= _MOST else None
