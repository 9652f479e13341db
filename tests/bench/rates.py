"""Requests/s and CPU a request: short and long prompts, plain and TLS upstream.

Judged is the ratio of requests for each second of CPU ("per core"): load generator and provider share the other
core, so that nginx, which needs less CPU than they do, never fills its own. Its rate alone would flatter us.
"""

from tests.bench import workload
from tests.bench.contestants import Contestant
from tests.bench.figures import Budget, median, spread
from tests.bench.pressure import Round, has_wrk, press
from tests.bench.scenario import Outcome, Run
from tests.bench.table import Line, ratio

_CASES = (
    ("600 B prompts", "answers", workload.PROMPT_BYTES, Budget(1 / 8, 1 / 4, more_is_better=True), True),
    ("100 KB prompts", "answers", workload.LARGE_PROMPT_BYTES, None, True),
    ("600 B prompts, TLS", "answers_tls", workload.PROMPT_BYTES, None, False),
    ("100 KB prompts, TLS", "answers_tls", workload.LARGE_PROMPT_BYTES, Budget(0.4, 0.7, more_is_better=True), True),
)
_CONNECTIONS = 32
_QUIET_FOREIGN = 0.1


def measure(run: Run) -> Outcome:
    """Every case, in alternating rounds."""
    outcome = Outcome([], {"load": "wrk" if has_wrk() else "own client", "connections": _CONNECTIONS})
    if not has_wrk():
        outcome.doubts.append("wrk is not installed: rates are those of a slower client, CPU figures hold")
    for label, kind, size_bytes, budget, in_quick in _CASES:
        if run.quick and not in_quick:
            continue

        def once(contestant: Contestant, kind: str = kind, size_bytes: int = size_bytes) -> Round:
            body = workload.prompt(contestant.targets[kind].model, size_bytes)
            return press(run, contestant, kind, body, _CONNECTIONS, 2)

        found = run.alternate(once)
        _report(outcome, label, budget, found)
        run.say(
            f"  {label}: " + ", ".join(f"{name} {median(r.cpu_us for r in got):.1f} us" for name, got in found.items())
        )
    return outcome


def _report(outcome: Outcome, label: str, budget: Budget | None, found: dict[str, list[Round]]) -> None:
    outcome.data[label] = {name: [one.as_json() for one in rounds] for name, rounds in found.items()}
    rates = {name: median(one.requests_per_s for one in rounds) for name, rounds in found.items()}
    cores = {name: median(one.per_core for one in rounds) for name, rounds in found.items()}
    costs = {name: median(one.cpu_us for one in rounds) for name, rounds in found.items()}
    gateway = found.get("gateway", [])
    note = ""
    if gateway:
        busy, foreign = median(one.busy for one in gateway), median(one.foreign for one in gateway)
        note = (
            f"its core {busy:.0%} busy, {foreign:.0%} others; rounds within {spread([r.per_core for r in gateway]):.0%}"
        )
    taken = max(median(one.foreign for one in rounds) for rounds in found.values())
    if taken > _QUIET_FOREIGN:
        outcome.doubts.append(
            f"{label}: others took {taken:.0%} of the contestants' core; CPU figures hold, rates do not"
        )
    outcome.lines.extend(
        [
            Line(f"{label}: rate", "req/s", rates.get("gateway"), rates.get("nginx"), rates.get("relay"), note=note),
            Line(f"{label}: CPU", "us/req", costs.get("gateway"), costs.get("nginx"), costs.get("relay")),
            Line(
                f"{label}: per core",
                "req/CPU-s",
                cores.get("gateway"),
                cores.get("nginx"),
                cores.get("relay"),
                ratio(cores.get("gateway"), cores.get("nginx")),
                budget,
            ),
        ]
    )
