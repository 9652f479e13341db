"""The journal: bounded, searchable, waited for."""

import trio
import trio.testing

from appliance.simulator.journal import Entry, Journal


def entry(journal: Journal, **facts: object) -> Entry:
    made = Entry(
        sequence=journal.next_sequence(), connection=1, request_on_connection=1, method="POST", path="/", arrived_s=0.0,
        body_bytes=0, headers=[], forbidden=[],
    )  # fmt: skip
    for name, value in facts.items():
        setattr(made, name, value)
    journal.add(made)
    return made


def test_it_forgets_the_oldest_and_goes_on_counting() -> None:
    journal = Journal(limit=2)
    for _ in range(3):
        entry(journal)
    assert [one.sequence for one in journal] == [2, 3]
    journal.clear()
    assert len(journal) == 0
    assert entry(journal).sequence == 4


def test_entries_are_found_by_their_facts() -> None:
    journal = Journal()
    a, b = entry(journal, mark="a", status=200), entry(journal, mark="b", status=200)
    assert journal.find(mark="a") == [a]
    assert journal.find(status=200) == [a, b]
    assert journal.to_builtins()["entries"][1]["mark"] == "b"
    assert journal[0] is a


async def test_waiting_ends_when_the_condition_holds(autojump_clock: trio.testing.MockClock) -> None:
    journal = Journal()
    made = entry(journal)
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            await trio.sleep(5)
            made.outcome = "completed"
            journal.changed()

        nursery.start_soon(end)
        await journal.idle()
        assert trio.current_time() == 5
    await journal.wait(lambda journal: len(journal) == 1)
