"""A request in work: what the steps have found out so far. The rule: steps write here, `settle` reads it, once."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import Fault
from appliance.domain.money import Cost, Rates, cost_of
from appliance.domain.record import AttemptOutcome, CancelCause
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.policy.exploration import Look
from appliance.policy.foresight import Prospect
from appliance.policy.plan import Plan
from appliance.request.admit import Admitted
from appliance.request.call import Call
from appliance.request.embed import EmbeddingTranslation
from appliance.request.observation import Observation
from appliance.request.translate import Translation
from appliance.upstream.attempt import Attempt
from appliance.wire.dialect import Dialect

NONE_LINGERS: Mapping[int, Observation] = MappingProxyType({})

ENDED = frozenset({"cancelled", "client_gone"})
"""Outcomes of attempts that ended with the request, for its cause."""


class OnLadder(NamedTuple):
    """What the records of a request over a ladder in words must know.

    `reference`: price list, model and tier of what always-default would be. `unlisted`: providers and models that only
    the caller has named. `asked_listed`: whether the model in the request's own field is one that a provider lists.
    """

    reference: tuple[str, str, str | None]
    unlisted: frozenset[tuple[str, str]]
    asked_listed: bool


class Work:
    """One request between admission and settlement. Times are monotonic."""

    __slots__ = (
        "admitted",
        "answered_s",
        "attempts",
        "call",
        "causes",
        "client_gone",
        "cost",
        "counted",
        "dialect",
        "fault",
        "held_up",
        "ladder",
        "lingering",
        "look",
        "model",
        "plan",
        "prospect",
        "provider",
        "racing",
        "reason",
        "rehearsed",
        "reserved",
        "response_id",
        "retried",
        "settled",
        "size",
        "skipped",
        "stamps",
        "status",
        "tier_served",
        "tokens",
        "translation",
        "unsealed",
        "winner",
    )

    def __init__(self, call: Call) -> None:
        self.call = call
        self.dialect: Dialect | None = None
        self.admitted: Admitted | None = None
        self.provider: Provider | None = None
        self.model: str | None = None
        self.plan: Plan | None = None
        self.translation: Translation | EmbeddingTranslation | None = None  # None: all speak the caller's dialect
        self.stamps = False  # whether the prompt may hold seals that a translation has stamped
        self.unsealed = False  # whether such were taken out
        self.ladder: OnLadder | None = None
        self.racing = False
        self.rehearsed = False  # planned to be told of, not to be sent: it takes nothing and counts nowhere
        self.retried = 0
        self.counted = False
        self.settled = False
        self.held_up = False  # whether the client was seen to be slow to take its answer
        self.prospect: Prospect | None = None  # what the plan rests on, where the engine made it
        self.look: Look | None = None  # what was taken from the purse, so that its first attempt may be left running
        self.reserved = 0.0  # taken from the purse for a look that this request is
        self.size = 0  # size class of the prompt, where it is of a model that is raced
        self.skipped: tuple[Rung, ...] = ()  # whose breakers are open
        self.attempts: list[Attempt] = []
        self.causes: dict[int, CancelCause] = {}
        self.lingering = NONE_LINGERS  # by ordinal: attempts that were left running when another one won
        self.winner: Attempt | None = None
        self.reason: str | None = None
        self.fault: Fault | None = None
        self.status = 0
        self.client_gone = False
        self.answered_s: float | None = None
        self.tokens: Tokens = UNKNOWN_TOKENS
        self.cost: tuple[Tokens, Rates | None, Cost] | None = None  # what these tokens cost at these rates
        self.tier_served: str | None = None
        self.response_id: str | None = None

    def cost_at(self, tokens: Tokens, rates: Rates | None) -> Cost:
        """What tokens cost: usually the answer, the record and the comparison with `default` ask for the same."""
        known = self.cost
        if known is None or known[0] is not tokens or known[1] is not rates:
            known = self.cost = (tokens, rates, cost_of(tokens, rates))
        return known[2]

    def outcome_of(self, attempt: Attempt) -> AttemptOutcome:
        """How an attempt ended, in the words of the record."""
        if attempt is self.winner and attempt.end == "complete":
            return "won"
        if attempt.fault is not None:
            return outcome_of_lost(attempt, attempt.fault)
        if attempt.ordinal in self.lingering:
            return "detached"
        cause = self.causes.get(attempt.ordinal)
        if cause == "lost_race":
            return "lost"
        return "client_gone" if cause == "client_gone" or self.client_gone else "cancelled"

    def cause_of(self, attempt: Attempt, outcome: AttemptOutcome) -> CancelCause | None:
        """Why an attempt of this outcome was ended; None: it ended by itself, or runs on."""
        cause = self.causes.get(attempt.ordinal)
        if cause is not None:
            return cause
        if outcome == "detached":
            return self.lingering[attempt.ordinal].cause
        return self.call.cause if outcome in ENDED else None

    def linger(self, one: Observation) -> None:
        """An attempt is left running beyond the race, and perhaps beyond the request."""
        self.lingering = {**self.lingering, one.attempt.ordinal: one}

    def close_attempts(self) -> None:
        """Leave nothing open, but for what was left running."""
        for attempt in self.attempts:
            if attempt.ordinal not in self.lingering:
                attempt.close()

    def forget_frames(self) -> None:
        """Let go of what faults were raised through: frames that hold this request, prompt and all, as it holds them.

        Such a cycle would wait for the garbage collector, which seldom runs here. An attempt's fault is often another
        than the request's: the client had left, or a later attempt was better.
        """
        if self.fault is not None:
            _forget_frames(self.fault)
        for attempt in self.attempts:
            if attempt.fault is not None:
                _forget_frames(attempt.fault)


def outcome_of_lost(attempt: Attempt, fault: Fault) -> AttemptOutcome:
    """The word for an attempt that ended in a fault."""
    return "refused" if fault.kind.code == "provider_refused" and attempt.started_s is None else "failed"


def _forget_frames(fault: Fault) -> None:
    fault.__traceback__ = fault.__cause__ = fault.__context__ = None
