"""What is kept of a request: one request row, one row per attempt, and the archive records. Never content.

The rule: a record is built once, when the request has settled, and is never changed. Times: `at_unix_us` is wall
clock in microseconds; everything else is seconds since the last byte of the request body, on the monotonic clock.
Records hold nothing that could hold them, so the garbage collector need not look at them (`gc=False`).
"""

from typing import Literal

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.money import CostState
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens

AttemptOutcome = Literal["won", "lost", "refused", "failed", "client_gone", "cancelled", "detached", "interrupted"]
CancelCause = Literal["lost_race", "client_gone", "revoked", "shutdown", "too_slow", "idle"]

REASONS: dict[str, str] = {
    "tier_direct": "a single tier was asked for, and it served",
    "flex_won": "the cheap rung started first, before any dearer one was launched",
    "flex_won_late": "the cheap rung started first, after a dearer one was launched",
    "flex_deadline": "a dearer rung, launched because the deadline came near, started first",
    "flex_capacity": "the cheap rung was refused for capacity; a dearer one served",
    "flex_upstream_error": "the cheap rung failed at the provider; a dearer one served",
    "flex_not_started": "the cheap rung ended or could not be opened before it started; a dearer one served",
    "flex_slots_full": "the organisation's race slots were taken; a dearer rung served at once",
    "flex_breaker_open": "the cheap rung failed lately and is not asked for a pause; a dearer one served at once",
    "flex_skipped": "the cheap rung would not have paid; a dearer one served at once",
    "hedges_capped": "the launches by time that are allowed were used up; a dearer rung served at once",
    "joint_failure": "all tiers of the model failed together lately, and it is not raced for a pause; default alone",
    "not_raced": "its answer cannot be assembled, or a default wish met a model without a cheap tier; default served",
    "chain_advanced": "an earlier route failed; a later one served",
}


PLAN_WORDS: dict[str, str] = {
    "latest_launch": "the dearer rung is launched as late as the target allows",
    "cheap_alone": "the cheap rung meets the target by itself; a launch for safety stays planned",
    "dear_alone": "the cheap rung would not pay; it was left out",
    "both_at_once": "only both rungs from the start meet the target",
    "infeasible": "nothing meets the target; this comes nearest",
    "hedges_capped": "the launches by time allowed here were used up; a dearer rung served at once",
    "joint_failure": "all tiers of the model failed together lately; default alone for a pause",
    "reserve": "the dearer rung is launched when the operator says (reserve_s)",
    "explored": "planned otherwise than is cheapest, to learn how long a rung takes",
}
"""Why a plan is as it is."""


