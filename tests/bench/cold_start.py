"""From the start of the process to the first answer to an inference request, with a data folder that exists."""

import contextlib
import time

from tests.bench import workload
from tests.bench.contestants import ask_once, gateway_targets, prepare_gateway
from tests.bench.figures import Budget, median
from tests.bench.processes import BenchFault
from tests.bench.scenario import Outcome, Run
from tests.bench.table import Line

_BUDGET = Budget(floor=2.0, aim=0.7)


def measure(run: Run) -> Outcome:
    """A few starts of the gateway; the others have no such figure."""
    if not any(contestant.name == "gateway" for contestant in run.contestants):
        return Outcome([Line("cold start to the first answer", "s", None, budget=_BUDGET)], {})
    setup = prepare_gateway(run.children, run.provider, run.gateway_command)
    target = gateway_targets(setup)["answers"]
    body = workload.prompt(target.model)
    taken: list[float] = []
    for _ in range(3 if run.quick else 7):
        child = setup.start(run.children)
        try:
            deadline = child.started_at + 20.0
            while True:
                child.must_live()
                with contextlib.suppress(ConnectionError):
                    status, _ = ask_once(target, body)
                    if status != 200:
                        raise BenchFault(f"gateway: the first answer has status {status}")
                    break
                if time.monotonic() > deadline:
                    raise BenchFault(f"gateway: no answer 20 s after the start\n{child.tail()}")
                time.sleep(0.002)
            taken.append(time.monotonic() - child.started_at)
        finally:
            run.children.stop(child)
    middle = median(taken)
    what = "from the checkout" if run.gateway_command[1:] == ("-m", "appliance") else " ".join(run.gateway_command)
    note = f"{what}, {len(taken)} starts, slowest {max(taken):.2f} s"
    return Outcome(
        [Line("cold start to the first answer", "s", middle, judged=middle, budget=_BUDGET, note=note)],
        {"taken_s": taken},
    )
