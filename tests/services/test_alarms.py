"""Alarms as an operator sees them: a line when one begins, a line when it ends, and how many there are meanwhile."""

from typing import Any

import structlog.testing
import trio
from trio.testing import MockClock

from appliance.domain.catalog import Rung
from appliance.domain.record import Forecast, Settled
from appliance.policy.latency import LatencyModel, Path, Series
from appliance.services.alarms import LOOK_S, Alarms, run
from tests.server.records import settled

RUNGS = (Rung("sim", "m", "flex"), Rung("sim", "m", "default"))
FORECAST = Forecast(0.99, 0.994, 0.99, 0, 1, 6.8, 740, 1000, "latest_launch", 250.0, RUNGS)
PATH = ("flex", "prov_1", "gpt", "0", "alone")


def race(met: bool | None, **facts: Any) -> Settled:
    return settled(**({"forecast": FORECAST, "deadline_met": met, "organisation_id": "org_1"} | facts))


def test_a_target_that_is_missed_is_told_once_with_its_figures() -> None:
    alarms = Alarms(lambda _: ())
    with structlog.testing.capture_logs() as logs:
        for _ in range(40):
            alarms.settled(race(True))
            alarms.settled(race(False, forecast=None))
            alarms.settled(race(None))
        for _ in range(10):
            alarms.settled(race(False))
        assert alarms.counts()["start_target",] == 1
        alarms.settled(race(False, organisation_id="org_2"))
        for _ in range(600):
            alarms.settled(race(True))
    assert alarms.counts() == {("start_target",): 0, ("latency_drift",): 0}
    begun, over = logs
    assert (begun["event"], begun["log_level"], begun["organisation"]) == ("start_target_missed", "warning", "org_1")
    assert (begun["target"], begun["expected"], begun["races"]) == (0.99, 0.994, 45)
    assert begun["in_time"] == round(40 / 45, 4)
    assert (over["event"], over["log_level"]) == ("start_target_met_again", "info")


def test_where_the_end_has_a_deadline_the_target_is_of_the_end() -> None:
    alarms = Alarms(lambda _: ())
    for _ in range(60):
        alarms.settled(race(False, finish_s=60.0, finish_met=True))
    assert alarms.counts()["start_target",] == 0
    for _ in range(60):
        alarms.settled(race(True, finish_s=60.0, finish_met=False))
    assert alarms.counts()["start_target",] == 1


async def test_a_drift_is_told_when_it_begins_and_when_it_is_over(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = 0
    now: list[Path] = []
    alarms = Alarms(lambda _: now)
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, alarms)
            await trio.sleep(LOOK_S * 1.5)
            now.append(PATH)
            await trio.sleep(LOOK_S * 3)
            assert alarms.counts()["latency_drift",] == 1
            now.clear()
            await trio.sleep(LOOK_S)
            nursery.cancel_scope.cancel()
    assert [(line["event"], line["model"], line["tier"]) for line in logs] == [
        ("latency_drift", "gpt", "flex"),
        ("latency_drift_over", "gpt", "flex"),
    ]


async def test_what_the_model_calls_a_drift_can_be_told(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = 0
    model, series = LatencyModel(), Series("prov_1", "gpt", "flex", 2, behind=True)
    alarms = Alarms(model.drifting)
    for takes_s, count in ((2.0, 3000), (60.0, 60)):
        for _ in range(count):
            now_s = trio.current_time()
            model.begin(series, now_s).end("started", now_s + takes_s)
            await trio.sleep(1.0)
        model.curve(series, trio.current_time())
    with structlog.testing.capture_logs() as logs:
        alarms.look()
    assert [(line["event"], line["model"], line["size_class"], line["how"]) for line in logs] == [
        ("latency_drift", "gpt", 2, "behind")
    ]
