"""Clients that leave at random moments, in short; `python -m tests.soak.disconnects` is the long form."""

from pathlib import Path

import pytest
import trio

from tests.bench.figures import quantile
from tests.soak.disconnects import BLOCKS_PER_REQUEST, CLOSED_WITHIN_S, run
from tests.soak.plans import Moment

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

REQUESTS = 2_400
PAUSE_AFTER = 300


def test_clients_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    report = trio.run(run, REQUESTS, 7, tmp_path, PAUSE_AFTER)
    print("\n".join(report.lines()))
    assert report.faults == []
    met = {name.split()[0] for name in report.judge.counts}
    assert {moment.name for moment in Moment} <= met and report.judge.counts["STAYS asgi"]
    assert report.blocks_per_request()[1] < BLOCKS_PER_REQUEST
    for started in (False, True):
        delays_s = report.delays_s(started=started)
        assert len(delays_s) > REQUESTS / 10
        # What the machine itself adds is measured beside it: on a busy one everything is late.
        allowed_s = CLOSED_WITHIN_S + 3 * quantile(report.judge.noise_s, 0.99)
        assert quantile(delays_s, 0.95) < allowed_s
