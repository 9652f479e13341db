"""Records as requests leave them, for the tests of archive and store."""

from appliance.domain.catalog import Rung
from appliance.domain.record import AttemptRecord, Begun, RequestRecord, Settled
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
