"""What a provider and its dialects have to say for themselves, so that one player can play them all.

Rule: a family is what all endpoints of one provider share (keys, headers, errors, the list of models); a dialect is
one way of asking for an answer. Both are modules: each function here is a function of the module.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from appliance.simulator.completion import Asked, Completion
from appliance.simulator.connection import Headers, Request
from appliance.simulator.faults import Fault
from appliance.simulator.script import Script
from appliance.simulator.world import Behaviour, Model

Json = dict[str, Any]


class Family(Protocol):
    """One provider: how it knows its callers, names its answers, says no and lists its models."""

    @property
    def NAME(self) -> str:  # noqa: N802  # a constant of a module
        """The name, for the journal."""

    @property
    def CREDENTIALS(self) -> frozenset[str]:  # noqa: N802
        """The headers in which its own key may come."""

    @property
    def FAULTS(self) -> Mapping[str, Fault]:  # noqa: N802
        """Its form of each refusal, by the names that worlds and overrides use."""

    def check(self, request: Request) -> None:
        """Raise Rejected unless the request has a key, and whatever else each request needs."""

    def error(self, fault: Fault, message: str, request_id: str, retry_s: float) -> bytes:
        """The body of a refusal; `retry_s` is for one that says when to come back."""

    def headers(self, request_id: str, processing_s: float, tier: str) -> Headers:
        """The headers of every answer; `tier` is the one served."""

    def limits(self, exhausted_s: float | None = None) -> Headers:
        """The headers about rate limits; a number is for a refusal: nothing left, come back in so many seconds."""

    def tier(self, body: Json, tiers: frozenset[str]) -> tuple[str, str | None]:
        """The tier whose behaviour counts, of those that the model has, and the tier as asked for. Raises Rejected."""

    def model(self, name: str) -> Json:
        """One model as the list of models has it."""

    def models(self, names: list[str], query: Mapping[str, str]) -> Json:
        """The list of models."""


class Dialect(Protocol):
    """One way of asking for an answer, whole or streamed."""

    @property
    def ID_PREFIX(self) -> str:  # noqa: N802
        """What stands before the completion's id in the answer's."""

    @property
    def EARLY(self) -> bool:  # noqa: N802
        """Whether a stream's preamble comes at admission unless the world says otherwise."""

    @property
    def THINKS(self) -> bool:  # noqa: N802
        """Whether reasoning takes its time within a stream; else it is part of the time to start."""

    def read(self, body: Json) -> Asked:
        """The request as the simulator understands it. Raises Rejected where the provider would."""

    def body(self, asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> tuple[Json, Json | None]:
        """The unstreamed answer, and the usage it tells (None if it tells none)."""

    def script(self, asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> Script:
        """The streamed answer."""

    def failure(
        self, fault: Fault, message: str, *, asked: Asked, completion: Completion, sequence: int
    ) -> list[bytes]:
        """What a stream says that fails after its 200; `sequence` is the number of the next event."""


# A call that is answered in one piece: body, model and seed to the answer and the usage it tells. Raises Rejected.
Plain = Callable[[Json, Model, int], tuple[Json, Json | None]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes: a conversation or a plain call of a family, or (neither) an unknown URL."""

    family: Family
    dialect: Dialect | None = None
    plain: Plain | None = None
    name: str = ""  # of the plain call
    given: dict[str, Any] = {}  # what the URL says of the request, put into its body
    models: str | None = None  # the list of models (empty), or one of them
    array: bool = False  # a stream that is a JSON array; so is its refusal
    say: Callable[[Fault, str, str, float], bytes] | None = None  # the body of a refusal, where not the family's
    kept: tuple[str, str] | None = None  # a kept answer by its id, and what is to be done with it

    def error(self, fault: Fault, message: str, request_id: str, retry_s: float = 0.0) -> bytes:
        """The body of a refusal; `retry_s` is for one that says when to come back."""
        told = (self.say or self.family.error)(fault, message, request_id, retry_s)
        return b"[" + told + b"]" if self.array and not fault.html else told
