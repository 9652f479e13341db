"""Usage objects of Google's dialects, read into `Tokens`. The rule: what is not told stays None, never zero.

`candidatesTokenCount` leaves thoughts out, `Tokens.output` has them; the prompt's count includes what was cached and
leaves out what tools put into the prompt. Interactions count the same under other names. Sources: the official SDK's
`GenerateContentResponseUsageMetadata` and the `Usage` of its interactions.
"""

from typing import Any, Final

from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens

_MOST = 2**53
TRAFFIC: Final = {"ON_DEMAND": "standard", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}


def read_usage(usage: Any) -> Tokens:
    """The tokens of a decoded `usageMetadata`; `UNKNOWN_TOKENS` when it tells neither side."""
    return _read(
        usage,
        ("promptTokenCount", "toolUsePromptTokenCount"),
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "totalTokenCount",
    )


def read_interaction_usage(usage: Any) -> Tokens:
    """The tokens of a decoded `usage` of an interaction."""
    return _read(
        usage,
        ("total_input_tokens", "total_tool_use_tokens"),
        "total_cached_tokens",
        "total_output_tokens",
        "total_thought_tokens",
        "total_tokens",
    )


def served_tier(usage: Any) -> Any:
    """The tier that a `usageMetadata` tells, in Google's word; Vertex tells it as the type of traffic."""
    if not isinstance(usage, dict):
        return None
    traffic = usage.get("trafficType")
    return usage.get("serviceTier") or (TRAFFIC.get(traffic) if isinstance(traffic, str) else None)


def _read(usage: Any, taken: tuple[str, str], cached: str, given: str, thought: str, total: str) -> Tokens:
    if not isinstance(usage, dict):
        return UNKNOWN_TOKENS
    prompt, tools = _count(usage, taken[0]), _count(usage, taken[1])
    answer, thoughts = _count(usage, given), _count(usage, thought)
    if prompt is None and answer is None and thoughts is None:
        return UNKNOWN_TOKENS
    if answer is None and thoughts is None and _count(usage, total) == prompt:
        answer = 0  # an embedding, or a prompt that was blocked: there is no output
    output = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
    read = None if prompt is None else prompt + (tools or 0)
    return Tokens(input=read, output=output, cached=_count(usage, cached), reasoning=thoughts, certainty="known")


def _count(table: dict[str, Any], name: str) -> int | None:
    value = table.get(name)
    return value if type(value) is int and 0 <= value <= _MOST else None
