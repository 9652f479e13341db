"""What is counted and timed, for Prometheus. The rule: a label is never a text that a stranger can choose.

The request path adds to plain tables, a few dictionary steps per request; prometheus-client, whose counters take a
lock each, is asked only when somebody scrapes.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.domain.record import AttemptRecord, Forecast, Observed, RequestRecord, Settled

STATUS_CLASSES = tuple(f"{hundreds}xx" for hundreds in range(10))
START_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
OVERHEAD_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)

METRICS: tuple[tuple[str, str], ...] = (
    ("startline_requests_total", "Requests that ended, by endpoint, status class, provider and reason."),
    ("startline_refused_total", "Requests turned away before they had a record (key, route, framing), by error code."),
    ("startline_attempts_total", "Attempts that ended, by provider, tier sent and outcome."),
    ("startline_tokens_total", "Tokens of answers, by provider, tier served and kind."),
    ("startline_cost_usd_total", "Cost of attempts whose price and usage are known or estimated, by provider."),
    ("startline_start_seconds", "Time from the request's last byte to the start of its answer, by tier served."),
    ("startline_overhead_seconds", "Time that was Startline's own."),
    ("startline_deadlines_total", "Race windows, by whether they were met."),
    (
        "startline_races_total",
        "Planned requests whose deadline was met or missed, by the word of the plan (account.md).",
    ),
    ("startline_race_starts_total", "How many of those started in time, should have, and were expected to."),
    (
        "startline_race_cost_usd_total",
        "What those cost, were expected to, and would have cost on default, where known.",
    ),
    (
        "startline_hedges_total",
        "Launches of dearer rungs by time, and races not planned as these were used up, by kind.",
    ),
    (
        "startline_exploration_usd",
        "Paid for looks at how long rungs take, and for all planned requests, by kind; a restart goes on counting.",
    ),
    ("startline_alarms", "Organisations whose targets are missed, and latencies that drift, by kind."),
    ("startline_live_requests", "Requests being answered now."),
    ("startline_client_connections", "Client connections open now."),
    ("startline_idle_provider_connections", "Connections to providers kept for reuse."),
    (
        "startline_breakers",
        "Models and tiers whose breaker is not closed, by provider, tier (`races`: all failed together) and state.",
    ),
    ("startline_breaker_skips_total", "Attempts not made because a breaker was open, by provider and tier."),
    ("startline_queue_depth", "What waits or is held, by queue; see the table of queues."),
    ("startline_queue_limit", "How much of it there may be, by queue."),
    ("startline_store_queued_bytes", "Records not yet in the database."),
    ("startline_store_lost_total", "Records that could not be kept."),
)

Labels = tuple[str, ...]


class Counts:
    """Numbers by their labels: the request path adds to `values`, which is all that it does."""

    __slots__ = ("_labels", "name", "values")

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self._labels = labels
        self.values: defaultdict[Labels, float] = defaultdict(int)

    def family(self, text: str) -> Metric:
        """What a scrape gets."""
        family = CounterMetricFamily(self.name.removesuffix("_total"), text, labels=self._labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value)
        return family


class Times:
    """A histogram of seconds by labels."""

    __slots__ = ("_buckets_s", "_labels", "name", "values")

    def __init__(self, name: str, buckets_s: tuple[float, ...], *labels: str) -> None:
        self.name = name
        self._buckets_s = buckets_s
        self._labels = labels
        self.values: dict[Labels, list[float]] = {}

    def add(self, labels: Labels, seconds: float) -> None:
        """Note one time: the count of its bucket, and the sum, which is kept last."""
        row = self.values.get(labels)
        if row is None:
            row = self.values[labels] = [0.0] * (len(self._buckets_s) + 2)
        row[bisect_left(self._buckets_s, seconds)] += 1
        row[-1] += seconds

    def family(self, text: str) -> Metric:
        """What a scrape gets."""
        family = HistogramMetricFamily(self.name, text, labels=self._labels)
        for labels, row in self.values.items():
            total, buckets = 0.0, []
            for bound, count in zip([*map(str, self._buckets_s), "+Inf"], row, strict=False):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, row[-1])
        return family


class Metrics(Collector):
    """The process's metrics; `settled` takes note of one request, `exposition` is what a scrape gets."""

    def __init__(self) -> None:
        self._requests = Counts("startline_requests_total", "endpoint", "status", "provider", "reason")
        self._refused = Counts("startline_refused_total", "code")
        self._attempts = Counts("startline_attempts_total", "provider", "tier", "outcome")
        self._tokens = Counts("startline_tokens_total", "provider", "tier", "kind")
        self._cost = Counts("startline_cost_usd_total", "provider")
        self._deadlines = Counts("startline_deadlines_total", "met")
        self._races = Counts("startline_races_total", "plan")
        self._race_starts = Counts("startline_race_starts_total", "kind")
        self._race_cost = Counts("startline_race_cost_usd_total", "kind")
        self._start = Times("startline_start_seconds", START_BUCKETS_S, "tier")
        self._overhead = Times("startline_overhead_seconds", OVERHEAD_BUCKETS_S)
        self._tables: dict[str, tuple[Labels, Callable[[], Mapping[Labels, float]]]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Report a number by asking for its value at each scrape."""
        self.watch_table(name, (), lambda: {(): read()})

    def watch_table(self, name: str, labels: Labels, read: Callable[[], Mapping[Labels, float]]) -> None:
        """Report numbers by labels by asking for them at each scrape."""
        self._tables[name] = (labels, read)

    def refused(self, code: str) -> None:
        """Take note of a request that was turned away at the door, by a code of our own table."""
        self._refused.values[(code,)] += 1

    def settled(self, settled: Settled) -> None:
        """Take note of one request that ended; of its attempts those that have ended too."""
        request = settled.request
        provider = request.provider or "none"
        status = STATUS_CLASSES[request.status // 100]
        self._requests.values[request.endpoint, status, provider, request.reason or "none"] += 1
        nanos = request.cost_nanos or 0
        for attempt in settled.attempts:
            if attempt.runs_on:
                nanos -= attempt.cost_nanos or 0
            else:
                self._ended(attempt)
        tier = request.tier_served or request.tier_sent or "none"
        tokens = request.tokens
        if tokens.input:
            self._tokens.values[provider, tier, "input"] += tokens.input
        if tokens.output:
            self._tokens.values[provider, tier, "output"] += tokens.output
        if nanos:
            self._cost.values[(provider,)] += nanos / 1e9
        if request.to_start_s is not None:
            self._start.add((tier,), request.to_start_s)
        self._overhead.add((), request.overhead_s)
        if request.deadline_met is not None:
            self._deadlines.values["true" if request.deadline_met else "false",] += 1
            if request.forecast is not None and request.in_time is not None:
                self._raced(request, request.forecast)

    def observed(self, observed: Observed) -> None:
        """Take note of an attempt that ran on when its request ended, and has ended now."""
        attempt = observed.attempt
        self._ended(attempt)
        if attempt.cost_nanos:
            self._cost.values[(attempt.provider,)] += attempt.cost_nanos / 1e9

    def _raced(self, request: RequestRecord, forecast: Forecast) -> None:
        self._races.values[(forecast.why,)] += 1
        starts = self._race_starts.values
        starts["in_time",] += request.in_time is True
        starts["wanted",] += forecast.target
        starts["expected",] += forecast.chance
        paid, expected, default = request.cost_nanos, forecast.cost_nanos, request.default_nanos
        if paid is not None and expected is not None and default is not None:
            costs = self._race_cost.values
            costs["paid",] += paid / 1e9
            costs["expected",] += expected / 1e9
            costs["always_default",] += default / 1e9

    def _ended(self, attempt: AttemptRecord) -> None:
        self._attempts.values[attempt.provider, attempt.tier_sent or "none", attempt.outcome] += 1

    def collect(self) -> Iterator[Metric]:
        """The metrics as prometheus-client wants them."""
        tables = (
            self._requests,
            self._refused,
            self._attempts,
            self._tokens,
            self._cost,
            self._deadlines,
            self._races,
            self._race_starts,
            self._race_cost,
            self._start,
            self._overhead,
        )
        texts = dict(METRICS)
        for table in tables:
            yield table.family(texts[table.name])
        for name, (labels, table_of) in self._tables.items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(name.removesuffix("_total"), texts[name], labels=labels)
            for row, value in table_of().items():
                family.add_metric(row, value)
            yield family

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
