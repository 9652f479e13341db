"""`startline race simulate --served`: a small run of one world through a server's own process."""

import pytest

from appliance.cli.race_served import play_served
from appliance.evaluation.served import Scene


@pytest.mark.slow
def test_a_served_world_does_what_virtual_time_says() -> None:
    """Default is the safe half of it: all start in time, at about the cost that the engine has on virtual time."""
    steps = []
    scene = Scene("queueing", 20.0, 0.99, "free")
    found = play_served(scene, count=240, times=8.0, seed=1, step=lambda: steps.append(1))
    assert len(steps) == found.requests == 240
    start, cost, flex = found.pairs
    assert start.served >= 0.97
    assert abs(cost.served - cost.virtual.value) <= cost.virtual.margin + 0.1
    assert abs(flex.served - flex.virtual.value) <= flex.virtual.margin + 0.15
    assert flex.served > 0.0, "it raced"
    assert found.billed == 0.0, "losers are free here"
    assert found.late_s[0] < 0.25
