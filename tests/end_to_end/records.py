"""Do the records say what the simulator says it served? Tiers, tokens, ids, outcomes, and costs computed anew.

The rule: nothing here uses the project's own arithmetic; prices are read from the price list with fractions.
"""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from tests.end_to_end.processes import ROOT
from tests.end_to_end.stage import Json, Stage, Told

PRICES = ROOT / "appliance" / "policy" / "prices.json"
BYTES_PER_TOKEN = 4

# How the simulator's word for the end of a request reads in our records.
ENDS = {
    "completed": {"won"},
    "client_gone": {"lost", "client_gone", "cancelled"},
    "refused": {"refused", "failed"},
    "failed": {"refused", "failed"},
    "cut": {"failed"},
}


def _price_list(model: str) -> str:
    return "anthropic" if model.startswith("claude") else "google" if model.startswith("gemini") else "openai"


def _rates(model: str, tier: str) -> tuple[Fraction, Fraction, Fraction, Fraction] | None:
    """Dollars per token: input, output, cached, cache write; None: the price list has none."""
    document = msgspec.json.decode(Path(PRICES).read_bytes())
    row = document["providers"][_price_list(model)].get(model)
    periods = [] if row is None else [it for it in row["tiers"].get(tier, []) if it[0] <= document["date"]]
    if not periods:
        return None
    taken, given, cached, written = periods[-1][1:5]
    picos = (taken, given, taken if cached is None else cached, taken if written is None else written)
    a, b, c, d = (Fraction(rate, 10**12) for rate in picos)
    return a, b, c, d


def dollars(model: str, tier: str, tokens: Json) -> Fraction | None:
    """What these tokens cost; None: there is no price."""
    rates = _rates(model, tier)
    if rates is None:
        return None
    cached, written = tokens["cached"] or 0, tokens["cache_write"] or 0
    plain = tokens["input"] - cached - written
    total: Fraction = plain * rates[0] + cached * rates[2] + written * rates[3] + tokens["output"] * rates[1]
    return total


def nanos(cost: Fraction | None) -> int | None:
    """Whole nanodollars, half up."""
    return None if cost is None else math.floor(cost * 10**9 + Fraction(1, 2))


def usage_of(entry: Json) -> Json | None:
    """The usage that the provider told, in the words of our records; None: it told none."""
    usage = entry["usage"]
    if usage is None:
        return None
    if entry["family"] == "anthropic":
        read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
        return {
            "input": usage["input_tokens"] + (read or 0) + (written or 0),
            "output": usage["output_tokens"],
            "cached": read,
            "cache_write": written,
            "reasoning": (usage.get("output_tokens_details") or {}).get("thinking_tokens"),
            "certainty": "known",
            "cache_write_1h": (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens"),
        }
    if "total_input_tokens" in usage:  # an interaction
        return {
            "input": usage["total_input_tokens"] + usage["total_tool_use_tokens"],
            "output": usage["total_output_tokens"] + usage["total_thought_tokens"],
            "cached": usage["total_cached_tokens"],
            "cache_write": None,
            "reasoning": usage["total_thought_tokens"],
            "certainty": "known",
            "cache_write_1h": None,
        }
    if entry["family"] == "gemini":
        thoughts = usage.get("thoughtsTokenCount")
        answer = usage.get("candidatesTokenCount")
        return {
            "input": usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0),
            "output": (answer or 0) + (thoughts or 0),
            "cached": usage.get("cachedContentTokenCount"),
            "cache_write": None,
            "reasoning": thoughts,
            "certainty": "known",
            "cache_write_1h": None,
        }
    chat = "prompt_tokens" in usage
    taken = usage.get("prompt_tokens_details" if chat else "input_tokens_details") or {}
    given = usage.get("completion_tokens_details" if chat else "output_tokens_details") or {}
    return {
        "input": usage["prompt_tokens" if chat else "input_tokens"],
        "output": usage.get("completion_tokens" if chat else "output_tokens", 0),
        "cached": taken.get("cached_tokens"),
        "cache_write": taken.get("cache_write_tokens"),
        "reasoning": given.get("reasoning_tokens"),
        "certainty": "known",
        "cache_write_1h": None,
    }


