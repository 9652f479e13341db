"""The server beside virtual time: what is played, what the records say, and when the two agree."""

from math import inf

import msgspec
import pytest

from appliance.domain.record import AttemptRecord, RequestRecord
from appliance.evaluation.policy import Ours
from appliance.evaluation.run import Run
from appliance.evaluation.served import SCENES, Came, Pair, Scene, compare, lateness, override, read, table
from appliance.evaluation.verdict import Mean
from appliance.evaluation.world import Draw, Tiers
from appliance.simulator.override import parse
from appliance.simulator.world import Behaviour

SCENE = Scene("queueing", 10.0, 0.99, "free")


def _request(cost_nanos: int | None = 50) -> RequestRecord:
    said = ("req_1", "org", "key", 0, "chat.completions", "openai_chat", "m", "m", "p", "u", "1s", None, None, None)
    return RequestRecord(*said, False, 200, cost_nanos=cost_nanos, default_nanos=100)


def _attempt(tier: str, outcome: str, start_s: float, to_start_s: float | None, nanos: int) -> AttemptRecord:
    one = AttemptRecord("req_1", 1, "p", "u", "m", tier, tier, start_s, 9.0, "won", to_start_s=to_start_s)
    return msgspec.structs.replace(one, outcome=outcome, cost_nanos=nanos)


def test_what_is_played_faster_is_the_same_otherwise() -> None:
    slow, fast = SCENE.draws(1, 50, 1.0), SCENE.draws(1, 50, 5.0)
    assert [one.at_s / 5 for one in slow] == [one.at_s for one in fast]
    assert [one.tiers.flex_s / 5 for one in slow] == [one.tiers.flex_s for one in fast]
    assert [one.tiers.flex_lost for one in slow] == [one.tiers.flex_lost for one in fast]
    assert SCENE.setting(5.0, 0.3).window_s == 2.0


def test_the_simulator_is_told_each_draw() -> None:
    text = override(Tiers(0.25, True, 1.5, False))
    flex, default = (parse(text, tier).apply(Behaviour()) for tier in ("flex", "default"))
    assert (flex.refusal_rate, flex.refusal_after_s) == (1.0, 0.25)
    assert (default.start, default.refusal_rate) == (1.5, 0.0)


def test_a_record_says_what_came_and_what_the_loser_was_billed() -> None:
    draw = Draw(0.0, 0.0, Tiers(2.0, False, 1.0, False))
    lost, won = _attempt("flex", "lost", 0.0, None, 20), _attempt("default", "won", 0.5, 1.6, 100)
    found = read(draw, _request(120), (lost, won), 0.5)
    assert (found.start_s, found.cost, found.flex, found.billed) == (1.6, 1.2, False, (0.4,))
    assert found.late_s == pytest.approx(0.1)
    assert read(draw, _request(), (lost,), 0.5).start_s == inf
    with pytest.raises(ValueError, match="req_1"):
        read(draw, _request(None), (lost, won), 0.5)


def test_virtual_time_agrees_with_itself_and_not_with_a_server_that_never_races() -> None:
    """What default alone costs is far from what the engine would have paid in that world."""
    draws = SCENE.draws(1, 300, 1.0)
    setting = SCENE.setting(1.0, 0.0)
    same = [Came(one.start_s, one.cost, one.flex, 0.0) for one in Run(draws, Ours(setting), setting).play()]
    found = compare(SCENE, draws, same, 1.0, runs=2)
    assert found.agrees
    assert all(pair.served == pair.virtual.value for pair in found.pairs)
    never = compare(SCENE, draws, [Came(draw.tiers.default_s, 1.0, False, 0.0) for draw in draws], 1.0, runs=2)
    assert [pair.name for pair in never.pairs if not pair.agrees] == ["cost", "won by flex"]
    assert "| NO |" in table([never])
    assert "300 requests" in lateness(never)


def test_what_luck_may_do_is_allowed() -> None:
    assert Pair("cost", 0.79, Mean(0.75, 0.04), 0.01).agrees
    assert not Pair("cost", 0.81, Mean(0.75, 0.04), 0.01).agrees


def test_scenes_are_of_each_way_of_billing() -> None:
    assert {scene.abort_billing for scene in SCENES} == {"free", "partial", "full"}