class Forecast(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was expected when a race was planned. Probabilities are of a start within the deadline, and, where the
    request has one for its last byte (`finish_s`), of an end within that.

    `chance` is the estimate itself, `chance_least` with the bound that planning used. `first` and `second` are places
    in `rungs`, `launch_s` is the planned launch of the second. `cost_nanos` and `default_nanos` are what this plan and
    always-default were expected to cost, with `input_tokens` and `output_tokens`. `why` is a word of PLAN_WORDS;
    `samples` counts the observations behind the cheap rung's curve. `replans`: when it was planned anew, and the launch
    then, in seconds.
    """

    target: float
    chance: float
    chance_least: float
    first: int
    second: int | None
    launch_s: float | None
    cost_nanos: int | None
    default_nanos: int | None
    why: str
    samples: float
    rungs: tuple[Rung, ...]
    replans: tuple[tuple[float, float], ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


class AttemptRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt at one provider. `ordinal` counts from 1 in order of launch, `price_row` names the price used.

    One that was `detached` lost its race and was left running, to be observed. `to_start_s` says when it started after
    all, `end_s` until when it was looked at, and `cancel_cause` why it was closed then: as any loser it was told of its
    start (`lost_race`), the window had passed (`too_slow`), or what a request ends by.
    """

    request_id: str
    ordinal: int
    provider: str
    base_url: str
    model: str
    tier_sent: str | None
    tier_served: str | None
    start_s: float
    end_s: float
    outcome: AttemptOutcome
    cancel_cause: CancelCause | None = None
    to_start_s: float | None = None
    to_content_s: float | None = None
    status: int | None = None
    error_code: str | None = None
    provider_code: str | None = None
    tokens: Tokens = UNKNOWN_TOKENS
    cost_nanos: int | None = None
    cost_state: CostState = "unknown_usage"
    provider_response_id: str | None = None
    retries: int = 0
    events: int = 0
    received_bytes: int = 0
    price_row: str | None = None

    @property
    def runs_on(self) -> bool:
        """Whether it was still running when its request settled; an `Observed` follows, unless the process ends."""
        return self.outcome == "detached" and self.cancel_cause is None


class RequestRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request as it ended. `cost_nanos` is the sum over its attempts, `default_nanos` what always-default costs.

    `tier_asked` is the caller's wish in the text of domain.tier, `tier_sent` and `tier_served` those of the attempt
    that answered. `status` is what was handed to the client's connection, taken in full or not (499 when it left before
    any was; where the record comes before the answer, what it was about to be). `client`, `session` and `agent` are
    those of a coding agent (policy/attribution.py). `target` is the probability with which the answer should start
    within `window_s`, `finish_s` the deadline of its last byte and `finish_met` whether that was met, `forecast` what
    was expected of the race, `preset` the name of the one that was used, `size_class` that of the prompt
    (policy/latency.py).
    """

    request_id: str
    organisation_id: str
    key_id: str
    at_unix_us: int
    endpoint: str
    dialect: str
    model_asked: str
    model_dispatched: str | None
    provider: str | None
    base_url: str | None
    tier_asked: str
    tier_sent: str | None
    tier_served: str | None
    reason: str | None
    streamed: bool
    status: int
    error_code: str | None = None
    error_class: str | None = None
    error_origin: str | None = None
    tokens: Tokens = UNKNOWN_TOKENS
    cost_nanos: int | None = None
    cost_state: CostState = "unknown_usage"
    default_nanos: int | None = None
    provider_response_id: str | None = None
    to_start_s: float | None = None
    to_content_s: float | None = None
    total_s: float = 0.0
    overhead_s: float = 0.0
    received_bytes: int = 0
    sent_bytes: int = 0
    retries: int = 0
    window_s: float | None = None
    deadline_met: bool | None = None
    client_gone: bool = False
    client: str | None = None
    session: str | None = None
    agent: str | None = None
    target: float | None = None
    finish_s: float | None = None
    finish_met: bool | None = None
    forecast: Forecast | None = None
    preset: str | None = None
    size_class: int = 0

    @property
    def in_time(self) -> bool | None:
        """Whether what a forecast's chance is of came about: a start in time, or an end where that has a deadline."""
        return self.deadline_met if self.finish_s is None else self.finish_met


class Begun(msgspec.Struct, frozen=True, array_like=True, tag="begun", gc=False):
    """Archived when the first attempt is dispatched; without a `Settled` it becomes an interrupted request."""

    request_id: str
    organisation_id: str
    key_id: str
    at_unix_us: int
    endpoint: str
    dialect: str
    model_asked: str
    tier_asked: str
    streamed: bool
    rungs: tuple[Rung, ...]
    estimate_nanos: int | None = None
    window_s: float | None = None


class Settled(msgspec.Struct, frozen=True, array_like=True, tag="settled", gc=False):
    """Archived when the request has ended, whichever way."""

    request: RequestRecord
    attempts: tuple[AttemptRecord, ...]


class Observed(msgspec.Struct, frozen=True, array_like=True, tag="observed", gc=False):
    """Archived when an attempt that was left running has ended after its request settled.

    It takes the place of that attempt's row, and what the request cost is summed anew.
    """

    request_id: str
    organisation_id: str
    key_id: str
    attempt: AttemptRecord


ArchiveRecord = Begun | Settled | Observed
