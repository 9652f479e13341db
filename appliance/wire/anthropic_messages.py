"""Anthropic Messages, passed through. The rule: an event is forwarded as it came; only those that decide are decoded.

What starts the answer: `content_block_start` (`output` only: with omitted thinking no deltas come for a while), the
first `content_block_delta`, or a `message_delta` with a stop reason (an empty answer is an answer). Never:
`message_start`, which comes when the input was accepted, and `ping`. The stream ends with `message_stop`.

| not raced | why |
|---|---|
| `mcp_servers`, `container` set | tools that run at the provider, with effects, twice |

Sources: the official SDK's `RawMessageStreamEvent` and its stream helper.
"""

from typing import Any, ClassVar, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.domain.tokens import Tokens
from appliance.wire.anthropic_assembly import Assembler
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Framing
from appliance.wire.faults import anthropic_error
from appliance.wire.openai_request import read_asked, write_body
from appliance.wire.openai_stream import UNREADABLE, OpenAIStream, content_bytes, decode_event, short_id
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.sse import event, event_fields, plain_name
from appliance.wire.tokens_anthropic import read_usage, served_tier

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

NAME: Final = "anthropic_messages"
TIER_HEADER: Final[bytes | None] = None
COMMENTS: Final = True

_ENCODER = msgspec.json.Encoder()
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'


class _Kind(msgspec.Struct, gc=False):
    type: str = ""


class _Delta(msgspec.Struct):
    delta: dict[str, msgspec.Raw] = {}


class _Message(msgspec.Struct, frozen=True):
    id: Any = None
    usage: Any = None


class _Start(msgspec.Struct):
    message: _Message = _Message()


class _StopReason(msgspec.Struct, frozen=True, gc=False):
    stop_reason: Any = None


class _MessageDelta(msgspec.Struct):
    delta: _StopReason = _StopReason()
    usage: Any = None


class _Error(msgspec.Struct):
    error: Any = None


class _Whole(_Message, frozen=True):
    error: Any = None


_KIND = msgspec.json.Decoder(_Kind)
_DELTA = msgspec.json.Decoder(_Delta)
_START = msgspec.json.Decoder(_Start)
_MESSAGE_DELTA = msgspec.json.Decoder(_MessageDelta)
_ERROR = msgspec.json.Decoder(_Error)
_WHOLE = msgspec.json.Decoder(_Whole)


def _not_raced(body: RequestBody) -> str | None:
    return next((name for name in ("mcp_servers", "container") if name in body and body.is_set(name)), None)


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked. Raises CallerFault with the parameter named."""
    return read_asked(body, header_start_within, ("max_tokens",), _not_raced)


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return b"/messages"


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send. Usage comes unasked in this dialect: `add_usage` changes nothing."""
    return write_body(asked, model=model, tier=tier, stream=stream, include_usage=False)


class StreamReader(OpenAIStream):
    """Watches one stream of messages; see `dialect.StreamReader`."""

    FAMILY: ClassVar[str] = "anthropic"
    __slots__ = ("_usage",)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._usage: dict[str, Any] = {}

    def _look(self, raw: bytes) -> bool:
        data: bytes | None = None
        name = None if self._splitter.carriage else plain_name(raw)
        if name is None:
            told, data = event_fields(raw)
            if not data:
                return True
            try:
                name = decode_event(_KIND, data).type.encode() if told is None else told
            except UNREADABLE:
                return self._garbled()
        self.sequence_number += 1
        if name == b"content_block_delta":
            self.events += 1
            self._bytes += len(raw)
            return self.content_started or self._look_for_content(raw, data)
        if name == b"content_block_start":
            self.started = self.started or not self._wants_content
            return True
        if name in (b"message_start", b"message_delta", b"message_stop", b"error"):
            return self._decide(name, raw, event_fields(raw)[1] if data is None else data)
        return True

    def _look_for_content(self, raw: bytes, data: bytes | None) -> bool:
        try:
            delta = decode_event(_DELTA, event_fields(raw)[1] if data is None else data).delta
        except UNREADABLE:
            return self._garbled()
        given = sum(content_bytes(value) for field, value in delta.items() if field != "type")
        if given:
            self._start(len(raw), given)
        return True

    def _decide(self, name: bytes, raw: bytes, data: bytes) -> bool:
        try:
            match name:
                case b"message_stop":
                    self.started = True
                    self._end(raw)
                    return False
                case b"error":
                    return self._error(decode_event(_ERROR, data).error or {}, raw, data)
                case b"message_start":
                    message = decode_event(_START, data).message
                    self.response_id = short_id(message.id)
                    self._take_usage(message.usage)
                    self.early = read_usage(self._usage, "estimated")
                case _:
                    told = decode_event(_MESSAGE_DELTA, data)
                    self.started = self.started or bool(told.delta.stop_reason)
                    self._take_usage(told.usage)
                    self.usage = read_usage(self._usage)
        except UNREADABLE:
            return self._garbled()
        return True

    def _take_usage(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage.update({name: value for name, value in usage.items() if value is not None})
            self._note_tier(served_tier(self._usage))

    def _closes(self, rest: bytes) -> bool:
        name, data = event_fields(rest)
        try:
            return (decode_event(_KIND, data).type.encode() if name is None else name) == b"message_stop"
        except UNREADABLE:
            return False

    def tokens(self, estimated_input: int) -> Tokens:
        """The usage told, else an estimate: the input that `message_start` told, and one output token per delta."""
        early = self.early.input if self.early is not None else None
        return self.usage or Tokens(
            input=estimated_input if early is None else early, output=self.events, certainty="estimated"
        )


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
    return Answer(word(served_tier(whole.usage)), read_usage(whole.usage), short_id(whole.id))


def keep_alive(framing: Framing = "sse") -> bytes:
    """The dialect's own `ping`, which its SDKs skip wherever it comes."""
    return _PING


def cost_event(facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
    """An event of our own: unknown events must be ignored, by the documentation."""
    return event(_ENCODER.encode({"type": "startline_cost", "startline": facts}), b"startline_cost")


def error_event(
    fault: Fault,
    *,
    sequence_number: int = 0,
    response_id: str | None = None,
    request_id: str = "",
    framing: Framing = "sse",
) -> bytes:
    """The `error` event that ends a stream which failed: SDKs raise on it. No `message_stop` may follow."""
    answer: dict[str, Any] = {"type": "error", "error": anthropic_error(fault)}
    if request_id:
        answer["request_id"] = request_id
    return event(_ENCODER.encode(answer), b"error")
