"""Once a second, a look at the requests in work; comments as the setting says."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.services import pulse
from appliance.settings import Settings


class Watched:
    """Notes when it was looked at."""

    def __init__(self, comment_s: float) -> None:
        self.settings = Settings(keep_alive_comment_s=comment_s)
        self.looks: list[tuple[float, float]] = []

    def pulse(self, now_s: float, comment_s: float) -> None:
        self.looks.append((now_s, comment_s))


@pytest.mark.parametrize(("setting_s", "comment_s"), [(20.0, 20.0), (0.0, float("inf"))])
async def test_it_looks_once_a_second_until_cancelled(
    autojump_clock: MockClock, setting_s: float, comment_s: float
) -> None:
    gateway: Any = Watched(setting_s)
    flushes: list[float] = []
    with trio.move_on_after(3.5):
        await pulse.run(gateway, lambda: flushes.append(trio.current_time()))
    assert gateway.looks == [(1.0, comment_s), (2.0, comment_s), (3.0, comment_s)]
    assert flushes == [1.0, 2.0, 3.0]
