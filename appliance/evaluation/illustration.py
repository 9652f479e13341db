"""The pictures and figures of docs/paying-more.md, from a seeded run of the deadline engine in a made-up world.

The rule: nothing is drawn by hand; `python packaging/draw-pictures` writes the files, a test compares them.
"""

from functools import partial

import msgspec

from appliance.evaluation.chart import Axis, Chart
from appliance.evaluation.policy import DEFAULT, FLEX, Ours
from appliance.evaluation.run import Run
from appliance.evaluation.setting import Setting
from appliance.evaluation.world import WORLDS, draws
from appliance.policy.launch import Candidate, Decision
from appliance.policy.survival import Curve

SETTING = Setting(window_s=20.0, target=0.99, billed=0.5, price=0.5)
REQUESTS = 1500
CHEAP, DEAR, ALARM, INK = "#2e8b57", "#1f4fd0", "#c0392b", "#333333"
PALE = "#a9c4f5"


class Scene(msgspec.Struct, frozen=True):
    """What the engine knew after the run, and one of its races: times in seconds after the request."""

    cheap: Curve
    dear: Curve
    rungs: tuple[Candidate, ...]
    decision: Decision
    launched_s: float
    started_s: float
    ended_s: float


def scene() -> Scene:
    """Play the run; the race is the last one that the dear tier won after it was launched by time."""
    engine = Ours(SETTING)
    run = Run(draws(WORLDS[0], 1, REQUESTS), engine, SETTING)
    served = run.play()
    decision = engine.decision
    if decision is None:
        raise AssertionError("it has served")
    for request, one in zip(reversed(run.requests), reversed(served), strict=True):
        dear, cheap = request.attempts[DEFAULT], request.attempts[FLEX]
        if dear is None or cheap is None or dear.began_s <= request.draw.at_s:
            continue
        launched_s = dear.began_s - request.draw.at_s
        if one.start_s == launched_s + request.draw.tiers.default_s:
            return Scene(
                engine.rungs[FLEX].alone, engine.rungs[DEFAULT].behind, engine.rungs, decision, launched_s, one.start_s,
                one.start_s + 2.0,
            )  # fmt: skip
    raise AssertionError("in so many races the dear tier has won one")


def figures(played: Scene) -> dict[str, str]:
    """What the page says in words, by name."""
    decision, window_s = played.decision, SETTING.window_s
    reserve_s = window_s - decision.launch_s
    return {
        "still silent at the deadline": f"{played.cheap.late_at(window_s) * 100:.0f} %",
        "latest launch": f"{decision.launch_s:.1f} s",
        "reserve": f"{reserve_s:.1f} s",
        "dear tier late": f"{played.dear.late_at(reserve_s) * 100:.0f} %",
        "missed by the estimate": f"{played.cheap.late_at(window_s) * played.dear.late_at(reserve_s) * 100:.1f} %",
        "missed by the bound": f"{decision.miss * 100:.1f} %",
        "launched": f"{played.cheap.silent_at(decision.launch_s) * 100:.0f} %",
        "cost": f"{decision.cost:.1f}",
    }


def race_picture(played: Scene) -> str:
    """One race, from the request to the answer."""
    rows = {0.5: "default", 1.5: "flex"}
    y = Axis("", 0.0, 2.2, (0.5, 1.5), lambda mark: rows[mark])
    x = Axis("seconds after the request", 0.0, 26.0, (0.0, 5.0, 10.0, 15.0, 20.0, 25.0))
    chart = Chart("One race: the answer should start within 20 s", x, y, 680, 240)
    rectangle = partial(_lying, chart)
    rectangle(0.0, played.started_s, 1.5, "#cfe3d6")
    rectangle(played.launched_s, played.started_s, 0.5, PALE)
    rectangle(played.started_s, played.ended_s, 0.5, DEAR)
    chart.text(0.3, 1.44, "asked at once, silent", CHEAP)
    chart.text(SETTING.window_s + 0.3, 1.44, "✕ closed", ALARM)
    chart.text(played.ended_s + 0.3, 0.44, f"started at {played.started_s:.1f} s", DEAR)
    chart.upright(played.launched_s, f"latest launch {played.launched_s:.1f} s", INK, left=True)
    chart.upright(SETTING.window_s, "deadline 20 s", ALARM)
    return chart.svg()


def _lying(chart: Chart, begin_s: float, end_s: float, row: float, colour: str) -> None:
    chart.bar((begin_s + end_s) / 2, end_s - begin_s, row - 0.22, row + 0.22, colour)


def survival_picture(played: Scene) -> str:
    """How many attempts are silent still, by age: what was learned of both tiers, with what is uncertain of it."""
    x = Axis("seconds after the attempt was launched", 0.0, 30.0, (0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0))
    y = Axis("not started yet", 0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), "{:.0%}".format)
    chart = Chart("How long each tier stays silent", x, y, 680, 360)
    ages_s = [nth * 0.25 for nth in range(1, 121)]
    for curve, colour, name in ((played.cheap, CHEAP, "flex"), (played.dear, DEAR, "default, launched behind flex")):
        chart.band([(0.0, 1.0, 1.0), *((at_s, *_between(curve, at_s)) for at_s in ages_s)], colour)
        chart.line([(0.0, 1.0), *((at_s, curve.late_at(at_s)) for at_s in ages_s)], colour, name)
    late = played.cheap.late_at(SETTING.window_s)
    chart.upright(SETTING.window_s, "deadline 20 s", ALARM)
    chart.dot(SETTING.window_s, late, *_between(played.cheap, SETTING.window_s), CHEAP)
    chart.text(SETTING.window_s + 0.4, late + 0.06, f"{late * 100:.0f} % of flex attempts are silent still", CHEAP)
    return chart.svg()


def _between(curve: Curve, at_s: float) -> tuple[float, float]:
    late, error = curve.late_at(at_s), 2.0 * curve.error_at(at_s)
    return max(late - error, 0.0), min(late + error, 1.0)


def pictures() -> dict[str, str]:
    """All pictures, by the name of their file in docs."""
    played = scene()
    return {"one-race.svg": race_picture(played), "still-silent.svg": survival_picture(played)}
