"""Gemini's generateContent and streamGenerateContent, passed through. The rule: a chunk is forwarded as it came.

What starts the answer: a chunk with something in a candidate's parts (text, a thought, a call of a function, data), a
finish reason (an empty answer is an answer), a blocked prompt (a refusal is one). Never: usage alone.

A stream has no terminal event: it is whole if its body ends in order after a finish reason or a block. So what follows
the finish is held back until the body has ended, the last of it as the terminal event. Upstream a stream is always one
of events (`alt=sse`); a client that asked for the JSON array gets it, object by object.

Google's Python SDK takes a comment for a chunk: silent streams are kept open with empty lines, which all SDKs ignore.

| not raced | why |
|---|---|
| `responseModalities` with anything but text | a job that is dear from its start, and audio comes in pieces |
| the tools `codeExecution`, `computerUse`, `mcpServers` | run at the provider, or with effects, twice |

Sources: the official SDKs' `GenerateContentResponse`, and how they read streams and errors in them.
"""

from typing import Any, ClassVar, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Framing
from appliance.wire.faults import google_error
from appliance.wire.gemini_assembly import Assembler
from appliance.wire.gemini_request import config_of, model_and_action, model_path, read_asked, write_body
from appliance.wire.openai_stream import UNREADABLE, OpenAIStream, content_bytes, decode_event, short_id
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.sse import event, event_fields
from appliance.wire.tokens_gemini import read_usage, served_tier

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

NAME: Final = "gemini_generate"
TIER_HEADER: Final[bytes | None] = b"x-gemini-service-tier"
COMMENTS: Final = False

STREAM = "streamGenerateContent"
_ENCODER = msgspec.json.Encoder()
_NOT_CONTENT = frozenset({"thought", "thoughtSignature", "partMetadata"})
_EFFECTS = frozenset({"codeExecution", "code_execution", "computerUse", "computer_use", "mcpServers", "mcp_servers"})


class _Content(msgspec.Struct, frozen=True):
    parts: list[dict[str, msgspec.Raw]] | None = None


class _Candidate(msgspec.Struct, frozen=True, rename="camel"):
    content: _Content | None = None
    finish_reason: Any = None


class _Feedback(msgspec.Struct, frozen=True, rename="camel"):
    block_reason: Any = None


class _Watched(msgspec.Struct, frozen=True, rename="camel"):
    usage_metadata: Any = None
    response_id: Any = None
    error: Any = None


class _Chunk(_Watched, frozen=True, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_WHOLE = msgspec.json.Decoder(_Watched)
_TOOLS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def _not_raced(body: RequestBody) -> str | None:
    modalities = config_of(body).response_modalities
    if modalities and any(name.upper() != "TEXT" for name in modalities):
        return "modality"
    raw = body.raw("tools")
    if raw is None:
        return None
    try:
        tools = _TOOLS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the provider says what is wrong with it
    return next((f"tool_{name}" for tool in tools for name in tool if name in _EFFECTS), None)


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked; `argument` is `model:action`. Raises CallerFault with the parameter named."""
    model, action = model_and_action(argument)
    stream = action == STREAM
    array = stream and b"alt=sse" not in query.split(b"&")
    return read_asked(
        body,
        header_start_within,
        model,
        stream=stream,
        most=config_of(body).max_output_tokens,
        not_raced=_not_raced,
        framing="array" if array else "sse",
    )


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return model_path(model, STREAM) + b"?alt=sse" if stream else model_path(model, "generateContent")


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send. Model and stream are in the path, usage comes unasked."""
    return write_body(asked, tier, {}, "serviceTier")


class StreamReader(OpenAIStream):
    """Watches one stream of chunks; see `dialect.StreamReader`. `sequence_number` counts what was given out."""

    FAMILY: ClassVar[str] = "gemini"
    __slots__ = ("_array", "_finished", "_held")

    def __init__(self, *, framing: Framing = "sse", **options: Any) -> None:
        super().__init__(**options)
        self._array = framing == "array"
        self._finished = False
        self._held: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """See `dialect.StreamReader`; from the finish on one event is held back."""
        if self._done:
            return b""
        try:
            events = self._splitter.feed(data)
        except ValueError:
            self._garbled()
            return b""
        return b"".join([self._take(raw) for raw in events if not self.ended])

    def eof(self) -> UpstreamFault | None:
        """The stream has ended: the fault of its end, or None if it was whole."""
        if not self._done:
            rest = self._splitter.rest
            last = self._take(rest.rstrip(b"\r\n") + b"\r\n\r\n") if rest.strip() else b""
            if self._finished and not self.ended:
                self._end(last + self._release() + (b"\n]" if self._array else b""))
        if not self.ended:
            self._fail(UpstreamFault("provider_cut_off", provider=self._provider, phase="stream"), None)
        return self.fault

    def _take(self, raw: bytes) -> bytes:
        if not self._look(raw):
            return b""
        before = self._release()
        if self._finished:
            self._held = raw
            return before
        return before + self._write(raw)

    def _release(self) -> bytes:
        raw, self._held = self._held, None
        return b"" if raw is None else self._write(raw)

    def _write(self, raw: bytes) -> bytes:
        self.sequence_number += 1
        if not self._array:
            return raw
        return (b"[" if self.sequence_number == 1 else b",\r\n") + event_fields(raw)[1]

    def _look(self, raw: bytes) -> bool:
        data = event_fields(raw)[1]
        if not data:
            return not self._array
        try:
            chunk = decode_event(_CHUNK, data)
        except UNREADABLE:
            return self._garbled()
        if chunk.error:
            return self._error(chunk.error, raw, data)
        if self.response_id is None:
            self.response_id = short_id(chunk.response_id)
        if chunk.usage_metadata is not None:
            self.usage = read_usage(chunk.usage_metadata)
            self._note_tier(served_tier(chunk.usage_metadata))
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._finished = self.started = True
        for candidate in chunk.candidates or ():
            self._look_at(candidate, raw)
        return True

    def _look_at(self, candidate: _Candidate, raw: bytes) -> None:
        parts = (candidate.content.parts if candidate.content is not None else None) or ()
        given = sum(content_bytes(value) for part in parts for name, value in part.items() if name not in _NOT_CONTENT)
        if given:
            self.events += 1
            self._bytes += len(raw)
            if not self.content_started:
                self._start(len(raw), given)
        if candidate.finish_reason:
            self._finished = self.started = True


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """The facts of an unstreamed answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = _WHOLE.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=provider, phase="body") from None
    if whole.error:
        fault = in_stream(whole.error, body, provider=provider, tier_asked=tier_asked, dialect=NAME)
        fault.phase = "body"
        raise fault
    usage = whole.usage_metadata
    return Answer(word(served_tier(usage)), read_usage(usage), short_id(whole.response_id))


def keep_alive(framing: Framing = "sse") -> bytes:
    """An empty line: legal between events and between the elements of an array, and every SDK ignores it."""
    return b"\n"


def cost_event(facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
    """Nothing: the SDK refuses fields that it does not know."""
    return b""


def error_event(
    fault: Fault,
    *,
    sequence_number: int = 0,
    response_id: str | None = None,
    request_id: str = "",
    framing: Framing = "sse",
) -> bytes:
    """The chunk that ends a stream which failed. SDKs look for an object whose first key is `error`."""
    told = _ENCODER.encode({"error": google_error(fault)})
    if framing == "sse":
        return event(told)
    return (b",\r\n" if sequence_number else b"[") + told + b"\n]"
