"""What a Chat Completions answer looks like, and its pieces in no dialect. The rule: what is not known is ignored.

What is content must have its type, or the answer is garbled; what stands beside it (log-probabilities, annotations,
details of reasoning) is left out if a provider writes it in its own way.

Source: the official SDK's `ChatCompletionChunk` and `ChatCompletion`; reasoning fields as in openai_chat_reasoning.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import Citation, TokenLogprob
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Started, StopReason
from appliance.domain.tokens import Tokens
from appliance.wire.provider_errors import in_stream
from appliance.wire.translation.codec import Source
from appliance.wire.translation.openai_chat_shapes import ReasoningDetail

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
STOPS: Final[dict[str, StopReason]] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filtered",
}


FINISH: Final[dict[StopReason, str]] = {
    "end": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "context_full": "length",
    "tool_calls": "tool_calls",
    "filtered": "content_filter",
    "refusal": "content_filter",
}


class TopShape(msgspec.Struct):
    """A likely token."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None


class LogprobShape(msgspec.Struct):
    """A token that came."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: list[TopShape] | None = None


class LogprobsShape(msgspec.Struct):
    """The tokens of a choice."""

    content: list[LogprobShape] | None = None


class UrlCitationShape(msgspec.Struct):
    """A web page cited; indexes count characters of the content."""

    url: str
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class AnnotationShape(msgspec.Struct):
    """A note on the content."""

    url_citation: UrlCitationShape | None = None


class FunctionShape(msgspec.Struct):
    """The function of a call, or a fragment of it."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CustomShape(msgspec.Struct):
    """The custom tool of a call, or a fragment of it."""

    name: str | None = None
    input: str | None = None


class CallShape(msgspec.Struct):
    """A call, or a fragment of it."""

    index: int | None = None
    id: str | None = None
    function: FunctionShape | None = None
    custom: CustomShape | None = None


class DetailShape(ReasoningDetail, forbid_unknown_fields=False):
    """An entry of `reasoning_details`, whatever else it holds."""


class PieceShape(msgspec.Struct):
    """A piece of content where a provider (Mistral) writes a list of them."""

    type: str = ""
    text: str | None = None
    thinking: "str | list[PieceShape] | None" = None


class MessageShape(msgspec.Struct):
    """A delta, and a whole message: both have these."""

    content: str | list[PieceShape] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallShape] | None = None
    refusal: str | None = None
    reasoning_details: list[Raw] | None = None
    annotations: list[Raw] | None = None
    function_call: FunctionShape | None = None  # the form of calls before tools


class ChoiceShape(msgspec.Struct):
    """One of the answers; it has a delta or a message."""

    index: int = 0
    delta: MessageShape | None = None
    message: MessageShape | None = None
    finish_reason: Any = None
    logprobs: Raw | UnsetType = UNSET


class ChunkShape(msgspec.Struct):
    """A chunk, and a whole answer: both have these."""

    id: Any = None
    model: Any = None
    created: Any = None
    choices: list[ChoiceShape] | None = None
    usage: Any = None
    service_tier: Any = None
    service_tier_used: Any = None
    error: Any = None
    object: Any = None


CHUNK = msgspec.json.Decoder(ChunkShape)
_LOGPROBS = msgspec.json.Decoder(LogprobsShape)
_DETAIL = msgspec.json.Decoder(DetailShape)
_ANNOTATION = msgspec.json.Decoder(AnnotationShape)
_NULL = Raw(b"null")


def fault_of(chunk: ChunkShape, data: bytes, source: Source) -> UpstreamFault:
    """The fault that an error inside a 200 tells; `data` is the whole event or body."""
    error = chunk.error if isinstance(chunk.error, dict) else {"message": str(chunk.error or "")}
    body = data if error is chunk.error else _ENCODER.encode({"error": error})
    return in_stream(error, body, provider=source.provider, tier_asked=source.tier_asked)


