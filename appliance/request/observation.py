"""One attempt that may outlive its request. The rule: as long as a race holds it, it is closed as any loser is.

It runs in the nursery of `request/observatory.py`, since a task cannot move to another one. The race that started it
follows it as if the task were its own: it hears of the start or the failure, and if the race ends otherwise the attempt
is closed and its end is awaited. Once let go it is the observatory's alone, and holds nothing of the request.
"""

from collections.abc import Callable

import trio

from appliance.domain.record import AttemptRecord, CancelCause
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.policy.exploration import Look
from appliance.policy.latency import Flight
from appliance.upstream.attempt import Attempt

CLOSING_S = 5.0
"""A task whose socket is closed and whose scope is cancelled ends at once; nobody waits for longer."""


class Observation:
    """`attempt` runs within `scope`. Times are monotonic; `zero_s`: when the request came.

    `let_go_s`: when the race let go of it, None before. `cause`: why it was closed. `record`: what its request's record
    said of it, None before that; `told`: what the winner was told to have used. `over`: its task has ended. `begun` is
    called then, unless the race has let go of it.
    """

    __slots__ = (
        "_begun",
        "_heard",
        "attempt",
        "bug",
        "cause",
        "flight",
        "key_id",
        "let_go_s",
        "look",
        "most_output_tokens",
        "organisation_id",
        "over",
        "record",
        "scope",
        "told",
        "zero_s",
    )

    def __init__(
        self, attempt: Attempt, organisation_id: str, key_id: str, zero_s: float, begun: Callable[[], None]
    ) -> None:
        self.attempt = attempt
        self.organisation_id = organisation_id
        self.key_id = key_id
        self.zero_s = zero_s
        self.scope = trio.CancelScope()
        self.most_output_tokens: int | None = None
        self.let_go_s: float | None = None
        self.cause: CancelCause | None = None
        self.flight: Flight | None = None
        self.look: Look | None = None
        self.record: AttemptRecord | None = None
        self.told: Tokens = UNKNOWN_TOKENS
        self.bug: Exception | None = None
        self.over = False
        self._begun: Callable[[], None] | None = begun
        self._heard = trio.Event()

    def end(self) -> None:
        """The task is done: the attempt has begun, or was closed."""
        self.over = True
        begun, self._begun = self._begun, None
        if begun is not None:
            begun()
        self._heard.set()

    async def follow(self) -> None:
        """Return when the attempt has begun or was let go; if this wait ends before, it is closed and awaited.

        Raises what its task raised.
        """
        try:
            await self._heard.wait()
        finally:
            if not self._heard.is_set():
                self.attempt.close()
                self.scope.cancel()
                with trio.move_on_after(CLOSING_S, shield=True):
                    await self._heard.wait()
        bug, self.bug = self.bug, None
        if bug is not None:
            try:
                raise bug
            finally:
                del bug  # else its frames would hold it, and it them

    def let_go(self, until_s: float, now_s: float) -> None:
        """Leave the attempt to itself until then."""
        self.attempt.outlive()
        self._begun = None
        self.let_go_s = now_s
        self.scope.deadline = until_s
        self._heard.set()
