"""OpenAI Chat Completions, passed through. The rule: a chunk is forwarded as it came, or withheld whole.

What starts the answer: a chunk whose delta has something in `content`, `reasoning`, `reasoning_content`,
`reasoning_details`, `tool_calls`, `function_call`, `refusal` or `audio`; or a `finish_reason` (an empty answer is an
answer). Never: a role alone, empty choices, `prompt_filter_results`, padding, comments.

| not raced | why |
|---|---|
| `audio` set, or `audio` among `modalities` | the spoken answer cannot be assembled |
| `store: true` | the loser would be stored as well |

Sources: the official SDK's `ChatCompletionChunk`; Azure's filter chunk; OpenRouter's and vLLM's errors inside a 200.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Framing
from appliance.wire.faults import openai_error
from appliance.wire.openai_chat_assembly import Assembler
from appliance.wire.openai_request import read_asked, write_body
from appliance.wire.openai_stream import UNREADABLE, OpenAIStream, content_bytes, decode_event, short_id
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.sse import comment, event, event_fields
from appliance.wire.tokens_openai import read_usage

__all__ = [
    "COMMENTS",
    "NAME",
    "TIER_HEADER",
    "Assembler",
    "StreamReader",
    "cost_event",
    "error_event",
    "keep_alive",
    "path",
    "read_answer",
    "read_request",
    "upstream_body",
]

NAME: Final = "openai_chat"
TIER_HEADER: Final[bytes | None] = None
COMMENTS: Final = True

_DONE = b"[DONE]"
_CONTENT_FIELDS: Final = (
    "content",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "refusal",
    "function_call",
    "reasoning_details",
    "audio",
)
_ENCODER = msgspec.json.Encoder()


class _Watched(msgspec.Struct, gc=False):
    service_tier: Any = None
    service_tier_used: Any = None  # Cerebras says what `auto` became
    usage: Any = None
    error: Any = None
    object: Any = None


class _Choice(msgspec.Struct):
    delta: dict[str, msgspec.Raw] | None = None
    finish_reason: Any = None


class _Chunk(_Watched):
    id: Any = None
    choices: list[_Choice] | None = None


class _Flat(msgspec.Struct):
    message: Any = None
    type: Any = None
    param: Any = None
    code: Any = None


class _Whole(_Watched):
    id: Any = None


_WATCHED = msgspec.json.Decoder(_Watched)
_CHUNK = msgspec.json.Decoder(_Chunk)
_FLAT = msgspec.json.Decoder(_Flat)
_WHOLE = msgspec.json.Decoder(_Whole)


def _not_raced(body: RequestBody) -> str | None:
    if "audio" in body and body.is_set("audio"):
        return "audio"
    if "modalities" in body:
        modalities = body.value("modalities")
        if isinstance(modalities, list) and "audio" in modalities:
            return "audio"
    if "store" in body and body.value("store") is True:
        return "stored"
    return None


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked. Raises CallerFault with the parameter named."""
    return read_asked(body, header_start_within, ("max_completion_tokens", "max_tokens"), _not_raced)


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return b"/chat/completions"


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send. `add_usage`: this provider takes `stream_options`, and its usage is wanted."""
    return write_body(asked, model=model, tier=tier, stream=stream, include_usage=add_usage)


_NULL_USAGE = (b',"usage":null', b'"usage":null,', b', "usage": null', b'"usage": null, ')


class StreamReader(OpenAIStream):
    """Watches one chat stream; see `dialect.StreamReader`.

    With `drop_usage` all traces of our own `stream_options` are taken out: the usage-only chunk, and the
    `"usage":null` that the provider puts into every other one because of it.
    """

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        """See `dialect.StreamReader`. The bytes replaced are structure: within a JSON string a quote is escaped."""
        events = super().feed(data)
        if self._drop_usage and b'"usage"' in events:
            for null in _NULL_USAGE:
                events = events.replace(null, b"")
        return events

    def _look(self, raw: bytes) -> bool:
        name: bytes | None = None
        if raw.startswith(b"data: {") and raw.find(b"\n") == len(raw) - 2 and not self._splitter.carriage:
            data = raw[6:-2]  # the usual framing, without a search for fields
        else:
            name, data = event_fields(raw)
            if not data:
                return True
            if data.startswith(_DONE):
                self.started = True
                self._end(raw)
                return False
        self.sequence_number += 1
        if not self.content_started:
            return self._look_for_start(raw, data, name)
        try:
            seen = decode_event(_WATCHED, data)
        except UNREADABLE:
            return self._garbled()
        if seen.error or seen.object == "error" or name == b"error":
            return self._fault(seen, data, raw)
        if seen.service_tier != self.tier or seen.service_tier_used is not None:
            self._note_tier(seen.service_tier_used or seen.service_tier)
        if seen.usage is not None:
            return self._note_usage(seen.usage, data)
        self.events += 1
        self._bytes += len(raw)
        return True

    def _look_for_start(self, raw: bytes, data: bytes, name: bytes | None) -> bool:
        try:
            chunk = decode_event(_CHUNK, data)
        except UNREADABLE:
            return self._garbled()
        if chunk.error or chunk.object == "error" or name == b"error":
            return self._fault(chunk, data, raw)
        if self.response_id is None:
            self.response_id = short_id(chunk.id)
        self._note_tier(chunk.service_tier_used or chunk.service_tier)
        for choice in chunk.choices or ():
            given = _content_bytes(choice.delta) if choice.delta else 0
            if given:
                self._start(len(raw), given)
                self.events += 1
                self._bytes += len(raw)
                break
            if choice.finish_reason:
                self.started = True
        if chunk.usage is not None:
            return self._note_usage(chunk.usage, data)
        return True

    def _note_usage(self, usage: Any, data: bytes) -> bool:
        self.usage = read_usage(usage)
        if not self._drop_usage:
            return True
        try:
            return bool(decode_event(_CHUNK, data).choices)  # only the chunk that our own option asked for is withheld
        except UNREADABLE:
            return self._garbled()

    def _fault(self, seen: _Watched, data: bytes, raw: bytes) -> bool:
        if seen.error:
            error = seen.error if isinstance(seen.error, dict) else {"message": str(seen.error)}
            return self._error(error, raw, data if error is seen.error else None)
        try:
            flat = decode_event(_FLAT, data)
        except UNREADABLE:  # what was skipped before may not be UTF-8
            return self._garbled()
        return self._error(msgspec.to_builtins(flat), raw)

    def _closes(self, rest: bytes) -> bool:
        return event_fields(rest)[1].strip() == _DONE


def _content_bytes(delta: dict[str, msgspec.Raw]) -> int:
    """How long the first content of a delta is, as JSON; 0 if it has none. Undecoded: a cut surrogate pair is legal."""
    for field in _CONTENT_FIELDS:
        value = delta.get(field)
        if value is not None and (size := content_bytes(value)):
            return size
    return 0


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """The facts of an unstreamed answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = _WHOLE.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=provider, phase="body") from None
    if whole.error:
        fault = in_stream(whole.error, body, provider=provider, tier_asked=tier_asked)
        fault.phase = "body"
        raise fault
    return Answer(
        word(whole.service_tier_used) or word(whole.service_tier), read_usage(whole.usage), short_id(whole.id)
    )


def keep_alive(framing: Framing = "sse") -> bytes:
    """Bytes that keep a silent stream open and that every client ignores."""
    return comment(b"keep-alive")


def cost_event(facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
    """A chunk without choices, as the one with the usage is."""
    told = {"object": "chat.completion.chunk", "choices": [], "startline": facts}
    return event(_ENCODER.encode({"id": "", "created": 0, "model": "", **told}))


def error_event(
    fault: Fault,
    *,
    sequence_number: int = 0,
    response_id: str | None = None,
    request_id: str = "",
    framing: Framing = "sse",
) -> bytes:
    """The chunk that ends a stream which failed: SDKs raise on its `error`. No [DONE] may follow."""
    return event(_ENCODER.encode({"error": openai_error(fault)}))
