"""OpenAI Responses, passed through. The rule: the event's name decides; only events that matter are decoded.

What starts the answer: `response.output_item.added` (or `.done`) and part openings (`output` only), any `*.delta` with
something in it, a partial image, and a terminal `completed` or `incomplete`. Never: `created`, `queued`,
`in_progress` (sent before capacity is proven), `keepalive`, padding alone, comments.

| not raced | why |
|---|---|
| `background: true` | the answer is fetched later, by its id |
| `store: true` (said; the default is not) | the loser would be stored as well |
| `conversation` set | both attempts would write to it |
| tools `mcp`, `code_interpreter`, `shell`, `programmatic_tool_calling` | run at the provider, with effects, twice |
| tool `image_generation` | a job that is dear from its start |

Sources: the official SDK's `types/responses`; a captured overload: `created`, `in_progress`, `error` with a nested
`error` object, `response.failed`. The SDK's type of `error` is flat: both are read, and both are written.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Framing, NotAssemblable
from appliance.wire.faults import openai_error
from appliance.wire.openai_request import read_asked, tool_of, write_body
from appliance.wire.openai_stream import UNREADABLE, OpenAIStream, content_bytes, decode_event, short_id
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.sse import SseSplitter, comment, event, event_fields, plain_name
from appliance.wire.tokens_openai import read_usage

NAME: Final = "openai_responses"
TIER_HEADER: Final[bytes | None] = None
COMMENTS: Final = True

_COMPLETE: Final = frozenset({b"response.completed", b"response.incomplete"})
_TERMINAL: Final = _COMPLETE | {b"response.failed"}
_DECISIVE: Final = _TERMINAL | {b"error"}
_OUTPUT: Final = frozenset(
    {
        b"response.output_item.added",
        b"response.output_item.done",
        b"response.content_part.added",
        b"response.reasoning_summary_part.added",
    }
)
_CONTENT: Final = frozenset({b"response.image_generation_call.partial_image"})
_SIDE_EFFECTS: Final = frozenset({"mcp", "code_interpreter", "shell", "programmatic_tool_calling", "image_generation"})
_ENCODER = msgspec.json.Encoder()


class _Kind(msgspec.Struct, gc=False):
    type: str = ""


class _Delta(msgspec.Struct, gc=False):
    delta: msgspec.Raw = msgspec.Raw()


class _Response(msgspec.Struct):
    id: Any = None
    service_tier: Any = None
    usage: Any = None
    error: Any = None


class _Event(msgspec.Struct):
    response: _Response | None = None


class _Error(msgspec.Struct):
    error: Any = None
    message: Any = None
    code: Any = None
    param: Any = None


class _Terminal(msgspec.Struct):
    response: msgspec.Raw


_KIND = msgspec.json.Decoder(_Kind)
_DELTA = msgspec.json.Decoder(_Delta)
_EVENT = msgspec.json.Decoder(_Event)
_ERROR = msgspec.json.Decoder(_Error)
_RESPONSE = msgspec.json.Decoder(_Response)
_TERMINAL_OBJECT = msgspec.json.Decoder(_Terminal)


def _not_raced(body: RequestBody) -> str | None:
    if "background" in body and body.value("background") is True:
        return "background"
    if "store" in body and body.value("store") is True:
        return "stored"
    if "conversation" in body and body.is_set("conversation"):
        return "conversation"
    tool = tool_of(body, _SIDE_EFFECTS)
    return None if tool is None else f"tool_{tool}"


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked. Raises CallerFault with the parameter named."""
    return read_asked(body, header_start_within, ("max_output_tokens",), _not_raced)


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return b"/responses"


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send. Usage comes unasked in this dialect: `add_usage` changes nothing."""
    return write_body(asked, model=model, tier=tier, stream=stream, include_usage=False)


class StreamReader(OpenAIStream):
    """Watches one Responses stream; see `dialect.StreamReader`."""

    __slots__ = ()

    def _look(self, raw: bytes) -> bool:
        data: bytes | None = None
        name = None if self._splitter.carriage else plain_name(raw)
        if name is None:
            told, data = event_fields(raw)
            if not data or data.startswith(b"[DONE]"):
                return True  # [DONE] is not of this dialect; its terminal event decides
            try:
                name = decode_event(_KIND, data).type.encode() if told is None else told
            except UNREADABLE:
                return self._garbled()
        self.sequence_number += 1
        if name in _DECISIVE:
            return self._decide(name, raw, data)
        if name.endswith(b".delta"):
            self.events += 1
            self._bytes += len(raw)
            if not self.content_started:
                return self._look_for_content(raw, data)
        elif not self.content_started:
            return self._look_before_content(name, raw, data)
        return True

    def _look_for_content(self, raw: bytes, data: bytes | None) -> bool:
        try:
            delta = decode_event(_DELTA, event_fields(raw)[1] if data is None else data).delta
        except UNREADABLE:
            return self._garbled()
        if given := content_bytes(delta):
            self._start(len(raw), given)
        return True

    def _look_before_content(self, name: bytes, raw: bytes, data: bytes | None) -> bool:
        if name in _CONTENT:
            self._start(len(raw), 0)
        elif name in _OUTPUT:
            if not self._wants_content:
                self.started = True
        elif self.response_id is None and name in (b"response.created", b"response.queued", b"response.in_progress"):
            try:
                seen = decode_event(_EVENT, event_fields(raw)[1] if data is None else data)
            except UNREADABLE:
                return self._garbled()
            if seen.response is not None:
                self.response_id = short_id(seen.response.id)
        return True

    def _decide(self, name: bytes, raw: bytes, data: bytes | None) -> bool:
        if data is None:
            data = event_fields(raw)[1]
        try:
            if name == b"error":
                return self._fault(decode_event(_ERROR, data), data, raw)
            response = decode_event(_EVENT, data).response
        except UNREADABLE:
            return self._garbled()
        if response is None:
            return self._garbled()
        self.response_id = short_id(response.id) or self.response_id
        self._note_tier(response.service_tier)
        if response.usage is not None:
            self.usage = read_usage(response.usage)
        if name in _COMPLETE:
            self.started = True
            self._end(raw)
            return False
        self._end(raw)
        return self._error(response.error or {"message": None, "code": None}, raw)

    def _fault(self, seen: _Error, data: bytes, raw: bytes) -> bool:
        if isinstance(seen.error, dict):
            return self._error(seen.error, raw, data)
        flat = {"message": seen.message, "type": None, "param": seen.param, "code": seen.code}
        return self._error(flat, raw)

    def _closes(self, rest: bytes) -> bool:
        name, data = event_fields(rest)
        try:
            return (decode_event(_KIND, data).type.encode() if name is None else name) in _TERMINAL and bool(
                decode_event(_EVENT, data).response
            )
        except UNREADABLE:
            return False


class Assembler:
    """The unstreamed object is the one in the terminal event, byte for byte."""

    __slots__ = ("_response", "_splitter")

    def __init__(self) -> None:
        self._response: bytes | None = None
        self._splitter = SseSplitter()

    def feed(self, events: bytes) -> None:
        """Take whole events; only the terminal one counts. Raises NotAssemblable if that is malformed."""
        for raw in self._splitter.feed(events):
            name, data = event_fields(raw)
            try:
                if name is None and data and not data.startswith(b"[DONE]"):
                    name = decode_event(_KIND, data).type.encode()
                if name in _TERMINAL:
                    response = bytes(decode_event(_TERMINAL_OBJECT, data).response)
                    str(response, "utf-8")  # msgspec does not look inside the strings that it skips
                    self._response = response
            except UNREADABLE:
                raise NotAssemblable("an event is malformed") from None

    def result(self) -> bytes:
        """The response object as JSON. Raises NotAssemblable if there was no terminal event."""
        if self._response is None:
            raise NotAssemblable("there was no terminal event")
        return self._response


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """The facts of an unstreamed answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = _RESPONSE.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=provider, phase="body") from None
    if whole.error and whole.id is None:
        fault = in_stream(whole.error, body, provider=provider, tier_asked=tier_asked)
        fault.phase = "body"
        raise fault
    return Answer(word(whole.service_tier), read_usage(whole.usage), short_id(whole.id))


