"""Usage objects of the OpenAI dialects, read into `Tokens`. The rule: what is not told stays None, never zero.

Chat and embeddings count `prompt_tokens` and `completion_tokens`, Responses `input_tokens` and `output_tokens`; both
include cached input and reasoning output (source: the official SDK's `CompletionUsage` and `ResponseUsage`).
"""

from typing import Any

from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens

_MOST = 2**53  # a count that a JSON reader may lose digits of is no count


def read_usage(usage: Any) -> Tokens:
    """The tokens of a decoded usage object of either shape; `UNKNOWN_TOKENS` when it tells neither side."""
    if not isinstance(usage, dict):
        return UNKNOWN_TOKENS
    taken = _count(usage, "prompt_tokens", "input_tokens")
    given = _count(usage, "completion_tokens", "output_tokens")
    if given is None and taken is not None and _count(usage, "total_tokens") == taken:
        given = 0  # embeddings have no output side
    if taken is None and given is None:
        return UNKNOWN_TOKENS
    details = _details(usage, "prompt_tokens_details", "input_tokens_details")
    out_details = _details(usage, "completion_tokens_details", "output_tokens_details")
    cached = _count(details, "cached_tokens")
    if cached is None:
        cached = _count(usage, "prompt_cache_hit_tokens", "cached_tokens")  # DeepSeek; Moonshot
    return Tokens(
        input=taken,
        output=given,
        cached=cached,
        cache_write=_count(details, "cache_write_tokens"),
        reasoning=_count(out_details, "reasoning_tokens"),
        certainty="known",
    )


def _count(table: dict[str, Any], name: str, other: str = "") -> int | None:
    value = table.get(name)
    if type(value) is int and 0 <= value <= _MOST:  # a boolean is no count
        return value
    return _count(table, other) if other else None


def _details(usage: dict[str, Any], name: str, other: str) -> dict[str, Any]:
    value = usage.get(name)
    if not isinstance(value, dict):
        value = usage.get(other)
    return value if isinstance(value, dict) else {}
