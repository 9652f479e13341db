"""The store of interactions: bounded, and what may be done with what is kept."""

import pytest

from appliance.simulator.faults import Rejected
from appliance.simulator.interaction_store import InteractionStore
from appliance.simulator.script import Script


def store(*identities: str, due: float = 10.0, background: bool = True, limit: int = 1000) -> InteractionStore:
    kept = InteractionStore(limit)
    for identity in identities:
        told = {"id": identity, "status": "completed", "steps": [], "usage": {}}
        kept.keep(told, Script((), None), due, background=background)
    return kept


def test_it_is_in_progress_without_steps_until_it_is_due() -> None:
    kept = store("a")
    assert kept.look("a", 9.0) == {"id": "a", "status": "in_progress"}
    assert kept.look("a", 10.0)["status"] == "completed"


def test_what_is_cancelled_stays_so_and_what_is_finished_is_not_cancelled() -> None:
    kept = store("a", "b")
    kept.answer("POST", "a", "cancel", {}, 5.0)
    kept.answer("POST", "b", "cancel", {}, 15.0)
    assert [kept.look(name, 20.0)["status"] for name in "ab"] == ["cancelled", "completed"]


def test_the_oldest_goes_first() -> None:
    kept = store("a", "b", "c", limit=2)
    assert [name in kept for name in "abc"] == [False, True, True]


@pytest.mark.parametrize(
    ("method", "identity", "action", "status"),
    [
        ("GET", "none", "", 404),
        ("DELETE", "none", "", 404),
        ("POST", "none", "cancel", 404),
        ("POST", "a", "cancel", 400),
        ("PUT", "a", "", 405),
        ("GET", "a", "cancel", 405),
    ],
)
def test_what_cannot_be_done(method: str, identity: str, action: str, status: int) -> None:
    with pytest.raises(Rejected) as rejected:
        store("a", background=False).answer(method, identity, action, {}, 0.0)
    assert rejected.value.fault.status == status
