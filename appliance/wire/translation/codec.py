"""What every dialect offers to translation. The rule: whoever translates knows these shapes and no dialect's format."""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from appliance.domain.chat import Conversation, DialectName
from appliance.domain.profile import Quirk
from appliance.domain.stream import Answer, Event

UNNAMED = "answer"
"""The label of a schema that nobody named, where a dialect insists on one; read back as no name."""

UNNAMED_FILES = {"application/pdf": "document.pdf", "text/plain": "document.txt"}
"""The same for documents, which OpenAI's dialects take only with a name; by media type."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes. `home` is the provider's family (`anthropic`, `openai`, `gemini`, …), its seals' owner.

    `tier` is the word to ask for in the dialect's own field, or None. `most_output_tokens` is said where the dialect
    insists on a limit and the caller named none.
    """

    model: str
    home: str
    stream: bool
    tier: str | None = None
    most_output_tokens: int = 32_000
    quirks: frozenset[Quirk] = frozenset()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer comes from: `home` as in `Target`, `provider` and `tier_asked` for its faults."""

    home: str
    provider: str = ""
    tier_asked: str | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer of answers must know: the `id`, `model` and `created` (second) to tell where the answer has none.

    `include_usage`: the client asked for usage in the stream (chat tells it only then). `framing`: server-sent events,
    or the JSON array that a Gemini client gets which did not ask for them.
    """

    id: str
    model: str
    created: int
    include_usage: bool = False
    framing: Literal["sse", "array"] = "sse"


class Written(msgspec.Struct, frozen=True):
    """A request's body in the target dialect, and the rows of `drops.DROPS` that were used."""

    body: bytes
    dropped: tuple[str, ...]


class AnswerReader(Protocol):
    """Reads one streamed answer, in UTF-8. Memory is bounded by one event of the provider and a few words a part."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completed; the same in all whatever the cuts. Nothing after `Ended` or `Failed`."""
        ...

    def eof(self) -> list[Event]:
        """The stream has ended: what was still open, and `Failed` (provider_cut_off) if it was not whole."""
        ...


class AnswerWriter(Protocol):
    """Writes one streamed answer."""

    def write(self, event: Event) -> bytes:
        """The bytes that say `event`; empty where the dialect says nothing at this point."""
        ...


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """One dialect in both directions.

    - `read_request(body)`: what was asked. Raises CallerFault bad_json, bad_request or inexpressible, naming the field.
    - `write_request(conversation, target)`: the body to send. Raises Inexpressible. Same conversation, same bytes.
    - `answer_reader(source)`, `answer_writer(reply)`: for one streamed answer.
    - `read_answer(body, source)`: a whole answer, in UTF-8. Raises UpstreamFault for an error inside a 200, or garbage.
    - `write_answer(answer, reply)`: the body of a whole answer.
    """

    name: DialectName
    read_request: Callable[[bytes], Conversation]
    write_request: Callable[[Conversation, Target], Written]
    answer_reader: Callable[[Source], AnswerReader]
    answer_writer: Callable[[Reply], AnswerWriter]
    read_answer: Callable[[bytes, Source], Answer]
    write_answer: Callable[[Answer, Reply], bytes]
