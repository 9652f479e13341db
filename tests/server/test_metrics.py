"""The metrics as a scraper reads them: counts, histograms, gauges, and labels that no stranger chooses."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.domain.catalog import Rung
from appliance.domain.record import Forecast
from appliance.server.metrics import METRICS, OVERHEAD_BUCKETS_S, START_BUCKETS_S, Metrics
from tests.archive.records import detached, observed
from tests.server.records import settled


def scraped(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labels(**values: str) -> frozenset[tuple[str, str]]:
    return frozenset(values.items())


def test_a_request_is_counted_once_and_its_attempts_each() -> None:
    metrics = Metrics()
    metrics.settled(settled(attempts=2))
    metrics.settled(settled(attempts=1, status=504, reason=None, deadline_met=False, cost_nanos=None))
    seen = scraped(metrics)
    name = "startline_requests_total"
    common = {"endpoint": "chat.completions", "provider": "openai"}
    assert seen[name, labels(**common, status="2xx", reason="flex_won")] == 1
    assert seen[name, labels(**common, status="5xx", reason="none")] == 1
    assert seen["startline_attempts_total", labels(provider="openai", tier="flex", outcome="won")] == 3
    assert seen["startline_tokens_total", labels(provider="openai", tier="flex", kind="input")] == 200
    assert seen["startline_tokens_total", labels(provider="openai", tier="flex", kind="output")] == 40
    assert seen["startline_cost_usd_total", labels(provider="openai")] == 0.001
    assert seen["startline_deadlines_total", labels(met="true")] == 1
    assert seen["startline_deadlines_total", labels(met="false")] == 1


def test_an_attempt_that_was_left_running_is_counted_when_it_has_ended() -> None:
    metrics = Metrics()
    metrics.settled(detached(1))
    seen = scraped(metrics)
    loser = labels(provider="openai", tier="flex", outcome="detached")
    assert seen["startline_cost_usd_total", labels(provider="openai")] == pytest.approx(1000e-9)
    assert ("startline_attempts_total", loser) not in seen
    metrics.observed(observed(1))
    seen = scraped(metrics)
    assert seen["startline_cost_usd_total", labels(provider="openai")] == pytest.approx(1730e-9)
    assert seen["startline_attempts_total", loser] == 1
    metrics.settled(detached(2, cancel_cause="too_slow"))
    assert scraped(metrics)["startline_attempts_total", loser] == 2, "it ended before its request did"


def test_planned_races_are_counted_beside_what_was_expected_of_them() -> None:
    metrics, rungs = Metrics(), (Rung("sim", "m", "flex"), Rung("sim", "m", "default"))
    planned = Forecast(0.99, 0.994, 0.99, 0, 1, 6.8, 740_000, 1_000_000, "latest_launch", 250.0, rungs)
    metrics.settled(settled(forecast=planned, default_nanos=1_100_000))
    metrics.settled(settled(forecast=planned, deadline_met=False, cost_nanos=None))
    metrics.settled(settled(forecast=planned, deadline_met=None))
    metrics.settled(settled())
    seen = scraped(metrics)
    assert seen["startline_races_total", labels(plan="latest_launch")] == 2
    starts = {
        kind: seen["startline_race_starts_total", labels(kind=kind)] for kind in ("in_time", "wanted", "expected")
    }
    assert starts == {"in_time": 1, "wanted": 1.98, "expected": 1.988}
    costs = [seen["startline_race_cost_usd_total", labels(kind=k)] for k in ("paid", "expected", "always_default")]
    assert costs == [0.001, 0.00074, 0.0011]


def test_times_fall_into_buckets_that_add_up() -> None:
    metrics = Metrics()
    for start_s in (0.01, START_BUCKETS_S[0], 0.3, 10_000.0):
        metrics.settled(settled(to_start_s=start_s, overhead_s=start_s))
    metrics.settled(settled(to_start_s=None, overhead_s=0.0))
    seen = scraped(metrics)
    name = "startline_start_seconds"
    counts = [seen[f"{name}_bucket", labels(tier="flex", le=str(bound))] for bound in START_BUCKETS_S]
    assert counts == sorted(counts), "each bucket holds those before it"
    assert counts[0] == 2, "a bound belongs to its bucket"
    assert seen[f"{name}_bucket", labels(tier="flex", le="+Inf")] == seen[f"{name}_count", labels(tier="flex")] == 4
    assert seen[f"{name}_sum", labels(tier="flex")] == sum((0.01, START_BUCKETS_S[0], 0.3, 10_000.0))
    assert seen["startline_overhead_seconds_count", labels()] == 5
    assert seen["startline_overhead_seconds_bucket", labels(le=str(OVERHEAD_BUCKETS_S[0]))] == 1


def test_numbers_that_are_asked_for_at_each_scrape() -> None:
    metrics = Metrics()
    numbers = [3.0, 5.0]
    metrics.watch("startline_live_requests", lambda: numbers[0])
    metrics.watch("startline_store_lost_total", lambda: numbers[1])
    assert scraped(metrics)["startline_live_requests", labels()] == 3
    numbers[:] = [4.0, 6.0]
    seen = scraped(metrics)
    assert seen["startline_live_requests", labels()] == 4
    assert seen["startline_store_lost_total", labels()] == 6


def test_a_request_that_reached_no_provider_has_labels_too() -> None:
    metrics = Metrics()
    request = settled(attempts=0, provider=None, tier_sent=None, tier_served=None, to_start_s=None, status=404)
    metrics.settled(request)
    common = {"endpoint": "chat.completions", "provider": "none", "reason": "flex_won"}
    assert scraped(metrics)["startline_requests_total", labels(**common, status="4xx")] == 1


def test_no_label_is_a_text_of_a_stranger() -> None:
    metrics = Metrics()
    metrics.settled(settled(model_asked="canary", model_dispatched="canary", tier_asked="canary", key_id="canary"))
    assert b"canary" not in metrics.exposition()


def test_each_metric_is_described() -> None:
    metrics = Metrics()
    for name, _ in METRICS:
        if name.startswith(("startline_live", "startline_client", "startline_idle", "startline_store")):
            metrics.watch(name, lambda: 0.0)
    for name in (
        "startline_alarms",
        "startline_exploration_usd",
        "startline_hedges_total",
        "startline_breakers",
        "startline_breaker_skips_total",
        "startline_queue_depth",
        "startline_queue_limit",
    ):
        metrics.watch_table(name, ("provider",), lambda: {("sim",): 2})
    metrics.settled(settled())
    text = metrics.exposition().decode()
    assert 'startline_breakers{provider="sim"} 2.0\n' in text
    assert 'startline_breaker_skips_total{provider="sim"} 2.0\n' in text
    for name, about in METRICS:
        assert f"# HELP {name} {about}\n" in text
