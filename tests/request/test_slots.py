"""Race slots: what was taken is given back once."""

import pytest

from appliance.request.slots import Slots


def test_slots_are_counted_for_each_organisation() -> None:
    slots = Slots()
    assert slots.take("a", 2) and slots.take("a", 2) and not slots.take("a", 2)
    assert slots.take("b", 1)
    assert (slots.taken("a"), slots.taken("b"), slots.taken("c")) == (2, 1, 0)
    assert (slots.total, slots.most_taken()) == (3, 2)
    slots.give_back("a")
    assert slots.take("a", 2)
    assert not slots.take("c", 0)


def test_nothing_is_kept_of_a_name_that_has_none() -> None:
    slots = Slots()
    for name in ("a", "b"):
        slots.take(name, 1)
        slots.give_back(name)
    assert (slots.total, slots.most_taken(), slots._taken) == (0, 0, {})


def test_what_was_not_taken_cannot_be_given_back() -> None:
    slots = Slots()
    slots.take("a", 1)
    slots.give_back("a")
    with pytest.raises(KeyError):
        slots.give_back("a")
