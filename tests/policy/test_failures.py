"""Keys that were not good, by address: limited, forgotten after an hour, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.failures import FORGET_S, Failures


def test_so_many_at_once_and_then_one_at_a_time() -> None:
    failures = Failures(4)
    assert [failures.failed("a", 0.0) for _ in range(4)] == [0.0] * 4
    wait_s = failures.failed("a", 0.0)
    assert wait_s == pytest.approx(FORGET_S / 4)
    assert failures.failed("b", 0.0) == 0.0, "another address"
    assert failures.failed("a", wait_s - 1) > 0
    assert failures.failed("a", wait_s) == 0.0
    assert failures.failed("a", wait_s) > 0


def test_what_is_refused_does_not_lengthen_the_wait() -> None:
    failures = Failures(2)
    for _ in range(2):
        failures.failed("a", 0.0)
    waits = {round(failures.failed("a", 0.0)) for _ in range(1000)}
    assert waits == {round(FORGET_S / 2)}


def test_an_hour_later_all_is_forgotten() -> None:
    failures = Failures(3)
    for address in "abc":
        for _ in range(9):
            failures.failed(address, 0.0)
    assert len(failures) == 3
    assert [failures.failed("a", FORGET_S) for _ in range(3)] == [0.0] * 3
    assert len(failures) == 1, "and takes no memory"


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    failures = Failures(1, most_addresses=10)
    for nth in range(1000):
        failures.failed(f"address {nth}", nth / 1000)
    assert len(failures) == 10
    assert failures.failed("address 999", 1.0) > 0
    assert failures.failed("address 1", 1.0) == 0.0


def test_no_limit() -> None:
    failures = Failures(0)
    assert [failures.failed("a", 0.0) for _ in range(1000)] == [0.0] * 1000
    assert len(failures) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 4 * FORGET_S)), max_size=60), st.integers(1, 5))
def test_never_more_than_twice_the_limit_in_an_hour_whatever_the_clock_does(
    tries: list[tuple[str, float]], most: int
) -> None:
    failures = Failures(most)
    passed: dict[str, list[float]] = {}
    for address, now_s in sorted(tries, key=lambda one: one[1]):
        if failures.failed(address, now_s) == 0.0:
            passed.setdefault(address, []).append(now_s)
    for times in passed.values():
        for at_s in times:
            assert len([one for one in times if at_s <= one < at_s + FORGET_S]) <= 2 * most
    for address, now_s in tries:  # in any order: a clock that jumps breaks nothing
        assert 0 <= failures.failed(address, now_s) <= FORGET_S + 1e-6
