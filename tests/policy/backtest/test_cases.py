"""Recorded races made ready: what is known of each rung, what answers and losers cost, what is left out."""

import msgspec
import pytest

from appliance.domain.catalog import Rung
from appliance.policy.backtest.cases import Cases
from appliance.policy.recorded import Raced, Tried

FLEX, DEFAULT, PRIORITY = Rung("acme", "m", "flex"), Rung("acme", "m", "default"), Rung("acme", "m", "priority")


def race(*tries: Tried, **fields: object) -> Raced:
    plain = Raced(0.0, "org", "acme", "m", 10.0, 0.99, True, 2.0, 50, 100, "flex_won", tries, FLEX, DEFAULT)
    return msgspec.structs.replace(plain, **fields)


WON = race(Tried(FLEX, 0.0, 2.0, "started", False, "won", 40), nanos=40)
CLIMBED = race(
    Tried(FLEX, 0.0, 9.0, "censored", False, "lost", 10),
    Tried(DEFAULT, 8.0, 1.0, "started", True, "won", 100),
    nanos=110,
)
LATE = race(
    Tried(FLEX, 0.0, 9.0, "started", False, "won", 40), Tried(DEFAULT, 8.0, 1.0, "censored", True, "lost", 50), nanos=90
)
REFUSED = race(
    Tried(FLEX, 0.0, 1.0, "lost", False, "refused", 0),
    Tried(DEFAULT, 1.0, 1.0, "started", False, "won", 100),
    nanos=100,
)


def test_what_is_known_of_each_rung() -> None:
    won, climbed, late, refused = Cases([WON, CLIMBED, LATE, REFUSED]).all
    assert (won.cheap.known, won.cheap.age_s, won.dear.known, won.dear.age_s) == (True, 2.0, False, 0.0)
    assert (climbed.cheap.known, climbed.cheap.age_s, climbed.dear.known) == (False, 9.0, True)
    assert (late.dear.known, late.dear.age_s) == (False, 1.0)
    assert (refused.cheap.known, refused.cheap.lost) == (True, True)


def test_the_dear_rung_behind_a_silent_one_is_a_series_of_its_own() -> None:
    (group,) = Cases([WON, CLIMBED, LATE, REFUSED]).groups
    assert [[one.cause for one in seen] for seen in group.seen] == [
        ["started", "censored", "started", "lost"], ["started"], ["started", "censored"],
    ]  # fmt: skip


def test_prices_and_what_losers_cost_are_those_that_were_paid() -> None:
    found = Cases([WON, CLIMBED, LATE, REFUSED])
    (group,) = found.groups
    assert group.ratio == pytest.approx(0.4)
    assert group.abandoned == pytest.approx([0.25, 0.5])
    assert found.unit_nanos == 100
    assert [case.cheap_cost for case in found.all] == pytest.approx([0.4] * 4)
    never = Cases([WON, CLIMBED]).groups[0]
    assert never.abandoned == pytest.approx([0.25, 0.25]), "no dear loser was seen: as the cheap ones"
    left = race(
        Tried(FLEX, 0.0, 10.0, "censored", False, "left_running", 40), CLIMBED.tries[1], nanos=140
    )  # fmt: skip
    assert Cases([WON, CLIMBED, left]).groups[0].abandoned[0] == pytest.approx(0.25), "an answer is no loser's price"


def test_a_rung_that_costs_nothing_is_known_to() -> None:
    """A model of one's own: what is drawn for it is not priced as flex is elsewhere."""
    free = race(Tried(FLEX, 0.0, 2.0, "started", False, "won", 0), nanos=0)
    found = Cases([free, CLIMBED])
    assert found.groups[0].ratio == 0.0
    assert [case.cheap_cost for case in found.all] == [0.0, 0.0]


def test_what_cannot_be_played_is_counted_and_what_nobody_waited_for_is_learned_from() -> None:
    alone = race(Tried(DEFAULT, 0.0, 1.0, "started", False, "won", 100), cheap=None)
    third = race(*CLIMBED.tries, Tried(PRIORITY, 10.0, 1.0, "started", True, "won", 200))
    faulty = race(Tried(FLEX, 0.0, 1.0, None, False, "failed", 0))
    gone = race(Tried(FLEX, 0.0, 3.0, "censored", False, "gone", 10), met=None)
    whole = msgspec.structs.replace(WON, finish_s=10.0)
    found = Cases([WON, alone, third, faulty, gone, whole])
    assert found.left_out == 5
    assert [case.judged for case in found.all] == [True, False]
    assert len(found.groups[0].seen[0]) == 2


def test_earlier_requests_are_learned_from_and_not_judged() -> None:
    early = [msgspec.structs.replace(WON, at_unix_s=float(at_s)) for at_s in range(4)]
    found = Cases(early, since_unix_s=2.0)
    assert [case.judged for case in found.all] == [False, False, True, True]
    assert found.left_out == 0


def test_sizes_are_groups_of_their_own_and_exploring_is_seen() -> None:
    found = Cases([WON, msgspec.structs.replace(WON, size=2)])
    assert [case.group for case in found.all] == [0, 1]
    assert not found.explores
    assert Cases([msgspec.structs.replace(WON, why="explored")]).explores


def test_a_request_without_prices_is_played_and_not_paid() -> None:
    (case,) = Cases([msgspec.structs.replace(WON, default_nanos=None)]).all
    assert (case.priced, case.judged, case.cheap_cost) == (False, True, 0.0)
