"""What a generateContent answer looks like, and its pieces in no dialect. The rule: what is not known is ignored.

A chunk of a stream is a whole response with what is new in it. Source: the official SDK's
`types.GenerateContentResponse`, `types.Candidate`, `types.GroundingMetadata` and usage metadata.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import TokenLogprob
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import StopReason
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.tokens_gemini import TRAFFIC
from appliance.wire.translation.codec import Source

STOPS: Final[dict[str, StopReason]] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "LANGUAGE": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
    "IMAGE_SAFETY": "filtered",
    "IMAGE_PROHIBITED_CONTENT": "filtered",
    "IMAGE_RECITATION": "filtered",
    "IMAGE_OTHER": "filtered",
    "MODEL_ARMOR": "filtered",
    "OTHER": "filtered",
    "CONTINUATION": "pause",
}
FAILURES: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""Reasons to finish that say that the model went wrong: told as faults, or an empty answer would pass for one."""
FINISH: Final[dict[StopReason, str]] = {
    "end": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "context_full": "MAX_TOKENS",
    "filtered": "SAFETY",
    "refusal": "SAFETY",
}
_ENCODER = msgspec.json.Encoder()


class _Shape(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What all shapes of answers share."""


class CallShape(_Shape):
    """A call."""

    name: str = ""
    args: Raw | UnsetType = UNSET
    id: str | None = None


class PartShape(_Shape):
    """A part."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: CallShape | None = None
    inline_data: Raw | UnsetType = UNSET
    file_data: Raw | UnsetType = UNSET
    executable_code: Raw | UnsetType = UNSET
    code_execution_result: Raw | UnsetType = UNSET
    tool_call: Raw | UnsetType = UNSET
    tool_response: Raw | UnsetType = UNSET


OPAQUE: Final = (
    "inline_data",
    "file_data",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
)
"""What only this dialect's answers hold."""


class ContentShape(_Shape):
    """What is new of a candidate."""

    parts: list[PartShape] | None = None


class WebShape(_Shape):
    """A page."""

    uri: str | None = None
    title: str | None = None


class ChunkOfGround(_Shape):
    """One source."""

    web: WebShape | None = None


class SegmentShape(_Shape):
    """Where in the text: bytes of UTF-8."""

    start_index: int = 0
    end_index: int | None = None
    text: str | None = None


class SupportShape(_Shape):
    """Which sources a segment rests on."""

    segment: SegmentShape | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundShape(_Shape):
    """`groundingMetadata`."""

    grounding_chunks: list[ChunkOfGround] | None = None
    grounding_supports: list[SupportShape] | None = None


class TokenShape(_Shape):
    """A token and how likely it was."""

    token: str = ""
    log_probability: float = 0.0


class TopShape(_Shape):
    """The likely tokens at one place."""

    candidates: list[TokenShape] | None = None


class LogprobsShape(_Shape):
    """`logprobsResult`."""

    chosen_candidates: list[TokenShape] | None = None
    top_candidates: list[TopShape] | None = None


class CandidateShape(_Shape):
    """One of the answers."""

    index: int = 0
    content: ContentShape | None = None
    finish_reason: str | None = None
    grounding_metadata: GroundShape | None = None
    logprobs_result: LogprobsShape | None = None


class FeedbackShape(_Shape):
    """What was held against the prompt."""

    block_reason: str | None = None


class UsageShape(_Shape):
    """Usage so far: `candidates` leaves thoughts out, the prompt leaves out what tools put there."""

    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    service_tier: Any = None
    traffic_type: str | None = None


class ResponseShape(_Shape):
    """A chunk, and a whole answer."""

    candidates: list[CandidateShape] | None = None
    prompt_feedback: FeedbackShape | None = None
    usage_metadata: UsageShape | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


RESPONSE = msgspec.json.Decoder(ResponseShape)


def fault_of(error: Any, source: Source) -> UpstreamFault:
    """The fault that an error inside a 200 tells."""
    told = error if isinstance(error, dict) else {"message": str(error)}
    body = _ENCODER.encode({"error": told})
    return in_stream(told, body, provider=source.provider, tier_asked=source.tier_asked, dialect="gemini_generate")


def failure_of(reason: str, source: Source) -> UpstreamFault:
    """The fault of a reason to finish that is none."""
    return UpstreamFault("provider_error", provider=source.provider, provider_code=reason, phase="stream")


def stop_of(reason: str, called: bool) -> StopReason:
    """Why the model stopped; Google says STOP after calls too."""
    stop = STOPS.get(reason, "end")
    return "tool_calls" if called and stop == "end" else stop


def tokens_of(usage: UsageShape) -> Tokens:
    """Usage in our convention. Counts of nothing are left out by Google: with a prompt told, they are nothing."""
    taken, given, thought = usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count
    if taken is None and given is None and thought is None:
        return UNKNOWN_TOKENS
    return Tokens(
        input=None if taken is None else taken + (usage.tool_use_prompt_token_count or 0),
        output=(given or 0) + (thought or 0),
        cached=usage.cached_content_token_count or 0,
        reasoning=thought or 0,
        certainty="known",
    )


def tier_of(usage: UsageShape) -> str | None:
    """The tier served, in Google's word; Vertex tells it as the type of traffic."""
    return word(usage.service_tier) or TRAFFIC.get(usage.traffic_type or "")


def usage_object(tokens: Tokens) -> dict[str, Any] | None:
    """`usageMetadata`; None when neither side is known."""
    if tokens.input is None and tokens.output is None:
        return None
    taken, given, thought = tokens.input or 0, tokens.output or 0, tokens.reasoning or 0
    told = {
        "promptTokenCount": taken,
        "candidatesTokenCount": max(0, given - thought),
        "totalTokenCount": taken + given,
    }
    if tokens.cached:
        told["cachedContentTokenCount"] = tokens.cached
    if thought:
        told["thoughtsTokenCount"] = thought
    return told


def logprobs_of(told: LogprobsShape | None) -> tuple[TokenLogprob, ...] | None:
    """The log-probabilities of a text; None if none were told."""
    if told is None or told.chosen_candidates is None:
        return None
    tops = told.top_candidates or []
    return tuple(
        TokenLogprob(
            one.token,
            one.log_probability,
            top=tuple(
                TokenLogprob(top.token, top.log_probability)
                for top in (tops[place].candidates or () if place < len(tops) else ())
            ),
        )
        for place, one in enumerate(told.chosen_candidates)
    )


def logprobs_object(told: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    """`logprobsResult`."""
    result: dict[str, Any] = {"chosenCandidates": [{"token": one.token, "logProbability": one.logprob} for one in told]}
    if any(one.top for one in told):
        result["topCandidates"] = [
            {"candidates": [{"token": top.token, "logProbability": top.logprob} for top in one.top]} for one in told
        ]
    return result
