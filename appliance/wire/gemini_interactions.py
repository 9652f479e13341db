"""Gemini's Interactions, passed through. The rule: an event's `event_type` decides; few are looked into further.

What starts the answer: `step.start` (`output` only: it proves that generation runs), the first `step.delta`. Never:
`interaction.created` and `interaction.status_update`. The stream ends with `interaction.completed`.

| not raced | why |
|---|---|
| `stream` not set | the lifecycle events leave out fields of the whole interaction: it cannot be assembled |
| `background: true`, `store: true` (said; the default is not), `agent`, `environment` | done or kept at the provider |
| tools `code_execution`, `computer_use`, `mcp_server` | run at the provider, or with effects, twice |

Source: the official SDK's types of interactions.
"""

from typing import Any, ClassVar, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Framing, NotAssemblable
from appliance.wire.faults import google_error
from appliance.wire.gemini_request import read_asked, write_body
from appliance.wire.openai_request import tool_of
from appliance.wire.openai_stream import UNREADABLE, OpenAIStream, content_bytes, decode_event, short_id
from appliance.wire.provider_errors import in_stream, word
from appliance.wire.sse import event, event_fields
from appliance.wire.tokens_gemini import read_interaction_usage

NAME: Final = "gemini_interactions"
TIER_HEADER: Final[bytes | None] = b"x-gemini-service-tier"
COMMENTS: Final = False

_ENCODER = msgspec.json.Encoder()
_EFFECTS: Final = frozenset({"code_execution", "computer_use", "mcp_server"})


class _Interaction(msgspec.Struct, frozen=True):
    id: Any = None
    usage: Any = None
    service_tier: Any = None


class _Event(msgspec.Struct, frozen=True):
    event_type: str = ""
    interaction: _Interaction | None = None
    delta: dict[str, msgspec.Raw] | None = None
    error: Any = None


class _Whole(_Interaction, frozen=True):
    error: Any = None


class _Config(msgspec.Struct, gc=False):
    max_output_tokens: int | None = None


_EVENT = msgspec.json.Decoder(_Event)
_WHOLE = msgspec.json.Decoder(_Whole)
_CONFIG = msgspec.json.Decoder(_Config)


def _not_raced(body: RequestBody) -> str | None:
    if "stream" not in body or body.value("stream") is not True:
        return "unassembled"
    for name in ("background", "store"):
        if name in body and body.value(name) is True:
            return name
    for name in ("agent", "environment"):
        if name in body and body.is_set(name):
            return name
    tool = tool_of(body, _EFFECTS)
    return None if tool is None else f"tool_{tool}"


def read_request(body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b"") -> Asked:
    """What was asked; an agent is routed by its name as a model is. Raises CallerFault with the parameter named."""
    model = body.get_str("model") or body.get_str("agent") or ""
    raw = body.raw("generation_config")
    try:
        most = _CONFIG.decode(raw).max_output_tokens if raw is not None else None
    except UNREADABLE:
        most = None  # the provider says what is wrong with it
    stream = ("stream" in body and body.get_bool("stream")) or False
    return read_asked(
        body, header_start_within, model.removeprefix("models/"), stream=stream, most=most, not_raced=_not_raced
    )


def path(asked: Asked, *, model: str, stream: bool) -> bytes:
    """Where the call goes, below the provider's base URL."""
    return b"/interactions?alt=sse" if stream else b"/interactions"


def upstream_body(asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
    """The body to send; usage comes unasked."""
    name = "model" if asked.body.is_set("model") else "agent"
    return write_body(asked, tier, {} if model == asked.model else {name: _ENCODER.encode(model)}, "service_tier")


class StreamReader(OpenAIStream):
    """Watches one stream of an interaction; see `dialect.StreamReader`."""

    FAMILY: ClassVar[str] = "gemini"
    __slots__ = ()

    def _look(self, raw: bytes) -> bool:
        data = event_fields(raw)[1]
        if not data or data.startswith(b"[DONE]"):
            return True
        try:
            told = decode_event(_EVENT, data)
        except UNREADABLE:
            return self._garbled()
        self.sequence_number += 1
        if told.interaction is not None:
            self._take(told.interaction)
        match told.event_type:
            case "step.delta":
                self._take_delta(told.delta or {}, raw)
            case "step.start":
                self.started = self.started or not self._wants_content
            case "interaction.completed":
                self.started = True
                self._end(raw)
                return False
            case "error":
                return self._error(told.error or {}, raw)
        return True

    def _take(self, interaction: _Interaction) -> None:
        self.response_id = self.response_id or short_id(interaction.id)
        self._note_tier(interaction.service_tier)
        if interaction.usage is not None:
            self.usage = read_interaction_usage(interaction.usage)

    def _take_delta(self, delta: dict[str, msgspec.Raw], raw: bytes) -> None:
        self.events += 1
        self._bytes += len(raw)
        if not self.content_started:
            given = sum(content_bytes(value) for name, value in delta.items() if name != "type")
            if given:
                self._start(len(raw), given)

    def _closes(self, rest: bytes) -> bool:
        try:
            return decode_event(_EVENT, event_fields(rest)[1]).event_type == "interaction.completed"
        except UNREADABLE:
            return False


class Assembler:
    """There is none: what does not stream is not raced, so nothing is ever assembled."""

    def feed(self, events: bytes) -> None:
        """Raises NotAssemblable."""
        raise NotAssemblable("an interaction cannot be assembled")

    def result(self) -> bytes:
        """Raises NotAssemblable."""
        raise NotAssemblable("an interaction cannot be assembled")


def read_answer(body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
    """The facts of an unstreamed answer. Raises UpstreamFault for an error inside a 200, or garbage."""
    try:
        whole = _WHOLE.decode(body)
    except UNREADABLE:
        raise UpstreamFault("provider_garbled", provider=provider, phase="body") from None
    if whole.error and whole.id is None:
        fault = in_stream(whole.error, body, provider=provider, tier_asked=tier_asked, dialect=NAME)
        fault.phase = "body"
        raise fault
    return Answer(word(whole.service_tier), read_interaction_usage(whole.usage), short_id(whole.id))


def keep_alive(framing: Framing = "sse") -> bytes:
    """An empty line, which every SDK ignores."""
    return b"\n"


def cost_event(facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
    """Nothing: the SDK knows all events."""
    return b""


def error_event(
    fault: Fault,
    *,
    sequence_number: int = 0,
    response_id: str | None = None,
    request_id: str = "",
    framing: Framing = "sse",
) -> bytes:
    """The `error` event that ends a stream which failed. No `interaction.completed` may follow."""
    error = google_error(fault)
    told = {"code": error["status"], "message": error["message"]} | {name: error[name] for name in fault.block_names}
    return event(_ENCODER.encode({"event_type": "error", "error": told}), b"error")
