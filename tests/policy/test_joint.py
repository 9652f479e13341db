"""What a race came to at a model, and what is left of a ladder while the model is not raced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import Rung
from appliance.policy.health import Word
from appliance.policy.joint import asked_once, race_word, raced

FLEX, DEFAULT, PRIORITY = (Rung("p", "m", tier) for tier in ("flex", "default", "priority"))
ELSEWHERE = Rung("q", "m", "default")
WORDS: st.SearchStrategy[Word] = st.sampled_from(["began", "well", "failed", "refused", "nothing"])
LADDERS = st.lists(st.builds(Rung, st.sampled_from("pq"), st.sampled_from("mn"), st.sampled_from("abc")), min_size=1)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(FLEX, "refused"), (DEFAULT, "refused")], "failed"),
        ([(FLEX, "refused"), (DEFAULT, "failed")], "failed"),
        ([(FLEX, "failed"), (DEFAULT, "failed"), (PRIORITY, "refused")], "failed"),
        ([(FLEX, "refused"), (DEFAULT, "began")], "well"),
        ([(FLEX, "failed"), (DEFAULT, "failed"), (PRIORITY, "began")], "well"),
        ([(FLEX, "began")], "well"),
        ([(FLEX, "failed")], "nothing"),
        ([(DEFAULT, "failed"), (DEFAULT, "failed")], "nothing"),  # the same tier again, as `retry` asks
        ([(FLEX, "refused"), (DEFAULT, "nothing")], "nothing"),  # the client left, or a quota was used up
        ([], "nothing"),
    ],
)
def test_what_a_race_came_to(ends: list[tuple[Rung, Word]], expected: Word) -> None:
    assert race_word(ends) == expected


@given(st.lists(st.tuples(st.sampled_from([FLEX, DEFAULT, PRIORITY]), WORDS)))
def test_it_failed_only_if_two_tiers_and_all_attempts_did(ends: list[tuple[Rung, Word]]) -> None:
    word = race_word(ends)
    assert (word == "failed") == (
        len({rung for rung, _ in ends}) >= 2 and {one for _, one in ends} <= {"failed", "refused"}
    )
    assert (word == "well") == any(one in ("began", "well") for _, one in ends)
    assert race_word(ends[::-1]) == word


@pytest.mark.parametrize(
    ("ladder", "left"),
    [
        ([FLEX, DEFAULT], [1]),
        ([FLEX, DEFAULT, PRIORITY], [1]),
        ([FLEX, ELSEWHERE, DEFAULT], [1, 2]),
        ([ELSEWHERE, FLEX, DEFAULT], [0, 2]),
    ],
)
def test_the_dear_rung_alone_is_left_of_a_model_that_is_not_raced(ladder: list[Rung], left: list[int]) -> None:
    assert raced(ladder) == [("p", "m")]
    assert asked_once(ladder, {("p", "m")}) == left
    assert asked_once(ladder, set()) == list(range(len(ladder)))


@given(LADDERS, st.data())
def test_nothing_else_is_left_out_and_someone_is_always_asked(ladder: list[Rung], data: st.DataObject) -> None:
    pairs = raced(ladder)
    paused = data.draw(st.sets(st.sampled_from(pairs)) if pairs else st.just(set()))
    left = asked_once(ladder, paused)
    assert left == sorted(set(left)) and left
    kept = [(ladder[place].provider, ladder[place].model) for place in left]
    for pair in dict.fromkeys((rung.provider, rung.model) for rung in ladder):
        assert kept.count(pair) == (1 if pair in paused else [(r.provider, r.model) for r in ladder].count(pair))