def check_attempt(attempt: Json, entry: Json, model: str, told_input: int | None = None) -> None:
    """One attempt against one entry of the journal; `told_input` is what the winner was told to have read."""
    about = f"attempt {attempt}\nentry {entry}"
    assert attempt["outcome"] in ENDS[entry["outcome"]], about
    assert attempt["tier_sent"] == entry["tier_asked"], about
    assert attempt["model"] == entry["model"] == model, about
    assert attempt["retries"] == 0, about
    told = usage_of(entry)
    if entry["outcome"] == "completed":
        assert attempt["status"] == entry["status"] == 200, about
        assert attempt["tokens"] == told, about
        assert attempt["tier_served"] == entry["tier_served"], about
        assert attempt["provider_response_id"] == (entry["response_id"] or None), about
        _check_cost(attempt, nanos(dollars(model, entry["tier_served"] or "default", attempt["tokens"])), "known")
    elif entry["outcome"] in ("refused", "failed") and entry["started_s"] is None:
        assert attempt["status"] == entry["status"], about
        assert (attempt["cost_nanos"], attempt["cost_state"]) == (0, "not_charged"), about
    else:
        # Broken off: what it used is estimated, from what the winner read, else from what the provider was sent.
        tokens = attempt["tokens"]
        assert tokens["certainty"] == "estimated", about
        guess = math.ceil(entry["body_bytes"] / BYTES_PER_TOKEN)
        assert tokens["input"] == (guess if told_input is None else told_input), about
        if entry["started_s"] is None:
            assert tokens["output"] == 0, about
            assert attempt["to_content_s"] is None, about
        tier = attempt["tier_served"] or attempt["tier_sent"] or "default"
        _check_cost(attempt, nanos(dollars(model, tier, tokens)), "estimated")


def _check_cost(attempt: Json, expected: int | None, state: str) -> None:
    assert attempt["cost_nanos"] == expected, attempt
    assert attempt["cost_state"] == ("unknown_price" if expected is None else state), attempt


def check(told: Told, entries: list[Json]) -> None:
    """One request's records against everything that the provider did for it."""
    request, attempts = told.request, told.attempts
    assert len(attempts) == len(entries), f"{attempts}\n{entries}"
    read = [used["input"] for entry in entries if (used := usage_of(entry)) and entry["outcome"] == "completed"]
    for ordinal, (attempt, entry) in enumerate(zip(attempts, entries, strict=True), 1):
        assert attempt["ordinal"] == ordinal
        check_attempt(attempt, entry, request["model_dispatched"], read[0] if read else None)
    costs = [attempt["cost_nanos"] for attempt in attempts]
    known = [cost for cost in costs if cost is not None]
    assert request["cost_nanos"] == (sum(known) if known else None)
    assert request["client_gone"] == (request["error_code"] == "client_gone")
    won = [attempt for attempt in attempts if attempt["outcome"] == "won"]
    assert len(won) <= 1
    for attempt in won:
        for fact in ("tokens", "tier_sent", "tier_served", "provider_response_id", "to_start_s", "to_content_s"):
            assert request[fact] == attempt[fact], fact
        assert request["status"] == 200
        assert request["error_code"] is None
        assert request["default_nanos"] == nanos(dollars(request["model_dispatched"], "default", request["tokens"]))
        states: dict[str, Any] = {attempt["cost_state"]: attempt for attempt in attempts}
        worst = next(it for it in ("unknown_price", "estimated", "known", "not_charged") if it in states)
        assert request["cost_state"] == worst
    window_s, start_s = request["window_s"], request["to_start_s"]
    if window_s is None or (start_s is None and request["client_gone"] and request["total_s"] <= window_s):
        assert request["deadline_met"] is None
    else:
        assert request["deadline_met"] == (start_s is not None and start_s <= window_s)


def checked(stage: Stage, mark: str) -> Told:
    """Take the one request that is new, check its records, and return them."""
    entries = stage.served(mark)
    (told,) = stage.take()
    check(told, entries)
    return told
