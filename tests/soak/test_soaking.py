"""Two minutes of the soak; `python -m tests.soak` is the long form."""

from pathlib import Path

import pytest
import trio

from tests.soak.soaking import soak

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

SECONDS = 120.0


@pytest.fixture(autouse=True)
def patience() -> None:
    """Two minutes are as long as a test may be silent: let this one take longer."""
    import faulthandler

    faulthandler.cancel_dump_traceback_later()


def test_two_minutes_of_trouble_leave_nothing_behind(tmp_path: Path) -> None:
    report = trio.run(soak, SECONDS, 3, tmp_path)
    print("\n".join(report.lines()))
    assert report.faults == []
    assert report.counts["answered 200"] > 1_000
    for what in ("left", "answered 502", "clients that stopped reading", "providers changed"):
        assert report.counts[what], what
