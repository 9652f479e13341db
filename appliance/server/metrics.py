"""What is counted and timed, for Prometheus. The rule: a label is never a text that a stranger can choose."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from appliance.domain.record import Settled

START_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
OVERHEAD_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)

METRICS: tuple[tuple[str, str], ...] = (
    ("startline_requests_total", "Requests that ended, by endpoint, status class, provider and reason."),
    ("startline_attempts_total", "Attempts that ended, by provider, tier sent and outcome."),
    ("startline_tokens_total", "Tokens of answers, by provider, tier served and kind."),
    ("startline_cost_usd_total", "Cost of attempts whose price and usage are known or estimated, by provider."),
    ("startline_start_seconds", "Time from the request's last byte to the start of its answer, by tier served."),
    ("startline_overhead_seconds", "Time that was Startline's own."),
    ("startline_deadlines_total", "Race windows, by whether they were met."),
    ("startline_live_requests", "Requests being answered now."),
    ("startline_client_connections", "Client connections open now."),
    ("startline_idle_provider_connections", "Connections to providers kept for reuse."),
    ("startline_store_queued_bytes", "Records not yet in the database."),
    ("startline_store_lost_total", "Records that could not be kept."),
)


class Metrics:
    """The process's metrics; `settled` takes note of one request."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        texts = dict(METRICS)

        def counter(name: str, *labels: str) -> Counter:
            return Counter(name, texts[name], labels, registry=registry)

        self._requests = counter("startline_requests_total", "endpoint", "status", "provider", "reason")
        self._attempts = counter("startline_attempts_total", "provider", "tier", "outcome")
        self._tokens = counter("startline_tokens_total", "provider", "tier", "kind")
        self._cost = counter("startline_cost_usd_total", "provider")
        self._deadlines = counter("startline_deadlines_total", "met")
        name = "startline_start_seconds"
        self._start = Histogram(name, texts[name], ("tier",), buckets=START_BUCKETS_S, registry=registry)
        name = "startline_overhead_seconds"
        self._overhead = Histogram(name, texts[name], buckets=OVERHEAD_BUCKETS_S, registry=registry)
        self._children: dict[tuple[str, ...], Counter | Histogram] = {}

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Report a gauge by asking for its value at each scrape."""
        Gauge(name, dict(METRICS)[name], registry=self._registry).set_function(read)

    def settled(self, settled: Settled) -> None:
        """Take note of one request that ended."""
        request = settled.request
        provider = request.provider or "none"
        self._count(
            self._requests, request.endpoint, f"{request.status // 100}xx", provider, request.reason or "none"
        ).inc()
        for attempt in settled.attempts:
            self._count(self._attempts, attempt.provider, attempt.tier_sent or "none", attempt.outcome).inc()
        tier = request.tier_served or request.tier_sent or "none"
        tokens = request.tokens
        if tokens.input:
            self._count(self._tokens, provider, tier, "input").inc(tokens.input)
        if tokens.output:
            self._count(self._tokens, provider, tier, "output").inc(tokens.output)
        if request.cost_nanos:
            self._count(self._cost, provider).inc(request.cost_nanos / 1e9)
        if request.to_start_s is not None:
            key = ("start", tier)
            child = self._children.get(key)
            if child is None:
                child = self._children[key] = self._start.labels(tier)
            child.observe(request.to_start_s)  # type: ignore[union-attr]
        self._overhead.observe(request.overhead_s)
        if request.deadline_met is not None:
            self._count(self._deadlines, "true" if request.deadline_met else "false").inc()

    def _count(self, counter: Counter, *labels: str) -> Counter:
        """The child of a counter; prometheus-client's own look-up takes a lock and costs twice this one."""
        key = (counter._name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = counter.labels(*labels)
        return child  # type: ignore[return-value]

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
