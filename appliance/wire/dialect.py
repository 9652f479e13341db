"""What every dialect offers. The rule: `request/` knows these shapes and no provider's format.

A dialect is a module (`openai_chat`, `openai_responses`, `openai_embeddings`) with the names of `Dialect`.
"""

from typing import Literal, Protocol

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.domain.routing import NO_OPTIONS, Options
from appliance.domain.tier import StartWithin
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.body import RequestBody

StartedAt = Literal["output", "content"]
"""What counts as the start of an answer: any proof that generation runs, or the first content."""


Framing = Literal["sse", "array"]
"""How a client wants its stream: server-sent events, or (Gemini without `alt=sse`) one JSON array that grows."""


class NotAssemblable(ValueError):
    """The streamed answer has a part that cannot be put together as the unstreamed one (audio)."""


class Asked(msgspec.Struct, frozen=True):
    """What routing needs to know of a request.

    `service_tier` is the client's own value as sent, `start_within` its wish from body or header (body first).
    `estimated_input_tokens` is a quarter of the body's bytes. `why_not_raced` is None when it may be raced.
    `framing` is that of the client's stream, `action` what the path says is to be done, where one dialect has several.
    `ours`: fields beside `start_within` that go no further.
    """

    model: str
    stream: bool
    service_tier: str | None
    start_within: StartWithin | None
    include_usage: bool
    max_output_tokens: int | None
    estimated_input_tokens: int
    body: RequestBody
    not_raced: "WhyNotRaced"
    framing: Framing = "sse"
    action: str = ""
    options: Options = NO_OPTIONS
    ours: tuple[str, ...] = ()

    @property
    def why_not_raced(self) -> str | None:
        """Why the dialect cannot race this request, or None. Looks into the body each time: ask once, when racing."""
        return self.not_raced(self.body)

    @property
    def raceable(self) -> bool:
        """Whether the dialect can race this request."""
        return self.not_raced(self.body) is None


class WhyNotRaced(Protocol):
    """A dialect's table of what cannot be raced."""

    def __call__(self, body: RequestBody, /) -> str | None:
        """The reason, in a word for the log, or None."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """What the record needs of an unstreamed answer. `tier` is as echoed (`domain.tier.canonical_tier` reads it)."""

    tier: str | None = None
    usage: Tokens = UNKNOWN_TOKENS
    response_id: str | None = None


class StreamReader(Protocol):
    """Watches one upstream stream. Feed it what arrives; send on what `feed` returns once `started`.

    `fault` first, then `terminal`: after either, nothing more comes out. The terminal event and the event that carried
    the fault are kept apart, in `terminal_event` and `fault_event`, and are not part of what `feed` returns.
    """

    started: bool
    content_started: bool
    terminal: bool
    terminal_event: bytes | None
    fault: UpstreamFault | None
    fault_event: bytes | None
    tier: str | None
    response_id: str | None
    usage: Tokens | None
    early: Tokens | None
    """What was told of the input before the usage was complete (Anthropic tells it first), else None."""

    events: int
    sequence_number: int

    @property
    def ended(self) -> bool:
        """Whether nothing more will come out: the terminal event or a fault was seen."""
        ...

    @property
    def output_bytes_estimate(self) -> int:
        """About how many bytes of output came, framing deducted."""
        ...

    def feed(self, data: bytes) -> bytes:
        """The whole events that `data` completed, to be forwarded in order; empty when there are none."""
        ...

    def eof(self) -> UpstreamFault | None:
        """The stream has ended: the fault of its end (provider_cut_off without a terminal event), or None."""
        ...

    def tokens(self, estimated_input: int) -> Tokens:
        """The usage told, else an estimate from what was seen."""
        ...


class StreamReaderClass(Protocol):
    """How a reader is made."""

    def __call__(
        self,
        *,
        started_at: StartedAt = "output",
        drop_usage: bool = False,
        provider: str = "",
        tier_asked: str | None = None,
        framing: Framing = "sse",
    ) -> StreamReader:
        """A reader for one stream; `drop_usage` withholds the usage-only chunk that the client did not ask for.

        `framing`: how what `feed` returns is written; it is read from server-sent events always.
        """
        ...


class Assembler(Protocol):
    """Puts a streamed answer together for a client that did not ask for a stream."""

    def feed(self, events: bytes) -> None:
        """Take whole events: what the reader's `feed` returned, at last its `terminal_event`."""
        ...

    def result(self) -> bytes:
        """The unstreamed object as JSON. Raises NotAssemblable."""
        ...


class Dialect(Protocol):
    """A dialect module."""

    NAME: str
    TIER_HEADER: bytes | None
    """The header of an answer that names the tier served; None: its body does."""

    @property
    def COMMENTS(self) -> bool:  # noqa: N802
        """Whether every SDK of the dialect ignores comment lines in a stream of events."""
        ...

    @property
    def StreamReader(self) -> StreamReaderClass:  # noqa: N802  the module's class
        """The class of its stream readers."""
        ...

    @property
    def Assembler(self) -> type[Assembler]:  # noqa: N802
        """The class of its assemblers."""
        ...

    def read_request(
        self, body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b""
    ) -> Asked:
        """What was asked; `argument` is the model's part of the path. Raises CallerFault with the parameter named."""
        ...

    def path(self, asked: Asked, *, model: str, stream: bool) -> bytes:
        """Where the call goes, below a provider's base URL, with the query that the dialect itself needs."""
        ...

    def upstream_body(self, asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
        """The body to send: Startline's fields removed, model, tier, `stream` and usage option set."""
        ...

    def read_answer(self, body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
        """The facts of an unstreamed answer. Raises UpstreamFault for an error inside a 200, or garbage."""
        ...

    def keep_alive(self, framing: Framing = "sse") -> bytes:
        """Bytes that keep a silent stream open and that every client ignores."""
        ...

    def cost_event(self, facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
        """What a client that sent `include_cost` is told before the terminal event; b"" where no SDK could read it."""
        ...

    def error_event(
        self,
        fault: Fault,
        *,
        sequence_number: int = 0,
        response_id: str | None = None,
        request_id: str = "",
        framing: Framing = "sse",
    ) -> bytes:
        """The events that end a stream which failed, on which SDKs raise. Nothing may follow them."""
        ...
