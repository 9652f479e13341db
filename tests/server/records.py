"""Records of a request that ended, for the tests of what is told of them."""

from typing import Any

import msgspec

from appliance.domain.record import AttemptRecord, RequestRecord, Settled
from appliance.domain.tokens import Tokens


def settled(*, attempts: int = 1, **facts: Any) -> Settled:
    """A request that flex served for a tenth of a cent; `facts` are fields of its row."""
    request = RequestRecord(
        request_id="req_1", organisation_id="org_1", key_id="key_1", at_unix_us=1_700_000_000_250_000,
        endpoint="chat.completions", dialect="openai_chat", model_asked="gpt-5.4", model_dispatched="gpt-5.4",
        provider="openai", base_url="https://llm.example.com/v1", tier_asked="30s", tier_sent="flex",
        tier_served="flex", reason="flex_won", streamed=True, status=200,
        tokens=Tokens(input=100, output=20, certainty="known"), cost_nanos=1_000_000, cost_state="known",
        to_start_s=1.23456, total_s=2.5, overhead_s=0.0001234, window_s=30.0, deadline_met=True,
    )  # fmt: skip
    attempt = AttemptRecord(
        request_id="req_1", ordinal=1, provider="openai", base_url="https://llm.example.com/v1", model="gpt-5.4",
        tier_sent="flex", tier_served="flex", start_s=0.0, end_s=2.5, outcome="won",
    )  # fmt: skip
    others = tuple(msgspec.structs.replace(attempt, ordinal=at + 1) for at in range(attempts))
    return Settled(msgspec.structs.replace(request, **facts), others)
