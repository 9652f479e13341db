"""Metrics: what a request that ended adds up to, and that strangers cannot make labels."""

from typing import Any

from appliance.domain.record import AttemptRecord, RequestRecord, Settled
from appliance.domain.tokens import Tokens
from appliance.server.metrics import METRICS, Metrics


def settled(**facts: Any) -> Settled:
    told: dict[str, Any] = {
        "request_id": "req_1", "organisation_id": "org_1", "key_id": "key_1", "at_unix_us": 1,
        "endpoint": "chat.completions", "dialect": "openai_chat", "model_asked": "m", "model_dispatched": "m",
        "provider": "sim", "base_url": "http://x", "tier_asked": "30s", "tier_sent": "flex", "tier_served": "flex",
        "reason": "flex_won", "streamed": True, "status": 200, "tokens": Tokens(10, 5, 0, 0, 0, "known"),
        "cost_nanos": 2_000_000_000, "to_start_s": 0.3, "overhead_s": 0.0002, "deadline_met": True,
    }  # fmt: skip
    attempt = AttemptRecord("req_1", 1, "sim", "http://x", "m", "flex", "flex", 0, 1, "won")
    return Settled(RequestRecord(**(told | facts)), (attempt,))


def samples(metrics: Metrics) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in metrics.exposition().decode().splitlines() if line[:1] != "#")
    return {name: float(value) for name, value in lines if "_created" not in name}


def test_every_metric_is_exposed_with_its_text() -> None:
    metrics = Metrics()
    for name, _ in METRICS:
        if name.endswith(("_requests", "_connections", "_bytes", "lost_total")) and "tokens" not in name:
            metrics.watch(name, lambda: 7.0)
    text = metrics.exposition().decode()
    for name, told in METRICS:
        assert f"# HELP {name} {told}" in text, name
    assert samples(metrics)["startline_live_requests"] == 7.0


def test_a_request_is_counted_once_in_each() -> None:
    metrics = Metrics()
    metrics.settled(settled())
    metrics.settled(settled())
    found = samples(metrics)
    labels = 'endpoint="chat.completions",provider="sim",reason="flex_won",status="2xx"'
    assert found[f"startline_requests_total{{{labels}}}"] == 2
    assert found['startline_attempts_total{outcome="won",provider="sim",tier="flex"}'] == 2
    assert found['startline_tokens_total{kind="input",provider="sim",tier="flex"}'] == 20
    assert found['startline_tokens_total{kind="output",provider="sim",tier="flex"}'] == 10
    assert found['startline_cost_usd_total{provider="sim"}'] == 4.0
    assert found['startline_start_seconds_bucket{le="0.25",tier="flex"}'] == 0
    assert found['startline_start_seconds_bucket{le="0.5",tier="flex"}'] == 2
    assert found['startline_deadlines_total{met="true"}'] == 2
    assert found["startline_overhead_seconds_count"] == 2


def test_what_is_not_known_is_not_counted_as_zero() -> None:
    metrics = Metrics()
    nothing = {"provider": None, "reason": None, "tier_served": None, "tier_sent": None, "tokens": Tokens()}
    metrics.settled(settled(status=401, cost_nanos=None, to_start_s=None, deadline_met=None, **nothing))
    found = samples(metrics)
    labels = 'endpoint="chat.completions",provider="none",reason="none",status="4xx"'
    assert found[f"startline_requests_total{{{labels}}}"] == 1
    assert not [name for name in found if name.startswith(("startline_cost", "startline_start", "startline_deadlines"))]


def test_no_label_is_a_strangers_text() -> None:
    metrics = Metrics()
    metrics.settled(settled(model_asked="CANARY", model_dispatched="CANARY", key_id="CANARY", tier_asked="CANARY"))
    assert b"CANARY" not in metrics.exposition()
