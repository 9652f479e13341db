"""The breaker: its tables as timelines, then properties over any order of words and times."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import FAULTS
from appliance.policy.health import IDLE_S, MEMORY_S, REFUSALS, SUSTAINED_S, WORDS, Breaker, Rules, Word

RULES = Rules(failures=3, pause_s=5.0)
Step = tuple[float, str, str]


def play(*steps: Step) -> Breaker:
    """Each step: when, what is asked (`ask`) or told (a word; `probe word`), and the verdict or the state after it."""
    breaker = Breaker(RULES)
    for now, what, then in steps:
        if what == "ask":
            assert breaker.ask(now) == then, f"at {now}"
        else:
            word = what.removeprefix("probe ")
            breaker.tell(word, now, probe=word != what)  # type: ignore[arg-type]
            assert breaker.state(now) == then, f"at {now}"
    return breaker


OPENED: tuple[Step, ...] = ((0, "failed", "closed"), (0, "failed", "closed"), (0, "failed", "open"))

TIMELINES: dict[str, tuple[Step, ...]] = {
    "it opens at so many failures in a row": (*OPENED, (4.9, "ask", "skip"), (5, "ask", "probe"), (5, "ask", "skip")),
    "a whole answer between them ends the row": (
        (0, "failed", "closed"), (1, "failed", "closed"), (2, "well", "closed"), (3, "failed", "closed"),
        (4, "failed", "closed"), (5, "ask", "ask"),
    ),
    "an answer that only began does not": (
        (0, "failed", "closed"), (1, "failed", "closed"), (2, "began", "closed"), (3, "failed", "open"),
    ),
    "what says nothing changes nothing": (
        (0, "failed", "closed"), (0, "failed", "closed"), (0, "nothing", "closed"), (0, "failed", "open"),
    ),
    "failures far apart are no row": (
        (0, "failed", "closed"), (1, "failed", "closed"), (2 + MEMORY_S, "failed", "closed"),
    ),
    "a probe that began closes it on probation": (
        *OPENED, (5, "ask", "probe"), (6, "probe began", "closed"), (7, "ask", "ask"), (8, "failed", "open"),
        (8 + 9.9, "ask", "skip"), (8 + 10, "ask", "probe"),
    ),
    "a whole answer ends the probation": (
        *OPENED, (5, "ask", "probe"), (6, "probe began", "closed"), (7, "well", "closed"), (8, "failed", "closed"),
        (8, "failed", "closed"), (8, "failed", "open"), (13, "ask", "probe"),
    ),
    "each probe that fails doubles the pause": (
        *OPENED, (5, "ask", "probe"), (6, "probe failed", "open"), (15.9, "ask", "skip"), (16, "ask", "probe"),
        (17, "probe refused", "open"), (36.9, "ask", "skip"), (37, "ask", "probe"),
    ),
    "a probe that says nothing makes room for the next": (
        *OPENED, (5, "ask", "probe"), (6, "probe nothing", "half_open"), (6, "ask", "probe"),
    ),
    "late words of attempts launched before are ignored": (
        *OPENED, (1, "failed", "open"), (2, "well", "open"), (5, "ask", "probe"), (5.5, "failed", "half_open"),
        (5.6, "well", "half_open"), (5.7, "ask", "skip"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", TIMELINES.values(), ids=TIMELINES.keys())
def test_timeline(steps: tuple[Step, ...]) -> None:
    play(*steps)


def test_refusals_count_only_when_sustained() -> None:
    burst = Breaker(RULES)
    for _ in range(REFUSALS * 3):
        burst.tell("refused", 0.0)
    assert burst.state(0.0) == "closed"
    steady = Breaker(RULES)
    opened = [steady.tell("refused", SUSTAINED_S * at / (REFUSALS - 1)) for at in range(REFUSALS)]
    assert opened == [False] * (REFUSALS - 1) + [True]
    mixed = Breaker(RULES)
    for at in range(REFUSALS * 2):
        mixed.tell("refused", float(at * 2))
        mixed.tell("began", float(at * 2))
    assert mixed.state(80.0) == "closed"


def test_switched_off_it_never_opens() -> None:
    breaker = Breaker(Rules(failures=0))
    for at in range(100):
        assert not breaker.tell("failed", float(at)) and not breaker.tell("refused", float(at))
    assert breaker.ask(100.0) == "ask"


def test_pauses_are_bounded() -> None:
    breaker, now, longest_s = play(*OPENED), 0.0, 0.0
    for _ in range(30):
        longest_s = max(longest_s, breaker.wait_s(now))
        now += breaker.wait_s(now)
        assert breaker.ask(now) == "probe"
        breaker.tell("failed", now, probe=True)
    assert longest_s == 60.0


def test_it_is_forgotten_when_it_is_well_or_nobody_asks() -> None:
    breaker = play((0, "failed", "closed"), (1, "well", "closed"))
    assert breaker.forgettable(1.0)
    assert not play((0, "failed", "closed")).forgettable(MEMORY_S)
    assert play((0, "failed", "closed")).forgettable(MEMORY_S + 1)
    opened = play(*OPENED)
    assert not opened.forgettable(5 + IDLE_S)
    assert opened.forgettable(6 + IDLE_S)


def test_every_fault_of_a_provider_has_its_word() -> None:
    """A new code of a provider's faults must be entered, or be named here as one that says nothing."""
    nothing = {"provider_key_rejected", "provider_rate_limited", "provider_rejected", "provider_model_mismatch"}
    assert set(WORDS) | nothing == {code for code in FAULTS if code.startswith("provider_")}


WORD = st.sampled_from(get_args(Word))


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans(), WORD), max_size=80), st.integers(1, 6))
def test_any_order_of_words(steps: list[tuple[float, bool, Word]], failures: int) -> None:
    """One probe at a time; open means skip; every pause ends; only a row of bad words opens it."""
    breaker, now, probing, bad = Breaker(Rules(failures, 5.0)), 0.0, False, 0
    for later_s, asks, word in steps:
        now += later_s
        before = breaker.state(now)
        if asks:
            verdict = breaker.ask(now)
            assert (verdict == "ask") == (before == "closed")
            assert verdict != "probe" or (before == "half_open" and not probing)
            assert before != "half_open" or probing or verdict == "probe", "a half-open breaker lets one through"
            probing = probing or verdict == "probe"
        else:
            was_probe = probing
            opened = breaker.tell(word, now, probe=was_probe)
            probing = False if was_probe else probing
            bad = 0 if word == "well" else bad + (word in ("failed", "refused"))
            assert not opened or (word in ("failed", "refused") and breaker.state(now) == "open")
            assert not opened or was_probe or bad >= 1
            if before == "closed" and not opened:
                assert breaker.state(now) == "closed"
            if before == "open":
                assert breaker.state(now) == "open", "nothing but time ends a pause"
        assert 0 <= breaker.wait_s(now) <= 60.0
    breaker.tell("nothing", now, probe=True)
    assert breaker.look(now + 61.0) in ("ask", "probe"), "no rung is shut out for ever"
