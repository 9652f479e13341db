"""Records as requests leave them, for the tests of archive and store."""

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.record import AttemptRecord, Begun, Observed, RequestRecord, Settled
from appliance.domain.tokens import Tokens

AT_UNIX_US = 1_700_000_000_000_000
TOKENS = Tokens(1200, 300, 100, 20, 50, "known", 7)


def request_id(number: int) -> str:
    return f"req_{AT_UNIX_US + number:013x}{number:013x}"


def begun(number: int = 0, estimate_nanos: int | None = 777) -> Begun:
    return Begun(
        request_id(number), "org_a", "key_a", AT_UNIX_US + number, "/v1/chat/completions", "openai_chat", "gpt-x",
        "30s", True, (Rung("openai", "gpt-x", "flex"), Rung("openai", "gpt-x", "default")), estimate_nanos, 30.0,
    )  # fmt: skip


def settled(number: int = 0, **changes: object) -> Settled:
    fields: dict[str, object] = {
        "request_id": request_id(number), "organisation_id": "org_a", "key_id": "key_a",
        "at_unix_us": AT_UNIX_US + number, "endpoint": "/v1/chat/completions", "dialect": "openai_chat",
        "model_asked": "gpt-x", "model_dispatched": "gpt-x", "provider": "openai", "base_url": "https://api.example/v1",
        "tier_asked": "30s", "tier_sent": "flex", "tier_served": "flex", "reason": "flex_won", "streamed": True,
        "status": 200, "tokens": TOKENS, "cost_nanos": 1000, "cost_state": "known", "default_nanos": 2500,
        "to_start_s": 1.25, "total_s": 5.5, "window_s": 30.0, "deadline_met": True,
    } | changes  # fmt: skip
    request = RequestRecord(**fields)  # type: ignore[arg-type]
    attempt = AttemptRecord(
        request.request_id, 1, "openai", "https://api.example/v1", "gpt-x", "flex", "flex", 0.0, 5.5, "won",
        to_start_s=1.25, status=200, tokens=TOKENS, cost_nanos=1000, cost_state="known",
    )  # fmt: skip
    return Settled(request, (attempt,))


def detached(number: int = 0, **changes: object) -> Settled:
    """A race whose cheap loser still ran when it settled: that one cost 500, all together 1500."""
    end = settled(number, cost_nanos=1500, cost_state="estimated", tier_sent="default", tier_served="default")
    fields: dict[str, object] = {
        "request_id": end.request.request_id, "ordinal": 1, "provider": "openai", "base_url": "https://api.example/v1",
        "model": "gpt-x", "tier_sent": "flex", "tier_served": None, "start_s": 0.0, "end_s": 5.5,
        "outcome": "detached", "cost_nanos": 500, "cost_state": "estimated",
    } | changes  # fmt: skip
    loser = AttemptRecord(**fields)  # type: ignore[arg-type]
    winner = msgspec.structs.replace(
        end.attempts[0], ordinal=2, tier_sent="default", tier_served="default", start_s=1.0
    )
    return Settled(end.request, (loser, winner))


def observed(number: int = 0, **changes: object) -> Observed:
    """What that loser came to: it started after 9 s, and cost 730."""
    told: dict[str, object] = {
        "end_s": 9.0,
        "to_start_s": 9.0,
        "cancel_cause": "lost_race",
        "cost_nanos": 730,
    } | changes
    loser = msgspec.structs.replace(detached(number).attempts[0], **told)
    return Observed(loser.request_id, "org_a", "key_a", loser)
