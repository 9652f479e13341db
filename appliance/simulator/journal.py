"""What the simulator saw: one entry per request, with whether and when the client went away.

Rule: the journal holds facts about requests and never their content: names of headers, not values; counts, not texts.
It is bounded: beyond `limit` the oldest entry goes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
import trio

Outcome = Literal["open", "completed", "refused", "failed", "cut", "client_gone"]


class Entry(msgspec.Struct, kw_only=True):
    """One request. Times are seconds of trio's clock since the server began (divide by the time scale for simulated
    seconds); a time that never came is None.

    Outcomes: `open` (still running), `completed` (everything was sent), `refused` (an error status), `failed` (an
    error inside a 200 stream), `cut` (the server broke off), `client_gone` (the client closed before the end).
    """

    sequence: int  # 1, 2, 3, … over the server's life
    connection: int  # number of the connection
    request_on_connection: int  # 1 for the first
    method: str
    path: str
    arrived_s: float  # the last byte of the body was read
    body_bytes: int
    headers: list[str]  # names, lower case, in order
    forbidden: list[str]  # headers and body fields that a gateway must not pass on
    family: str = ""  # the provider played: openai, anthropic, gemini
    betas: list[str] = []  # Anthropic: the names in `anthropic-beta`
    media: int = 0  # images and documents in the input, where the dialect counts them apart
    mark: str = ""  # the override's `mark`
    model: str = ""
    tier_asked: str | None = None  # as in the request; None: not in it
    tier_served: str | None = None
    streamed: bool = False
    status: int | None = None
    fault: str = ""  # name of the refusal, or code of the error
    response_id: str = ""
    outcome: Outcome = "open"
    head_s: float | None = None  # response head sent
    started_s: float | None = None  # first output sent (content, or Responses' first output item)
    content_s: float | None = None  # first content sent
    ended_s: float | None = None
    gone_s: float | None = None  # the client's end was seen
    tokens_sent: int = 0  # content tokens
    usage: dict[str, Any] | None = None  # as told to the client


class Journal:
    """The entries, in order of arrival, and a way to wait for what they say."""

    def __init__(self, limit: int = 20_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._changed = trio.Event()
        self._count = 0
        self.connections = 0  # opened so far
        self.broken_requests = 0  # closed or garbled before the request was complete
        self.errors: deque[str] = deque(maxlen=100)  # names of unexpected exceptions of the simulator itself

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def next_sequence(self) -> int:
        """The number of the next entry."""
        self._count += 1
        return self._count

    def add(self, entry: Entry) -> None:
        """Append an entry; it is filled in while its request runs."""
        self._entries.append(entry)
        self.changed()

    def changed(self) -> None:
        """Wake everyone who waits; called after each change of an entry."""
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self, condition: Callable[["Journal"], bool]) -> None:
        """Return once the condition holds (checked now and after each change). The caller sets the time limit."""
        while not condition(self):
            await self._changed.wait()

    async def idle(self) -> None:
        """Return once no request is open."""
        await self.wait(lambda journal: all(entry.outcome != "open" for entry in journal))

    def find(self, **facts: object) -> list[Entry]:
        """Entries whose fields equal all the given ones, e.g. `find(mark="a", tier_asked="flex")`."""
        return [e for e in self._entries if all(getattr(e, name) == value for name, value in facts.items())]

    def clear(self) -> None:
        """Forget all entries (numbers go on)."""
        self._entries.clear()
        self.changed()

    def to_builtins(self) -> dict[str, Any]:
        """The journal as GET /_journal tells it."""
        return {
            "connections": self.connections,
            "broken_requests": self.broken_requests,
            "errors": list(self.errors),
            "entries": msgspec.to_builtins(list(self._entries)),
        }