def started_of(chunk: ChunkShape) -> Started:
    """What the first chunk, or a whole answer, says of itself."""
    return Started(
        chunk.id if isinstance(chunk.id, str) else "",
        chunk.model if isinstance(chunk.model, str) else "",
        int(chunk.created) if isinstance(chunk.created, int | float) else None,
    )


def words_of(content: str | list[PieceShape] | None) -> tuple[str, str]:
    """(what was thought, what was said) in a content."""
    if content is None or isinstance(content, str):
        return "", content or ""
    thought = "".join("".join(words_of(piece.thinking)) for piece in content)
    return thought, "".join(piece.text or "" for piece in content)


def arguments_of(function: FunctionShape) -> str:
    """A fragment of arguments as JSON text; some local servers write the object itself."""
    given = function.arguments
    return given if isinstance(given, str) else "" if given is None else _ENCODER.encode(given).decode()


def stop_of(finish_reason: Any, *, called: bool) -> StopReason:
    """Why it stopped. With a tool chosen by name OpenAI says `stop` after a call: other agents would end."""
    stop = STOPS.get(finish_reason, "end") if isinstance(finish_reason, str) else "end"
    return "tool_calls" if called and stop == "end" else stop


def logprobs_of(raw: Raw | UnsetType) -> tuple[TokenLogprob, ...] | None:
    """The log-probabilities of the content; None if none were told."""
    if raw is UNSET or raw == _NULL:
        return None
    try:
        told = _LOGPROBS.decode(raw)
    except msgspec.DecodeError:
        return None
    if told.content is None:
        return None
    return tuple(
        TokenLogprob(
            one.token,
            one.logprob,
            one.bytes,
            tuple(TokenLogprob(top.token, top.logprob, top.bytes) for top in one.top_logprobs or ()),
        )
        for one in told.content
    )


def details_of(raws: list[Raw] | None) -> list[DetailShape]:
    """The entries of `reasoning_details` that can be read."""
    return [detail for raw in raws or () if (detail := _read(_DETAIL, raw)) is not None]


def citations_of(raws: list[Raw] | None, start: int) -> list[Citation]:
    """The pages cited, in a part that begins at character `start` of the content."""
    noted = (_read(_ANNOTATION, raw) for raw in raws or ())
    return [_citation(note.url_citation, start) for note in noted if note is not None and note.url_citation is not None]


def _read(decoder: "msgspec.json.Decoder[T]", raw: Raw) -> T | None:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        return None


def _citation(told: UrlCitationShape, start: int) -> Citation:
    return Citation(
        told.url,
        told.title,
        start=None if told.start_index is None else told.start_index - start,
        end=None if told.end_index is None else told.end_index - start,
    )


def usage_object(tokens: Tokens) -> dict[str, Any] | None:
    """`usage` as chat tells it; None when neither side is known."""
    if tokens.input is None and tokens.output is None:
        return None
    taken, given = tokens.input or 0, tokens.output or 0
    details: dict[str, int] = {"cached_tokens": tokens.cached or 0}
    if tokens.cache_write is not None:
        details["cache_write_tokens"] = tokens.cache_write
    return {
        "prompt_tokens": taken,
        "completion_tokens": given,
        "total_tokens": taken + given,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning or 0},
    }


def logprob_object(one: TokenLogprob) -> dict[str, Any]:
    """A log-probability as chat writes it."""
    return {
        "token": one.token,
        "logprob": one.logprob,
        "bytes": one.octets,
        "top_logprobs": [{"token": top.token, "logprob": top.logprob, "bytes": top.octets} for top in one.top],
    }


def annotation_object(citation: Citation, begins: int, now: int) -> dict[str, Any] | None:
    """A citation of a web page in a text from `begins` to `now`; None: one of a document has no form here."""
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "url_citation": {
            "url": citation.url,
            "title": citation.title or "",
            "start_index": begins + (citation.start or 0),
            "end_index": now if citation.end is None else begins + citation.end,
        },
    }