def keep_alive(framing: Framing = "sse") -> bytes:
    """Bytes that keep a silent stream open and that every client ignores."""
    return comment(b"keep-alive")


def cost_event(facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
    """An event of our own: SDKs and agents ignore what they do not know."""
    told = {"type": "startline.cost", "sequence_number": sequence_number, "startline": facts}
    return event(_ENCODER.encode(told), b"startline.cost")


def error_event(
    fault: Fault,
    *,
    sequence_number: int = 0,
    response_id: str | None = None,
    request_id: str = "",
    framing: Framing = "sse",
) -> bytes:
    """`error`, on whose nested object the SDKs raise, then `response.failed`, which agents such as Codex wait for."""
    error = openai_error(fault)
    told = {"code": error.get("code"), "message": error.get("message"), "param": error.get("param")}
    first = {"type": "error", **told, "error": error, "sequence_number": sequence_number}
    code = fault.provider_code or ("rate_limit_exceeded" if fault.status == 429 else "server_error")
    failed = {
        "type": "response.failed",
        "response": {
            "id": response_id or "",
            "object": "response",
            "status": "failed",
            "error": {"code": code, "message": error.get("message")},
            "output": [],
        },
        "sequence_number": sequence_number + 1,
    }
    return event(_ENCODER.encode(first), b"error") + event(_ENCODER.encode(failed), b"response.failed")
